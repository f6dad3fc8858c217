"""What the stacks are made from: the hooks file, and the settings in cdk.json's context."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from usher.core.compiled import compiled
from usher_hooksfile.load import load, read

if TYPE_CHECKING:
    from pathlib import Path

    from constructs import Node

    from usher.core.compiled import Compiled
    from usher.core.policy import Configuration

WAKE_AT_ONCE: Final = 50  # invocations of `wake`
DEMO_GROUP: Final = "usher-demo"
_DEFAULT_HOOKS: Final = "hooks.yaml"

_TEXT: Final = re.compile(r".+")
_EMAIL: Final = re.compile(r"[^\s@/]+@[^\s@/]+")
_ROLE: Final = re.compile(r"arn:[a-z0-9-]+:iam::\d{12}:role/\S+")
_BUS: Final = re.compile(r"arn:[a-z0-9-]+:events:[a-z0-9-]+:\d{12}:event-bus/[A-Za-z0-9_./-]{1,256}")
_ARCHITECTURE: Final = re.compile(r"arm64|x86_64")
_GROUP: Final = re.compile(r"[^:*\x00-\x1f]{1,255}")


_CDKS_OWN: Final = re.compile(r"@.*|.*:.*|acknowledged-issue-numbers|cli-telemetry")  # flags, look-ups


class ContextRefused(Exception):  # noqa: N818 - it reads as what happened
    """The context, of cdk.json or `-c`, is not sound; the text names key, rule and value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """Everything that the stacks need to know.

    `own_groups` are names of groups whose hooks stand in their own template, put there by
    usher_cdk.own_group.UsherHooks.
    """

    configuration: Configuration
    hooks_data: Any  # the hooks file as plain data, which the functions read again
    calls_per_second: float = 10.0
    customer_key: bool = False
    log_retention_days: int = 30
    alarm_email: str | None = None
    enrolments_per_hour: int = 50
    wake_concurrency: int = 0  # reserved for the function `wake`; 0: none
    sns_raw_delivery: bool = False
    hooks_from_table: bool = False  # the hooks file is applied at run time; the given one gives the rights
    own_groups: tuple[str, ...] = ()
    demo: bool = False
    dashboard: bool = True
    announce: bool = False  # put Usher's own events on the bus
    forward_to: str | None = None  # the ARN of a bus that hears of them, and of alarms
    architecture: str = "arm64"  # of the functions; or x86_64
    service_linked_role: str | None = None  # None: the account's AWSServiceRoleForAutoScaling

    @classmethod
    def from_context(cls, node: Node, folder: Path) -> Deployment:
        """From the app's context. Raises HooksFileRefused and ContextRefused."""
        _refuse_unknown_keys(node)
        path = folder / (_text(node, "hooks", _TEXT, "the path of a hooks file") or _DEFAULT_HOOKS)
        return cls(
            configuration=load(path),
            hooks_data=read(path),
            calls_per_second=_number(node, "calls_per_second", 10.0, 0.1, 1000),
            customer_key=_flag(node, "customer_key"),
            log_retention_days=_whole(node, "log_retention_days", 30, 1, 3653),
            alarm_email=_text(node, "alarm_email", _EMAIL, "an email address"),
            enrolments_per_hour=_whole(node, "enrolments_per_hour", 50, 1, 1000),
            wake_concurrency=_reserved(node, "wake_concurrency"),
            hooks_from_table=_flag(node, "hooks_from_table"),
            own_groups=_texts(node, "own_groups", _GROUP, "names of groups"),
            demo=_flag(node, "demo"),
            dashboard=_flag(node, "dashboard", default=True),
            announce=_flag(node, "announce"),
            forward_to=_text(node, "forward_to", _BUS, "the ARN of an event bus"),
            architecture=_text(node, "architecture", _ARCHITECTURE, "arm64 or x86_64") or "arm64",
            service_linked_role=_text(node, "service_linked_role", _ROLE, "the ARN of a role"),
        )

    @property
    def file(self) -> Compiled:
        """What the functions read, and what CloudFormation hands to the enrolment."""
        return compiled(self.hooks_data, {*self.own_groups, *([DEMO_GROUP] if self.demo else [])})


_KEYS: Final = {"hooks", *(field.name for field in fields(Deployment))} - {"configuration", "hooks_data"}


def _refuse_unknown_keys(node: Node) -> None:
    """A slip of the pen in `own_groups` would let hooks be taken back that a group's template holds."""
    given: dict[str, object] = node.get_all_context()
    unknown = [key for key in given if key not in _KEYS and not _CDKS_OWN.fullmatch(key)]
    if unknown:
        raise ContextRefused("\n".join(_unknown(key, given[key]) for key in sorted(unknown)))


def _unknown(key: str, value: object) -> str:
    nearest = get_close_matches(key, _KEYS, n=1)
    meant = f" (is {nearest[0]} meant?)" if nearest else ""
    known = ", ".join(sorted(_KEYS))
    return f"cdk.json: context {key} is not a known key{meant}; known are {known}, got {value!r}"


def _number(node: Node, key: str, default: float, least: float, most: float) -> float:
    """From cdk.json a number, from the command line (`-c calls_per_second=5`) a text."""
    value = node.try_get_context(key)
    if value is None:
        return default
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= most:
        raise _refused(key, f"from {least:g} to {most:g}", value)
    return number


def _whole(node: Node, key: str, default: int, least: int, most: int) -> int:
    number = _number(node, key, default, least, most)
    if number != int(number):
        raise _refused(key, "a whole number", node.try_get_context(key))
    return int(number)


def _reserved(node: Node, key: str) -> int:
    """Less than what the queue invokes at once would throttle the very function that it is for."""
    number = _whole(node, key, 0, 0, 1000)
    if 0 < number < WAKE_AT_ONCE:
        raise _refused(key, f"0, or from {WAKE_AT_ONCE} to 1000", number)
    return number


def _flag(node: Node, key: str, *, default: bool = False) -> bool:
    """From cdk.json a boolean, from the command line (`-c demo=true`) a text."""
    value = node.try_get_context(key)
    if value is None:
        return default
    if str(value).lower() not in ("true", "false"):
        raise _refused(key, "true or false", value)
    return str(value).lower() == "true"


def _text(node: Node, key: str, pattern: re.Pattern[str], rule: str) -> str | None:
    value = node.try_get_context(key)
    if value is None:
        return None
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _refused(key, rule, value)
    return value


def _texts(node: Node, key: str, pattern: re.Pattern[str], rule: str) -> tuple[str, ...]:
    """A list in cdk.json; on the command line, which has only text, with commas between."""
    given = node.try_get_context(key)
    if given is None:
        return ()
    values = given.split(",") if isinstance(given, str) else given
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise _refused(key, f"a list of {rule}", given)
    if not all(pattern.fullmatch(each) for each in values):
        raise _refused(key, f"a list of {rule}", given)
    return tuple(values)


def _refused(key: str, rule: str, value: object) -> ContextRefused:
    return ContextRefused(f"cdk.json: context {key} must be {rule}, got {value!r}")
