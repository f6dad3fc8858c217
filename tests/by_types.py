"""Values of a dataclass, drawn by the types of its fields: a field that is added is drawn too."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from tests.factories import a_policy
from usher.core import action, notifications
from usher.core.finding import ConditionStatus, Finding, Findings
from usher.core.hook_items import Enrolled, Former, HookSettings, HookState
from usher.core.policy import Policy, Rule, undecided

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES: Final[dict[str, Any]] = {
    **vars(action),
    **vars(notifications),
    **{
        each.__name__: each
        for each in (Enrolled, Former, HookSettings, HookState, Finding, Findings, ConditionStatus)
    },
    "Policy": Policy,
    "Mapping": Mapping,
    "Memory": Mapping[str, Any],
    "datetime": datetime,
    "timedelta": timedelta,
}
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2009, 1, 1), datetime(2200, 1, 1), timezones=offsets)  # noqa: DTZ001
texts = st.text(max_size=20)
_memories = st.dictionaries(
    texts, st.none() | st.integers() | texts | st.lists(texts, max_size=2), max_size=3
)
_policies = st.sampled_from(
    [
        a_policy(),
        a_policy([], name="park"),
        a_policy([{"elapsed": "90s"}, {"signal": "done"}], give_up_after="45m", on_give_up="CONTINUE"),
        undecided(
            (
                Rule(when=(("tags.role", "db"), ("after", "launch_failed")), use=a_policy([], name="park")),
                Rule(when=(), use=a_policy()),
            )
        ),
        a_policy(mode="observe", stalled_after="10m", on_failure="CONTINUE"),
    ]
)
_PLAIN: Final[Mapping[Any, st.SearchStrategy[Any]]] = {
    str: texts,
    int: st.integers(1, 10**9),
    bool: st.booleans(),
    datetime: moments,
    timedelta: st.timedeltas(timedelta(seconds=30), timedelta(hours=2)),
    type(None): st.none(),
    Policy: _policies,
    Mapping[str, Any]: _memories,
    Mapping[str, timedelta]: st.dictionaries(texts, st.timedeltas(timedelta(0), timedelta(hours=2))),
}


def _sound_action(drawn: dict[str, Any]) -> dict[str, Any]:
    """What an action does not take together: see Action.__post_init__."""
    phase = drawn["phase"]
    evaluate_at = None if phase is action.Phase.CLOSED else drawn["evaluate_at"] or drawn["started_at"]
    result = drawn["result"] or (action.Result.CONTINUE if phase is action.Phase.COMPLETING else None)
    return {**drawn, "evaluate_at": evaluate_at, "result": result}


def _sound_signal(drawn: dict[str, Any]) -> dict[str, Any]:
    """It names an instance or a token."""
    instance_id = drawn["instance_id"] if drawn["token"] is not None else drawn["instance_id"] or "i-1"
    return {**drawn, "instance_id": instance_id}


_SOUND: Final[Mapping[type, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    action.Action: _sound_action,
    action.Signal: _sound_signal,
}


def values_of(kind: type, *, without: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Any value of a dataclass; the fields in `without` keep their defaults."""
    hints = typing.get_type_hints(kind, localns=_NAMES)
    named = [each.name for each in fields(kind) if each.name not in without]
    drawn = st.fixed_dictionaries({name: _of_type(hints[name]) for name in named})
    return drawn.map(_SOUND.get(kind, dict)).map(lambda values: kind(**values))


def _of_type(hint: Any) -> st.SearchStrategy[Any]:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([_of_type(each) for each in of])
    if origin is tuple and of[-1] is Ellipsis:
        return st.lists(_of_type(of[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_of_type, of))
    if issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return values_of(hint)
