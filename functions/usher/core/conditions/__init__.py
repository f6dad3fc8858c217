"""What an instance may wait for. A new condition is one module and one line in `KINDS`.

What else knows the kinds fails until it is told: CONTRIBUTING.md has the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from usher.core.conditions.combined import AnyOf, Not, Then
from usher.core.conditions.command import Command
from usher.core.conditions.ecs import Ecs
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.function import Function
from usher.core.conditions.instance_status import InstanceStatus
from usher.core.conditions.signalled import Signalled
from usher.core.conditions.targets import Targets
from usher.core.field import Field, Refused, attempt
from usher.core.shape import Either, ListOf, OneKey

if TYPE_CHECKING:
    from usher.core.conditions.verdict import Condition, Plain

KINDS: Final[Mapping[str, type[Plain]]] = {
    "command": Command,
    "ecs": Ecs,
    "elapsed": Elapsed,
    "function": Function,
    "instance_status": InstanceStatus,
    "signal": Signalled,
    "targets": Targets,
}

_THEN: Final = "then"
PLAIN: Final = OneKey({name: kind.shape for name, kind in KINDS.items()})
_LIST: Final = ListOf(PLAIN, least=1, rule="must have at least one condition")
_ONE_OR_SEVERAL: Final = Either(PLAIN, _LIST)
CONDITION: Final = OneKey(
    {**PLAIN.of, "any": _ONE_OR_SEVERAL, "not": PLAIN}, beside={_THEN: _ONE_OR_SEVERAL}, alone=("any", "not")
)


def parse(field: Field) -> Condition:
    """The condition that a configuration names: `{"elapsed": "90s"}`, or a combination.

    `{"any": [...]}` and `{"not": ...}` hold plain conditions. A plain condition may have a `then`
    beside it: a plain condition, or a list of them, whose turn comes when it has held.
    """
    if not isinstance(field.value, Mapping) or _THEN not in field.value:
        return _combined(field)
    first = Field(path=field.path, value=_without_then(field.value), problems=field.problems)
    stages = [attempt(_plain, first, None), *_several(field.at(_THEN, field.value[_THEN]))]
    return Then(stages=_sound(stages))


def _combined(field: Field) -> Condition:
    kind, value = CONDITION.member(field)
    match kind:
        case "any":
            return AnyOf(of=_sound(_several(value)))
        case "not":
            return Not(of=_observing(value))
        case _:
            return KINDS[kind].parse(value)


def _plain(field: Field) -> Plain:
    kind, value = PLAIN.member(field)
    return KINDS[kind].parse(value)


def _observing(field: Field) -> Plain:
    """A plain condition that may be turned round: one that starts something may not."""
    condition = _plain(field)
    if condition.starts:
        raise field.refuse(
            "must not be a condition that starts something: `not` would start it and wait for it to fail"
        )
    return condition


def _several(field: Field) -> list[Plain | None]:
    elements = _LIST.elements(field) if isinstance(field.value, list | tuple) else [field]
    return [attempt(_plain, element, None) for element in elements]


def _sound(conditions: list[Plain | None]) -> tuple[Plain, ...]:
    sound = tuple(condition for condition in conditions if condition is not None)
    if len(sound) < len(conditions):
        raise Refused
    return sound


def _without_then(value: Mapping[object, object]) -> dict[object, object]:
    return {key: member for key, member in value.items() if key != _THEN}
