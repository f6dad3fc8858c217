"""Every documented example of `aws autoscaling` in scope, as the AWS CLI brings it, on the simulator."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import awscli
import pytest
from awscli.clidriver import create_clidriver

from usher_simulator.testing.simulated import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher_simulator.testing.simulated import Simulated

FOLDER: Final = Path(awscli.__file__).parent / "examples" / "autoscaling"
OUT_OF_SCOPE: Final = ("launch-configuration", "polic", "scheduled-action", "scheduled-update-group-action")
IN_SCOPE: Final = ("describe-termination-policy-types",)  # its name has a word of the others
HOOK: Final = {
    "LifecycleHookName": "my-launch-hook",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
}
TARGET: Final = re.compile(r"arn:aws:(?:sqs|sns):[\w:-]+")
GROUP: Final = "my-asg"


def examples() -> Iterator[Any]:
    """Each command, with the file that it reads and the output that is documented."""
    for file in sorted(FOLDER.glob("*.rst")):
        if any(word in file.stem for word in OUT_OF_SCOPE) and file.stem not in IN_SCOPE:
            continue
        blocks = re.findall(r"^    \S.*(?:\n(?:    .*)?)*", file.read_text(encoding="utf-8"), re.MULTILINE)
        number = 0
        for at, block in enumerate(blocks):
            command = block.split("\n\n")[0] if block.lstrip().startswith("aws autoscaling") else ""
            if not command or "--starting-token" in command:  # a placeholder for a token
                continue
            number += 1
            following = blocks[at + 1] if at + 1 < len(blocks) else ""
            yield pytest.param(command, following, id=f"{file.stem} {number}")


def words_of(command: str, following: str, folder: Path) -> list[str]:
    words = shlex.split(command.replace("\\\n", " "))[2:]
    if "file://" in command:
        contents = re.sub(r": (Ignore|Terminate)\b", r': "\1"', following)  # the document lacks the quotes
        (folder / "config.json").write_text(contents, encoding="utf-8")
        words = [f"file://{folder}/config.json" if word.startswith("file://") else word for word in words]
    return words


def prepare(one: Simulated, words: list[str]) -> list[str]:
    """The group that the example is about, as it must be before; the words with ids that are there."""
    operation, client = words[0], one.client
    of_group = {"AutoScalingGroupName": GROUP}
    held = operation in ("complete-lifecycle-action", "record-lifecycle-action-heartbeat")
    hooks = [HOOK, HOOK | {"LifecycleHookName": "my-lifecycle-hook"}] if "lifecycle" in operation else []
    if operation != "create-auto-scaling-group":
        empty = operation == "delete-auto-scaling-group" and "--force-delete" not in words
        one.create_group(
            GROUP, hooks=hooks if operation != "put-lifecycle-hook" else [], desired=int(not empty)
        )
        one.clock.advance("10s")
    after: dict[str, Any] = {
        "exit-standby": lambda ids: client.enter_standby(
            **of_group, InstanceIds=ids, ShouldDecrementDesiredCapacity=True
        ),
        "describe-warm-pool": lambda _: client.put_warm_pool(**of_group),
        "delete-warm-pool": lambda _: client.put_warm_pool(**of_group, MaxGroupPreparedCapacity=0),
        "detach-load-balancer-target-groups": lambda _: client.attach_load_balancer_target_groups(
            **of_group, TargetGroupARNs=[words[words.index("--target-group-arns") + 1]]
        ),
        "detach-load-balancers": lambda _: client.attach_load_balancers(
            **of_group, LoadBalancerNames=[words[words.index("--load-balancer-names") + 1]]
        ),
    }
    described = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
    ids = [instance["InstanceId"] for group in described for instance in group["Instances"]]
    after.get(operation, lambda _: None)(ids)
    one.clock.advance("10s")
    if operation in ("cancel-instance-refresh", "rollback-instance-refresh"):
        template = {"LaunchTemplate": {"LaunchTemplateName": "any", "Version": "2"}}
        client.start_instance_refresh(**of_group, DesiredConfiguration=template)
    if held:
        hook = words[words.index("--lifecycle-hook-name") + 1]
        token = next(wait.token for wait in one.actions(GROUP) if wait.hook == hook)
        words = [re.sub(r"^[0-9a-f-]{36}$", token, word) for word in words]
    if operation != "attach-instances" and ids:
        words = [re.sub(r"^i-[0-9a-f]+$", ids[0], word) for word in words]
    return words


@pytest.fixture(scope="module")
def cli() -> Any:
    """It reads the environment for each command, and the models of the services once."""
    return create_clidriver()


@pytest.mark.parametrize(("command", "following"), list(examples()))
def test_the_example_works_and_answers_what_is_documented(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cli: Any,
    command: str,
    following: str,
) -> None:
    with simulated() as one:
        own = {"AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none", "AWS_DEFAULT_OUTPUT": "json"}
        for name, value in {**one.environment, **own}.items():
            monkeypatch.setenv(name, value)
        words = words_of(command, following, tmp_path)
        for arn in TARGET.findall(command + following):
            one.target(arn, lambda _: None)
        code = cli.main(["autoscaling", *prepare(one, words)])
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        if following.lstrip().startswith("{") and "file://" not in command:
            documented = set(re.findall(r'^        "(\w+)"', following, re.MULTILINE))
            # Two documents err: a list where the API has one activity, and a member without indent.
            documented -= {"Activities"} if "terminate-instance" in command else {"Preferences"}
            assert documented <= set(json.loads(said.out))


def test_the_examples_are_as_many_as_the_documents_have() -> None:
    assert len(list(examples())) == 79
