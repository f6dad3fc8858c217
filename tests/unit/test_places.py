"""The places of a hook with `at_once`: who begins, who goes first, and what gives a place back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, a_signal, an_action, at, hook_terms
from usher.core import questions
from usher.core.action import OperatorNote, Outcome, Result, Status
from usher.core.closing import closed
from usher.core.decide import Complete, Heartbeat, Wait, asks_for_turn, decide
from usher.core.field import ConfigurationRefused
from usher.core.limits import Limits, Sharing
from usher.core.places import MOST_WAITING, NONE, Places, is_in_line, keeps, shared_by
from usher.core.policy import Mode
from usher.evaluation.turns import Turns
from usher.ports.errors import Unavailable
from usher.ports.queues import WHATEVER
from usher_simulator.fakes.memory_budget import MemoryPlaces
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from usher.core.action import Action

ONE = Limits(at_once=1)
NOTE = OperatorNote(who="ada", at=at(5), reason="look")


def waiter(number: int = 1, limits: Limits = ONE, **changes: Any) -> Action:
    """An action in an hour's hook, which is to elapse ten minutes."""
    policy = a_policy([{"elapsed": "10m"}], give_up_after="20m", on_give_up="ABANDON")
    given: dict[str, Any] = {
        "id": f"a-{number}",
        "instance_id": f"i-{number}",
        "hook": hook_terms(limits=limits),
        "policy": policy,
        "signals": (),
    }
    return an_action(**{**given, **changes})


class Scene:
    """Records and places in memory, and who was woken."""

    def __init__(self, *actions: Action) -> None:
        self.records = {action.id: action for action in actions}
        self.places = MemoryPlaces()
        self.woken: list[str] = []
        self.telemetry = Recorder()

    def load(self, action_id: str) -> Action | None:
        return self.records.get(action_id)

    def send(self, action_id: str, stamp: int, delay: timedelta) -> None:
        assert (stamp, delay) == (WHATEVER, timedelta(0))
        self.woken.append(action_id)

    @property
    def turns(self) -> Turns:
        return Turns(store=self, kept=self.places, wake_ups=self)  # type: ignore[arg-type] # what it uses

    def ask(self, number: int, seconds: float = 0) -> Action:
        """As an evaluation does: what began is stored."""
        action = self.turns.asked(self.records[f"a-{number}"], at(seconds))
        self.records[action.id] = replace(action, behind=())
        return action

    def end(self, number: int, seconds: float, *, tells: bool = True) -> None:
        """Close a record, and give its place back unless it is cut off before."""
        action = closed(self.records[f"a-{number}"], Outcome.COMPLETED, "done", at(seconds))
        self.records[action.id] = action
        if tells:
            self.turns.ended(action, at(seconds))


# What the decision says


def test_without_a_turn_it_waits_and_says_for_whom() -> None:
    action = replace(waiter(), behind=("i-7", "i-8"))
    decision = decide(action, at(700))  # ten minutes are over, but not from its begin
    assert isinstance(decision, Wait)
    assert decision.reason == "waits for i-7 and i-8: at_once 1"
    assert decision.evaluate_at == at(760)


@pytest.mark.parametrize(
    ("behind", "words"),
    [
        ((), "its turn"),
        (("i-1",), "i-1"),
        (("i-1", "i-2", "i-3"), "i-1, i-2 and i-3"),
        (tuple(f"i-{n}" for n in range(1, 8)), "i-1, i-2, i-3, i-4, i-5 and 2 others"),
    ],
)
def test_of_many_the_first_are_named(behind: tuple[str, ...], words: str) -> None:
    assert decide(replace(waiter(), behind=behind), at(1)).reason == f"waits for {words}: at_once 1"


def test_without_a_turn_it_is_held_by_heartbeats() -> None:
    assert isinstance(decide(waiter(), at(3500)), Heartbeat)


def test_patience_and_elapsed_count_from_the_turn() -> None:
    begun = replace(waiter(), began_at=at(3000), beaten_at=at(2990))
    assert isinstance(decide(begun, at(3599)), Wait)
    done = decide(begun, at(3600))
    assert isinstance(done, Complete)
    assert done.reason == "done: 10m elapsed"
    assert (begun.give_up_at, waiter().give_up_at) == (at(4200), waiter().decide_by)


def test_stalled_counts_from_the_turn() -> None:
    policy = a_policy([{"signal": "x"}], stalled_after="5m", give_up_after="20m")
    begun = waiter(policy=policy, began_at=at(3000), beaten_at=at(2990))
    assert isinstance(decide(begun, at(3299)), Wait)
    assert decide(begun, at(3300)).reason == "stalled: no progress for 5m"
    assert isinstance(decide(replace(begun, began_at=None), at(3300)), Wait)


