"""A hook that never said a word is told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.factories import at
from usher.core import configuration, notifications
from usher.passes.silent_groups import SilentGroups
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable


def silent(*tested: str, heard: tuple[str, ...] = (), has_time: Callable[[], bool] = lambda: True) -> int:
    """How many of a, b (SQS), c (EventBridge) and d-* are silent, when these groups were tested."""
    terms = {"transition": "terminating", "policy": "p"}
    hooks = [
        {"name": "one", "group": "a", **terms},
        {"name": "two", "group": "b", **terms},
        {"name": "three", "group": "b", **terms},
        {"name": "four", "group": "c", "notify": "eventbridge", **terms},
        {"name": "five", "group": "d-*", **terms},
    ]
    parsed = configuration.parse({"version": 1, "policies": {"p": {"until": []}}, "hooks": hooks})
    store, recorder = MemoryStore(lambda: at(0)), Recorder()
    for group in tested:
        store.keep_test(notifications.TestNotice(group=group, request_id="request", at=at(0)))
    for group in heard:
        store.keep_heard(group, at(0))
    SilentGroups(hooks=parsed.hooks, store=store, telemetry=recorder).run(has_time)
    return recorder.counts["SilentGroups"]


def test_a_named_group_without_a_test_message_is_silent() -> None:
    assert silent() == 2
    assert silent("a") == 1


def test_a_test_message_of_a_group_breaks_its_silence() -> None:
    assert silent("a", "b") == 0


def test_a_lifecycle_message_of_a_group_breaks_its_silence() -> None:
    assert silent("a", heard=("b",)) == 0


def test_without_time_nothing_is_called_silent() -> None:
    assert silent(has_time=lambda: False) == 0
