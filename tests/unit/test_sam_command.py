"""`usher sam`: the env files of `sam local` for a deployed Usher, and the next command."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from usher_cli.main import main
from usher_cli.sam import in_container

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

KEYS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
EVENTS: Final = Path(__file__).parents[2] / "events" / "invoke"
VARIABLES: Final = {"USHER_TABLE": "records-1", "USHER_ACCOUNT": "111122223333"}


def a_function(name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Handler": f"{name}.handler",
            "Runtime": "python3.13",
            "Role": "arn:aws:iam::123456789012:role/any",
            "Code": {"ZipFile": "pass"},
            "Environment": {"Variables": VARIABLES},
        },
    }


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder of `make sam`; the stack has three functions."""
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "false")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with mock_aws():
        names = ("intake", "provision", "sweep", "wake")
        resources = {name.capitalize(): a_function(name) for name in names}
        template = {"Resources": resources, "Outputs": {"TableName": {"Value": "records-1"}}}
        boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        stacks = boto3.client("cloudformation", region_name="eu-west-1")
        stacks.create_stack(StackName="Usher", TemplateBody=json.dumps(template))
        (tmp_path / "Usher.template.json").write_text("{}")
        yield tmp_path


def usher(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["sam", "--folder", str(folder), *options])


def written(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def test_of_an_account_of_aws_what_puts_hooks_is_left_out(deployed: Path) -> None:
    outcome = usher(deployed)
    assert outcome.exit_code == 0
    assert written(deployed, "env.json").keys() == {"intake", "wake"}
    assert written(deployed, "container.json") == {"AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}
    assert "Left out, because this is not a local account: provision, sweep." in outcome.stderr


def test_the_table_is_the_deployed_one_and_the_account_that_of_the_samples(deployed: Path) -> None:
    """Else each sample would be ignored, as a message from elsewhere."""
    usher(deployed)
    event = json.loads((EVENTS / "intake-sqs-hook.json").read_text())
    account = json.loads(event["Records"][0]["body"])["AccountId"]
    assert written(deployed, "env.json")["intake"] == {"USHER_TABLE": "records-1", "USHER_ACCOUNT": account}


def test_the_next_command_names_the_files_the_event_and_the_region(deployed: Path) -> None:
    words = shlex.split(usher(deployed).stdout)
    assert words[:4] == ["sam", "local", "invoke", "intake"]
    options = dict(zip(words[4::2], words[5::2], strict=True))
    assert options["--region"] == "eu-west-1"
    files = [options[option] for option in ("-t", "-n", "--container-env-vars")]
    assert all(Path(file).is_file() for file in files)
    assert (Path(__file__).parents[2] / options["-e"]).is_file()


def test_without_a_template_it_says_what_makes_one(deployed: Path, tmp_path: Path) -> None:
    outcome = usher(tmp_path / "nowhere")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.endswith("Usher.template.json: run `make sam`, or give its --folder.\n")
    assert not (deployed / "env.json").exists()


@pytest.mark.parametrize(
    ("endpoint", "reached"),
    [
        ("http://127.0.0.1:4566", "http://host.docker.internal:4566"),
        ("http://localhost:80", "http://host.docker.internal:80"),
        ("http://[::1]:4566", "http://host.docker.internal:4566"),
        ("https://lambda.eu-west-1.amazonaws.com", None),
        ("http://10.0.0.1:4566", None),
    ],
)
def test_an_account_on_this_machine_is_reached_by_its_name_in_a_container(
    endpoint: str, reached: str | None
) -> None:
    assert in_container(endpoint, "host.docker.internal").get("AWS_ENDPOINT_URL") == reached