def test_no_signal_ends_it_before_its_turn_and_nothing_is_asked() -> None:
    policy = a_policy([{"signal": "jobs-finished"}, {"function": "f"}])
    failed = waiter(policy=policy, signals=(a_signal(status=Status.FAILED),))
    assert isinstance(decide(failed, at(10)), Wait)
    assert questions.due(failed, at(10)) == ()
    assert questions.due(replace(failed, began_at=at(5)), at(10)) != ()


def test_at_the_last_moment_the_global_timeout_counts() -> None:
    action = replace(waiter(), behind=("i-7",), beaten_at=waiter().decide_by - timedelta(minutes=30))
    assert isinstance(decide(action, action.decide_by - timedelta(seconds=1)), Wait)
    decision = decide(action, action.decide_by)
    assert isinstance(decision, Complete)
    assert decision.result is Result.ABANDON
    assert decision.reason.endswith("without a turn; waits for i-7: at_once 1")


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        pytest.param({"operator_result_by": NOTE, "operator_result": Result.CONTINUE}, True, id="ordered"),
        pytest.param({"instance_ended_at": at(1)}, True, id="its instance has ended"),
        pytest.param({"let_through": True}, True, id="its hook retires"),
        pytest.param({"policy": a_policy([])}, True, id="nothing to wait for"),
        pytest.param({"operator_hold": NOTE}, False, id="held"),
        pytest.param({"beaten_at": at(-3400)}, False, id="a heartbeat is due"),
    ],
)
def test_what_needs_no_turn_asks_for_none(changes: dict[str, Any], ends: bool) -> None:
    action = waiter(**changes)
    assert not asks_for_turn(action, at(10))
    assert isinstance(decide(action, at(10)), Complete) is ends


def test_in_observe_mode_there_are_no_turns() -> None:
    policy = replace(waiter().policy, mode=Mode.OBSERVE)
    assert not waiter(policy=policy).awaits_turn


# Who has a place


def test_one_begins_and_the_next_waits_for_it() -> None:
    scene = Scene(waiter(1), waiter(2))
    assert scene.ask(1).began_at == at(0)
    second = scene.ask(2, 1)
    assert (second.began_at, second.behind) == (None, ("i-1",))


def test_an_evaluation_that_was_cut_off_has_its_place_and_begins_when_it_asks_again() -> None:
    """Else its patience would have run while nothing was asked or started for it."""
    scene = Scene(waiter(1), waiter(2))
    scene.turns.asked(scene.records["a-1"], at(3))  # and is not stored
    assert scene.ask(2, 5).began_at is None
    assert scene.ask(1, 3000).began_at == at(3000)


def test_who_ends_wakes_the_one_with_the_nearest_global_timeout() -> None:
    late, early = waiter(2), waiter(3, started_at=at(-60))
    scene = Scene(waiter(1), late, early)
    for number in (1, 2, 3):
        scene.ask(number, number)
    for number in (2, 3):
        scene.ask(number, 540)

    scene.end(1, 600)

    assert scene.woken == ["a-3"]
    assert scene.ask(2, 601).behind == ("i-3",)
    assert scene.ask(3, 602).began_at == at(602)


def test_a_place_of_an_action_that_ended_untold_is_free() -> None:
    scene = Scene(waiter(1), waiter(2))
    scene.ask(1)
    scene.end(1, 600, tells=False)
    assert scene.ask(2, 601).began_at == at(601)


def test_a_place_of_a_record_that_is_gone_is_free() -> None:
    scene = Scene(waiter(1), waiter(2))
    scene.ask(1)
    del scene.records["a-1"]
    assert scene.ask(2, 601).began_at == at(601)


@pytest.mark.parametrize(("seconds", "is_kept"), [(1259.999, True), (1260, False)])
def test_who_is_stuck_keeps_its_place_for_its_patience_and_a_minute(seconds: float, is_kept: bool) -> None:
    scene = Scene(waiter(1), waiter(2))
    scene.ask(1)
    assert (scene.ask(2, seconds).began_at is None) is is_kept
    assert keeps(scene.records["a-1"], at(0), at(seconds)) is is_kept


@pytest.mark.parametrize(("seconds", "goes_first"), [(300, True), (300.001, False)])
def test_who_has_not_asked_for_five_minutes_keeps_nobody_waiting(seconds: float, goes_first: bool) -> None:
    scene = Scene(waiter(1), waiter(2, started_at=at(-60)), waiter(3))
    scene.ask(1)
    scene.ask(2, 0)
    scene.end(1, 200)
    assert (scene.ask(3, seconds).began_at is None) is goes_first


