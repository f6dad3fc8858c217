"""The Terraform files of this repository as values, and the hooks of the examples as enrolment sees hooks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import hcl2

from tests.bare_clone import ROOT
from usher.core.action import Result, Transition
from usher.core.hook_items import HookSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULE: Final = ROOT / "terraform"
EXAMPLES: Final = MODULE / "examples"
HOOKS: Final = EXAMPLES / "hooks.yaml"

_PLAIN: Final = hcl2.SerializationOptions(
    with_comments=False, explicit_blocks=False, strip_string_quotes=True
)
_TRANSITIONS: Final = {
    "autoscaling:EC2_INSTANCE_LAUNCHING": Transition.LAUNCHING,
    "autoscaling:EC2_INSTANCE_TERMINATING": Transition.TERMINATING,
}


def parsed(file: Path) -> dict[str, Any]:
    """The blocks of a file, by their kind."""
    found: dict[str, Any] = hcl2.loads(file.read_text(encoding="utf-8"), serialization_options=_PLAIN)
    return found


def resources(file: Path, kind: str) -> list[dict[str, Any]]:
    """The resources of a kind."""
    return [each for block in parsed(file).get("resource", []) for each in block.get(kind, {}).values()]


def hooks(file: Path) -> Iterator[tuple[str, str, HookSettings]]:
    """Group, name and settings of each hook that the file makes."""
    for hook in resources(file, "aws_autoscaling_lifecycle_hook"):
        yield hook["autoscaling_group_name"], hook["name"], settings(hook)
    for group in resources(file, "aws_autoscaling_group"):
        for hook in group.get("initial_lifecycle_hook", []):
            yield group["name"], hook["name"], settings(hook)


def settings(hook: dict[str, Any]) -> HookSettings:
    """What Auto Scaling gets: Terraform sends what is written, and nothing for what is not."""
    return HookSettings(
        transition=_TRANSITIONS[hook["lifecycle_transition"]],
        heartbeat_timeout=timedelta(seconds=hook["heartbeat_timeout"]),
        default_result=Result(hook["default_result"]),
        target_arn=hook.get("notification_target_arn"),
        role_arn=hook.get("role_arn"),
        metadata=hook.get("notification_metadata"),
    )
