"""The table refuses the functions for three minutes: what waits is held from the wake-ups alone."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.deployed.by_hand import deploy
from tests.e2e.deployed.fault_proxy import FaultProxy
from tests.e2e.deployed.stack import Stack, make_group
from tests.e2e.polling import PATIENCE_S, until
from usher.core.action import Outcome
from usher.wiring.machine import now
from usher_local.account import Setup, open_account

if TYPE_CHECKING:
    from collections.abc import Iterator

_GROUP: Final = "tableless"
_HOOK: Final = {"name": "hold", "group": _GROUP, "transition": "launching", "policy": "finish"}
_HOOKS: Final = {  # ABANDON is the default
    "version": 1,
    "policies": {"finish": {"until": [{"signal": "finished"}]}},
    "hooks": [_HOOK | {"heartbeat_timeout": "30s"}],
}
_HELD: Final = 10
_AWAY: Final = timedelta(minutes=3)
_AWAY_RULE: Final[dict[str, Any]] = {"service": "dynamodb", "reset": True}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> FaultProxy:
    return FaultProxy(tmp_path_factory.mktemp("proxy") / "proxy.log")


@pytest.fixture(scope="module")
def stack(proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Usher, for one group alone."""
    logs = tmp_path_factory.mktemp("account")
    with open_account(Setup(auth=True, logs=logs, functions=proxy.in_front_of)) as account:
        proxy.warm_up(account.url)
        make_group(account, _GROUP)
        yield Stack.of(account, deploy(account, _HOOKS))


def waiting(stack: Stack) -> set[str]:
    return {instance for instance, state in stack.instances(_GROUP).items() if state == "Pending:Wait"}


def all_beaten(stack: Stack) -> set[str]:
    """Those that wait, once the expiry of each counts from a heartbeat, else none.

    On a busy machine notices are dated late; one that is lost by that is replaced.
    """
    held = waiting(stack)
    is_so = len(held) == _HELD and all(is_beaten(stack, instance) for instance in held)
    return held if is_so else set()


def is_beaten(stack: Stack, instance: str) -> bool:
    return any(action.heartbeats > 0 for action in stack.actions(instance, "hold"))


def tells(stack: Stack, instance: str) -> bool:
    """Whether the record tells of the heartbeats: the next wake-up of each chain brings them."""
    story = stack.timeline(stack.recorded(instance, "hold"))
    return any(line.startswith("held ") for line in story)


def test_ten_instances_in_30_second_hooks_are_held_without_the_table(stack: Stack, proxy: FaultProxy) -> None:
    for _ in range(_HELD):
        stack.launch(_GROUP)
    held = until(partial(all_beaten, stack), within_s=2 * PATIENCE_S, every_s=1)
    with proxy.rules(_AWAY_RULE):
        began = now()
        until(lambda: waiting(stack) != held or now() - began > _AWAY, within_s=4 * 60, every_s=1)
        assert waiting(stack) == held
    for instance in held:
        stack.signal(instance, "finished")
    for instance in held:
        stack.reaches(_GROUP, instance, "InService")
        action = stack.closed(instance, "hold")
        assert action.outcome is Outcome.COMPLETED
    for instance in held:
        until(partial(tells, stack, instance))
    assert sum(what.endswith("reset") for what in proxy.fired()) > _HELD