@pytest.mark.parametrize("stands", ["holds the place", "waits before it"])
def test_a_record_that_cannot_be_read_stops_no_other(stands: str) -> None:
    """A newer release wrote it, before a rollback. It keeps a place that it has, and no place in line."""
    mine = waiter(2, started_at=at(5))
    scene = Scene(mine)
    name, unreadable = shared_by(mine), waiter(1, started_at=at(0))
    listed = NONE.given("a-1", at(0)) if stands == "holds the place" else NONE.waited_for(unreadable, at(9))
    scene.places.keep_places(name, listed, at(9))

    def load(action_id: str) -> Action | None:
        if action_id == "a-1":
            raise ConfigurationRefused([])
        return mine

    scene.load = load  # type: ignore[method-assign]
    assert (scene.ask(2, 10).began_at is None) == (stands == "holds the place")
    assert scene.telemetry.troubles


def test_who_waits_beyond_the_list_changes_nothing_by_asking_again() -> None:
    waiters = [waiter(number, started_at=at(number)) for number in range(MOST_WAITING + 10)]
    scene = Scene(*waiters)
    for number in range(len(waiters)):
        scene.ask(number, 100)
    before = scene.places.places(shared_by(waiters[0]))
    scene.ask(len(waiters) - 1, 121)
    assert scene.places.places(shared_by(waiters[0])) == before


def test_who_is_held_by_an_operator_lets_others_go_first() -> None:
    scene = Scene(waiter(1), waiter(2, started_at=at(-60)), waiter(3))
    for number in (1, 2, 3):
        scene.ask(number)
    scene.records["a-2"] = replace(scene.records["a-2"], operator_hold=NOTE)
    scene.end(1, 10)
    assert not is_in_line(scene.records["a-2"])
    assert scene.ask(3, 11).began_at == at(11)


def test_who_waits_and_asks_again_soon_stores_nothing() -> None:
    scene = Scene(waiter(1), waiter(2))
    scene.ask(1)
    scene.ask(2, 1)
    version = scene.places.places(shared_by(waiter())).version
    scene.ask(2, 61)
    assert scene.places.places(shared_by(waiter())).version == version
    scene.ask(2, 121)
    assert scene.places.places(shared_by(waiter())).version == version + 1


def test_where_nobody_can_say_it_waits() -> None:
    class Away(MemoryPlaces):
        def places(self, name: str) -> Places:
            raise Unavailable(name)

    scene = Scene(waiter(1))
    scene.places = Away()
    assert (scene.ask(1).began_at, scene.ask(1).behind) == (None, ())
    scene.end(1, 5)  # and that fails for nobody


def test_groups_have_places_of_their_own_unless_the_hook_shares_them() -> None:
    def named(group: str, per: Sharing) -> str:
        limits = Limits(at_once=1, at_once_per=per)
        return shared_by(waiter(hook=hook_terms(group=group, limits=limits, limited_with="es-*")))

    assert named("es-a", Sharing.GROUP) != named("es-b", Sharing.GROUP)
    assert named("es-a", Sharing.HOOK) == named("es-b", Sharing.HOOK)


def test_of_very_many_that_wait_the_nearest_are_listed() -> None:
    places = NONE
    for number in range(MOST_WAITING + 5, 0, -1):
        places = places.waited_for(waiter(number, started_at=at(number)), at(200))
    assert len(places.waiting) == MOST_WAITING
    assert places.in_line(at(200))[0] == "a-1"
    assert f"a-{MOST_WAITING + 5}" not in places.waiting


steps = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(["ask", "end", "crash"]), st.integers(0, 90)), max_size=60
)


@given(most=st.integers(1, 3), todo=steps)
def test_never_more_than_the_limit_have_begun(most: int, todo: list[tuple[int, str, int]]) -> None:
    """Whoever asks, ends or is cut off after the end, in whatever order; patience is long enough."""
    policy = a_policy([{"elapsed": "10m"}], give_up_after="10h")
    scene = Scene(*(waiter(number, Limits(at_once=most), policy=policy) for number in range(1, 7)))
    now = 0.0
    for number, what, after in todo:
        now += after
        action = scene.records[f"a-{number}"]
        if action.is_open and what == "ask" and action.began_at is None:
            scene.ask(number, now)
        elif action.is_open and what != "ask" and action.began_at is not None:
            scene.end(number, now, tells=what == "end")
        begun = [one for one in scene.records.values() if one.is_open and one.began_at is not None]
        assert len(begun) <= most
