"""What the page of the console changes, by the functions of the commands: refused for the same reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from usher.core.action import Result, Status
from usher_cli import acts
from usher_cli.account import Trouble
from usher_cli.change import reason_of
from usher_cli.operate import duration_of
from usher_cli.retained import let_go, retained_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import StrEnum

    from usher.core.action import Action
    from usher_cli.account import Account
    from usher_cli.acts import Done

    Act = Callable[[Account, Mapping[str, Any]], Done]


def _hold(account: Account, body: Mapping[str, Any]) -> Done:
    return acts.hold(account, _action(account, body), _reason(body), off=False)


def _unhold(account: Account, body: Mapping[str, Any]) -> Done:
    return acts.hold(account, _action(account, body), _reason(body), off=True)


def _extend(account: Account, body: Mapping[str, Any]) -> Done:
    by = duration_of(_text(body, "by"))
    return acts.extend(account, _action(account, body), _reason(body), by, None)


def _complete(account: Account, body: Mapping[str, Any]) -> Done:
    result, reason = Result(_one_of(body, "result", Result)), _reason(body)
    action = _action(account, body)
    acts.refuse_result(account, action)
    return acts.complete(account, action, reason, result)


def _signal(account: Account, body: Mapping[str, Any]) -> Done:
    status, reason = Status(_one_of(body, "status", Status)), _reason(body)
    return acts.signal(account, _action(account, body), _text(body, "signal"), status, reason)


def _release(account: Account, body: Mapping[str, Any]) -> Done:
    reason = _reason(body)
    return let_go(account, retained_instance(account, _text(body, "instance_id")), reason)


ACTS: Final[Mapping[str, Act]] = {
    "hold": _hold,
    "unhold": _unhold,
    "extend": _extend,
    "complete": _complete,
    "signal": _signal,
    "release": _release,
}


def _action(account: Account, body: Mapping[str, Any]) -> Action:
    """The action of an ID: an instance may wait in another hook by now."""
    action_id = _text(body, "id")
    (action,) = account.find(action_id)
    if action.id != action_id:
        raise Trouble("Give the ID of the action.")
    return action


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise click.BadParameter(f"{name} must be a text, and not empty")
    return value.strip()


def _reason(body: Mapping[str, Any]) -> str:
    return reason_of(_text(body, "reason"))


def _one_of(body: Mapping[str, Any], name: str, values: type[StrEnum]) -> str:
    value = _text(body, name)
    if value not in list(values):
        raise click.BadParameter(f"{name} must be one of {', '.join(values)}, got {value!r}")
    return value
