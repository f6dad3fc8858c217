"""What is uploaded to Lambda: the same bytes each time, small, and nothing that does not belong there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from usher.core.compiled import compiled
from usher_cdk.bundle import build
from usher_cdk.wheels import ROOT, WheelsMissing, unpacked
from usher_hooksfile.load import read
from usher_local.functions.python import find_python

HANDLERS = sorted(path.stem for path in (ROOT / "functions").glob("*.py"))
MOST_BYTES = 8_000_000  # unpacked; Lambda takes 250 MB, but each is read at a cold start
NOT_OURS_TO_CARRY = (
    "boto3",
    "botocore",
    "usher_simulator",
    "usher_cli",
    "usher_cdk",
    "usher_local",
    "tests",
    "moto",
)
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "USHER_TABLE": "records",
    "USHER_WAKE_UPS_URL": "http://127.0.0.1:1/wake-ups",
    "USHER_QUESTIONS_URL": "http://127.0.0.1:1/questions",
    "USHER_DEAD_LETTERS_URL": "http://127.0.0.1:1/dead-letters",
    "USHER_CALLS_PER_SECOND": "10",
    "USHER_INBOX_ARN": "arn:aws:sqs:us-east-1:123456789012:inbox",
    "USHER_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
    "USHER_INTAKE_ARN": "arn:aws:lambda:us-east-1:123456789012:function:intake",
    "USHER_HOOK_ROLE_ARN": "arn:aws:iam::123456789012:role/hooks",
    "USHER_ENROLMENTS_PER_HOUR": "50",
}
COSTS_COLD_START = (
    "pydantic",
    "aws_xray_sdk",
    "yaml",
    "click",
    "rich",
    "usher_simulator",
    "usher_cli",
    "usher_cdk",
    "moto",
)


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("asset"))


def built(folder: Path) -> Path:
    build(folder, compiled(read(ROOT / "hooks.yaml")))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_building_twice_gives_the_same_bytes(asset: Path, tmp_path: Path) -> None:
    assert contents(built(tmp_path / "again")) == contents(asset)


def test_no_file_knows_where_it_was_built(asset: Path) -> None:
    known = (str(ROOT).encode(), sys.prefix.encode())
    assert [name for name, text in contents(asset).items() if any(place in text for place in known)] == []


def test_it_has_no_compiled_and_no_native_file(asset: Path) -> None:
    kinds = {Path(name).suffix for name in contents(asset)}
    assert not kinds & {".pyc", ".so", ".pyd", ".dylib"}
    tags = [line for wheel in asset.glob("*.dist-info/WHEEL") for line in wheel.read_text().splitlines()]
    assert [tag for tag in tags if tag.startswith("Tag:") and not tag.endswith("-none-any")] == []


def test_it_has_the_handlers_and_their_code_and_what_that_needs_and_no_more(asset: Path) -> None:
    entries = {path.name for path in asset.iterdir() if not path.name.endswith(".dist-info")}
    handlers = {f"{handler}.py" for handler in HANDLERS}
    needed = {"aws_lambda_powertools", "jmespath", "typing_extensions.py"}
    assert entries == {"usher", "hooks.json"} | handlers | needed
    assert not entries & set(NOT_OURS_TO_CARRY)


def test_the_code_in_it_is_that_of_the_functions_folder(asset: Path) -> None:
    sources = {name: text for name, text in contents(ROOT / "functions").items() if name.endswith(".py")}
    assert sources.items() <= contents(asset).items()


def test_the_hooks_file_is_in_it_as_json(asset: Path) -> None:
    assert json.loads((asset / "hooks.json").read_text())["file"] == read(ROOT / "hooks.yaml")


def test_it_stays_small(asset: Path) -> None:
    assert sum(map(len, contents(asset).values())) < MOST_BYTES


@pytest.fixture(scope="module")
def imported(asset: Path) -> dict[str, str | None]:
    """Every module outside the standard library that a cold start of the functions imports: its file."""
    python = find_python()
    program = (
        f"import json, {', '.join(HANDLERS)}\n"
        "modules = {name: getattr(m, '__file__', None) for name, m in list(sys.modules.items())}\n"
        "print(json.dumps({name: file for name, file in modules.items()"
        " if name.partition('.')[0] not in sys.stdlib_module_names}))"
    )
    command = python.isolated([asset, python.runtime()], program)
    said = subprocess.check_output(command, env=ENVIRONMENT)  # noqa: S603 - our own
    return dict(json.loads(said))


def test_a_cold_start_imports_nothing_that_costs_without_need(imported: dict[str, str | None]) -> None:
    names = {name.partition(".")[0] for name in imported}
    assert names >= {"usher", "aws_lambda_powertools", "boto3", *HANDLERS}
    assert names & set(COSTS_COLD_START) == set()


def test_the_functions_run_on_asset_runtime_and_standard_library_alone(
    imported: dict[str, str | None], asset: Path
) -> None:
    ours = (str(asset), str(find_python().runtime()))
    assert {name for name, file in imported.items() if file and not file.startswith(ours)} == set()


def test_what_pip_cannot_get_is_told_with_what_pip_said() -> None:
    requirements = ROOT / "requirements" / "functions.txt"
    with pytest.raises(WheelsMissing) as raised:
        unpacked(requirements, "never", ("--no-such-option",))
    assert "the wheels of requirements/functions.txt" in str(raised.value)
    assert "no such option: --no-such-option" in str(raised.value)
