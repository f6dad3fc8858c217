"""A condition in words, as `usher check` tells what a policy waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.core import duration
from usher.core.conditions.combined import AnyOf, Not, Then
from usher.core.conditions.command import Command
from usher.core.conditions.ecs import Ecs, TaskState
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.function import Function
from usher.core.conditions.probe import Probe
from usher.core.conditions.signalled import Signalled
from usher.core.conditions.targets import Targets

if TYPE_CHECKING:
    from usher.core.conditions.verdict import Condition


def condition(one: Condition) -> str:
    """What is waited for, e.g. `elapsed 90s`, or `(signal a or signal b)`."""
    match one:
        case AnyOf():
            return f"({' or '.join(map(condition, one.of))})"
        case Not():
            return f"not {condition(one.of)}"
        case Then():
            return f"({', then '.join(map(condition, one.stages))})"
        case Probe():
            return _asked_of_aws(one)
        case _:
            return _known(one)


def _known(one: Condition) -> str:
    match one:
        case Elapsed():
            return f"elapsed {duration.written(one.after)}"
        case Signalled():
            return f"signal {one.name}"
        case _:
            return str(one)


def _asked_of_aws(one: Probe) -> str:
    match one:
        case Targets():
            return f"targets {one.state} in {' and '.join(one.groups)}"
        case Ecs():
            return _ecs(one)
        case Command():
            return f"command {one.document} to succeed within {duration.written(one.timeout)}"
        case Function():
            return f"function {one.function} to say done, asked every {duration.written(one.every)}"
        case _:
            return one.name


def _ecs(one: Ecs) -> str:
    where = "" if one.cluster is None else f" in {one.cluster}"
    absent = "failed" if one.state is TaskState.ACTIVE else str(one.absent)
    return f"ecs {one.state}{where} (in no cluster after {duration.written(one.grace)}: {absent})"
