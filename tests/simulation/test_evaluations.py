"""One look at a time, against scripted answers: what is stored, called and woken, in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.factories import a_policy, a_signal, an_action, an_activity_end, at, hook_terms
from tests.simulation.evaluation_scene import (
    ACCEPTED,
    AT_ONCE,
    BUSY,
    GONE,
    REFUSED,
    UNANSWERED,
    UNREACHED,
    LoggingStore,
    Scene,
    nudge,
    short,
)
from usher.core import closing, reconcile
from usher.core.action import Action, Outcome, Phase, Result, Transition
from usher.core.held_wait import held_wait
from usher.core.live_waits import Activity
from usher.ports.errors import CutShort, Denied, Moved, NoAnswer, Unavailable
from usher.ports.queues import WHEN_DUE
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.held_wait import HeldWait
    from usher.core.policy import Policy
    from usher.ports.autoscaling import Answer
    from usher.ports.records import Raw


def test_a_result_is_stored_before_it_is_sent_and_the_end_after_its_answer() -> None:
    scene = Scene(an_action(policy=AT_ONCE), ACCEPTED)
    closed = scene.evaluate()
    assert scene.effects == ["wake v2 in 60s", "store v2 completing", "complete CONTINUE", "store v3 closed"]
    assert (closed.outcome, closed.result, closed.closed_at) == (Outcome.COMPLETED, Result.CONTINUE, at(0))


def test_a_heartbeat_stores_a_retry_before_the_call_and_the_new_expiry_after_it() -> None:
    scene = Scene(short(), ACCEPTED, now_s=20)
    beaten = scene.evaluate()
    assert scene.effects == [
        "wake v2 in 2.5s",
        "wake v2 in 6.25s",
        "store v2 open",
        "heartbeat",
        "wake v3 in 20s",
        "wake v3 in 25s",
        "store v3 open",
    ]
    assert (beaten.beaten_at, beaten.expires_at, beaten.heartbeats) == (at(20), at(50), 1)


@pytest.mark.parametrize("backup_s", [61, 300], ids=["a second after the retry", "later"])
def test_a_result_sends_no_wake_up_where_one_comes_that_makes_up_for_a_crash(backup_s: float) -> None:
    scene = Scene(an_action(policy=AT_ONCE, backup_at=at(backup_s)), ACCEPTED)
    closed = scene.evaluate()
    assert scene.effects == ["store v2 completing", "complete CONTINUE", "store v3 closed"]
    assert closed.backup_at is None


@pytest.mark.parametrize("backup_s", [-1, 30, 60.9], ids=["it has come", "too soon", "too soon to be sure"])
def test_a_wake_up_that_comes_before_a_retry_makes_up_for_nothing(backup_s: float) -> None:
    scene = Scene(an_action(policy=AT_ONCE, backup_at=at(backup_s)), ACCEPTED)
    scene.evaluate()
    assert scene.effects[0] == "wake v2 in 60s"


def test_a_result_whose_evaluation_is_cut_off_is_sent_by_the_wake_up_of_the_state_before() -> None:
    scene = Scene(an_action(policy=AT_ONCE, backup_at=at(120)), ACCEPTED, ACCEPTED)

    def cut_off() -> None:
        raise KeyboardInterrupt

    scene.during_call = cut_off
    with pytest.raises(KeyboardInterrupt):
        scene.evaluate()
    scene.during_call, scene.now = lambda: None, at(120)

    assert scene.evaluate(version=1).outcome is Outcome.COMPLETED


FIRST, BACKUP = (held_wait(short(), number) for number in (1, 2))


def cut_off_scene(policy: Policy | None = None) -> Scene:
    """At 20 s an evaluation was cut off in its call; the backup of the state before comes at 26 s."""
    scene = Scene(short(backup_at=at(26), policy=policy or a_policy()), ACCEPTED, ACCEPTED, now_s=20)

    def cut_off() -> None:
        raise KeyboardInterrupt

    scene.during_call = cut_off
    with pytest.raises(KeyboardInterrupt):
        scene.evaluate()
    assert scene.action.evaluate_at == at(22.5)
    assert scene.effects[0] == f"store v2 {scene.action.phase}", "it has no wake-ups of its own"
    scene.effects.clear()
    scene.during_call = lambda: None
    return scene


@pytest.mark.parametrize(
    ("woken_s", "version", "wait", "wakes"),
    [
        pytest.param(22, 1, BACKUP, ["wake v2 in 1s"], id="four seconds apart"),
        pytest.param(21.9, 1, BACKUP, [], id="sooner than clocks can be apart"),
        pytest.param(22, 1, FIRST, [], id="the first once more"),
        pytest.param(22, WHEN_DUE, None, [], id="the sweep's"),
    ],
)
@pytest.mark.parametrize("policy", [None, AT_ONCE], ids=["heartbeat", "result"])
def test_what_makes_up_for_a_crash_wakes_again_by_a_clock_that_is_behind(
    woken_s: float, version: int, wait: HeldWait | None, wakes: list[str], policy: Policy | None
) -> None:
    """Of trial 3898: by its clock the retry was not due yet, no other wake-up came, and the wait fell."""
    scene = cut_off_scene(policy)
    scene.now = at(woken_s)
    scene.evaluate(version, wait)
    assert scene.effects == wakes
    scene.now = at(22.5)
    scene.evaluate(version=2)
    call = "heartbeat" if policy is None else "complete CONTINUE"
    assert call in scene.effects


def test_it_does_so_where_the_notification_was_noted_once_more_meanwhile() -> None:
    scene = cut_off_scene()
    cut = scene.action
    scene.store.save(
        replace(cut, version=3, evaluation_id="", wakes_as=cut.stamp).noted(
            at(21), "notified", "again, by sns"
        )
    )
    scene.effects.clear()
    scene.now = at(22)
    scene.evaluate(1, BACKUP)
    assert scene.effects == ["wake v3 in 1s"]


def test_it_does_so_where_a_signal_was_noted_and_intake_was_cut_off_before_its_wake_up() -> None:
    scene = Scene(short(version=3, evaluate_at=at(24), backup_at=at(26)), now_s=22)
    scene.evaluate(1, BACKUP)
    assert scene.effects == ["wake v3 in 2s"]


def test_it_does_so_where_another_evaluation_was_faster_and_was_cut_off() -> None:
    """Both began from the state that the wake-up was for."""
    scene = Scene(short(backup_at=at(26)), now_s=22)
    first = scene.action

    class Overtaken(LoggingStore):
        def save(self, action: Action, *, raw: Raw | None = None) -> None:
            if self.load(action.id) == first:
                super().save(replace(first, version=2, evaluation_id="other", evaluate_at=at(24)))
            super().save(action, raw=raw)

    scene.store.__class__ = Overtaken
    scene.evaluate(1, BACKUP)
    assert scene.effects == ["store v2 open", "wake v2 in 2s"]


@pytest.mark.parametrize("backup_s", [22.9, None], ids=["it came too soon", "there was none"])
def test_a_heartbeat_that_has_wake_ups_of_its_own_is_not_woken_once_more(backup_s: float | None) -> None:
    scene = Scene(short(backup_at=backup_s and at(backup_s)), ACCEPTED, now_s=20)

    def others() -> None:
        scene.effects.clear()
        scene.now = at(22.4)
        scene.evaluate(1, BACKUP)
        assert scene.effects == []

    scene.during_call = others
    scene.evaluate()


def test_the_record_knows_when_its_second_wake_up_comes_if_the_queue_took_it() -> None:
    scene = Scene(short(), ACCEPTED, now_s=20)
    assert scene.evaluate().backup_at == at(45)

    down = Scene(short(), ACCEPTED, now_s=20)
    down.queue_is_down = True
    assert down.evaluate().backup_at is None


def test_the_new_expiry_counts_from_before_the_call_was_sent() -> None:
    scene = Scene(short(), ACCEPTED, now_s=20)

    def a_slow_call() -> None:
        scene.now = at(24)

    scene.during_call = a_slow_call
    assert scene.evaluate().expires_at == at(50)


@pytest.mark.parametrize("answer", [BUSY, UNREACHED, REFUSED, UNANSWERED], ids=lambda answer: answer.kind)
def test_a_heartbeat_that_was_not_accepted_moves_no_expiry_and_is_tried_again_in_time(answer: Answer) -> None:
    scene = Scene(short(), answer, now_s=20)
    tried = scene.evaluate()
    assert tried.expires_at == at(30)
    assert tried.evaluate_at is not None
    assert at(20) < tried.evaluate_at < at(30)


@pytest.mark.parametrize("answer", [BUSY, UNREACHED, REFUSED, UNANSWERED], ids=lambda answer: answer.kind)
def test_a_completion_that_was_not_accepted_sends_the_same_result_again(answer: Answer) -> None:
    scene = Scene(an_action(policy=a_policy([{"elapsed": "1s"}])), answer, ACCEPTED, now_s=5)
    tried = scene.evaluate()
    assert (tried.phase, tried.result) == (Phase.COMPLETING, Result.CONTINUE)
    assert tried.evaluate_at is not None
    scene.now = tried.evaluate_at
    assert scene.evaluate().outcome is Outcome.COMPLETED
    assert scene.effects.count("complete CONTINUE") == 2


def test_no_active_action_after_an_unanswered_completion_means_that_it_was_ours() -> None:
    scene = Scene(an_action(policy=AT_ONCE), UNANSWERED, GONE)
    scene.evaluate()
    scene.now = at(60)
    closed = scene.evaluate()
    assert (closed.outcome, closed.result) == (Outcome.COMPLETED, Result.CONTINUE)
    assert "whose answer was lost" in closed.reason


@pytest.mark.parametrize(
    ("ended_s", "outcome"),
    [
        pytest.param(5, Outcome.ENDED_ELSEWHERE, id="over before it was sent"),
        pytest.param(5.001, Outcome.COMPLETED, id="at the same time, as far as clocks can tell"),
    ],
)
def test_an_unanswered_completion_did_not_end_what_was_over_before(ended_s: float, outcome: Outcome) -> None:
    """Seed 3800: two looks at once asked for what a parallel hook had ended, and took each other's word."""
    over = an_activity_end(ended_at=at(ended_s))
    scene = Scene(an_action(policy=AT_ONCE, activity_end=over), UNANSWERED, GONE, now_s=10)
    scene.evaluate()
    scene.now = at(90)
    assert scene.evaluate().outcome is outcome


def test_a_doubt_of_the_live_state_does_not_take_an_unanswered_completion_for_someone_elses() -> None:
    doubtful = reconcile.doubted(an_action(policy=AT_ONCE), "the instance is Pending:Proceed", at(100))
    scene = Scene(doubtful, UNANSWERED, GONE, now_s=100)
    scene.evaluate()
    scene.now = at(180)
    closed = scene.evaluate()
    assert (closed.outcome, closed.result) == (Outcome.COMPLETED, Result.CONTINUE)


@pytest.mark.parametrize("answer", [BUSY, UNREACHED, REFUSED], ids=lambda answer: answer.kind)
def test_no_active_action_after_a_denied_completion_is_no_success(answer: Answer) -> None:
    scene = Scene(an_action(policy=AT_ONCE), answer, GONE)
    scene.evaluate()
    scene.now = at(90)
    closed = scene.evaluate()
    assert (closed.outcome, closed.result) == (Outcome.ENDED_ELSEWHERE, None)


def test_an_unanswered_completion_that_was_sent_after_the_expiry_proves_nothing() -> None:
    scene = Scene(short(policy=AT_ONCE), UNANSWERED, GONE, now_s=31)
    scene.evaluate()
    scene.now = at(120)
    assert scene.evaluate().outcome is Outcome.DEFAULTED


def test_a_young_action_that_is_not_visible_yet_is_asked_again_soon() -> None:
    """The action appears in Describe before CompleteLifecycleAction knows it (peers.md 3)."""
    scene = Scene(an_action(policy=AT_ONCE), GONE, ACCEPTED, now_s=3)
    waiting = scene.evaluate()
    assert waiting.evaluate_at == at(5)
    scene.now = at(5)
    assert scene.evaluate().outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("default", "result", "outcome"),
    [
        ("ABANDON", "ABANDON", Outcome.ENDED_ELSEWHERE),
        ("ABANDON", None, Outcome.ENDED_ELSEWHERE),
        ("CONTINUE", None, Outcome.DEFAULTED),
        ("ABANDON", "CONTINUE", Outcome.COMPLETED),
    ],
)
def test_no_abandon_ended_a_launch_that_went_into_service(
    default: str, result: str | None, outcome: Outcome
) -> None:
    """Neither a lost one of ours, nor the default, whatever the time of its event."""
    launch = short(
        phase=Phase.COMPLETING if result else Phase.OPEN,
        result=Result(result) if result else None,
        completes_sent=(at(10),) if result else (),
        activity_end=an_activity_end(ended_at=at(31), succeeded=True, transition=Transition.LAUNCHING),
        evaluate_at=at(60),
    )
    terms = replace(launch.hook, transition=Transition.LAUNCHING, default_result=Result(default))
    assert Scene(replace(launch, hook=terms), GONE, now_s=60).evaluate().outcome is outcome


def test_an_action_that_is_unknown_to_auto_scaling_beyond_its_first_seconds_has_ended() -> None:
    scene = Scene(an_action(policy=AT_ONCE), GONE, now_s=15.1)
    closed = scene.evaluate()
    assert (closed.outcome, closed.reason) == (
        Outcome.ENDED_ELSEWHERE,
        "ended elsewhere before its heartbeat timeout expired",
    )


def test_a_wait_that_ran_out_under_our_eyes_is_called_defaulted() -> None:
    scene = Scene(short(), GONE, now_s=70)
    closed = scene.evaluate()
    assert (closed.outcome, closed.result) == (Outcome.DEFAULTED, None)
    assert scene.recorder.counts["Defaulted"] == 1


def test_a_wait_that_ran_out_before_it_was_known_is_counted_by_itself() -> None:
    scene = Scene(short(first_seen_at=at(65)), GONE, now_s=70)
    closed = scene.evaluate()
    assert (closed.outcome, closed.reason) == (Outcome.ENDED_ELSEWHERE, closing.KNOWN_TOO_LATE)
    counts = scene.recorder.counts
    assert (counts["KnownTooLate"], counts["EndedElsewhere"], counts["Defaulted"]) == (1, 1, 0)


def test_nothing_is_tried_beyond_the_global_timeout() -> None:
    scene = Scene(short(beaten_at=at(2990), heartbeats=99), REFUSED, now_s=3001)
    assert scene.evaluate().outcome is Outcome.DEFAULTED


def test_a_default_that_no_event_tells_of_leaves_open_that_somebody_else_ended_the_wait() -> None:
    """Throttled until its time was up, nobody here can know which it was (found by seed 3193)."""
    scene = Scene(short(), BUSY, GONE, now_s=25)
    scene.evaluate()
    scene.now = at(31)
    assert scene.evaluate().reason == (
        "got the default result ABANDON: its heartbeat timeout expired, or somebody else ended it unseen"
    )


def test_a_result_that_is_refused_is_not_tried_for_ever() -> None:
    """No heartbeat is sent while completing: a timeout after its expiry the wait is surely over."""
    scene = Scene(short(policy=AT_ONCE), *[REFUSED] * 99)
    scene.evaluate()
    while scene.action.evaluate_at is not None:
        scene.now = scene.action.evaluate_at
        scene.evaluate()
    assert scene.now <= at(120)
    assert (scene.action.outcome, scene.action.reason) == (
        Outcome.DEFAULTED,
        (
            "got the default result ABANDON: its heartbeat timeout expired, and CONTINUE was not accepted: "
            "AccessDenied"
        ),
    )


def test_a_result_by_instance_is_not_sent_into_a_later_activity() -> None:
    scene = Scene(an_action(policy=AT_ONCE, token=None), now_s=60)
    scene.activity = Activity(
        id="later", instance_id="i-0f0e0d0c0b0a09080", started_at=at(30), description="", cause=""
    )
    assert scene.evaluate().outcome is Outcome.ENDED_ELSEWHERE
    assert scene.effects == ["describe activities", "store v2 closed"]


def test_a_wake_up_for_an_older_version_does_nothing_before_the_evaluation_is_due() -> None:
    scene = Scene(an_action(policy=AT_ONCE, version=3, evaluate_at=at(1)))
    scene.evaluate(version=2)
    assert scene.effects == []


def test_any_wake_up_evaluates_what_is_due() -> None:
    """So that what moves the version, and not the time of the next evaluation, needs no further wake-ups."""
    scene = Scene(an_action(policy=AT_ONCE, version=3), ACCEPTED)
    assert scene.evaluate(version=2).outcome is Outcome.COMPLETED


def test_a_sweep_does_nothing_before_the_evaluation_is_due() -> None:
    scene = Scene(an_action(policy=AT_ONCE, evaluate_at=at(1)))
    scene.evaluate()
    assert scene.effects == []


def test_a_wake_up_for_the_present_version_evaluates_even_before_it_is_due() -> None:
    scene = Scene(an_action(policy=AT_ONCE, evaluate_at=at(1)), ACCEPTED)
    assert scene.evaluate(version=1).outcome is Outcome.COMPLETED


def test_a_look_at_what_is_not_there_or_closed_does_nothing() -> None:
    scene = Scene(an_action(policy=AT_ONCE), ACCEPTED)
    scene.evaluate()
    scene.effects.clear()
    scene.evaluate()
    scene.evaluator.evaluate("action-2")
    assert scene.effects == []


def test_what_comes_during_a_call_is_kept_beside_the_answer_and_looked_at_at_once() -> None:
    scene = Scene(short(), ACCEPTED, now_s=20)
    scene.during_call = lambda: nudge(scene, at(20))
    beaten = scene.evaluate()
    assert (beaten.heartbeats, beaten.expires_at, beaten.evaluate_at) == (1, at(50), at(20))


def test_an_accepted_completion_is_recorded_whatever_was_stored_during_the_call() -> None:
    scene = Scene(an_action(policy=AT_ONCE), ACCEPTED)
    scene.during_call = lambda: nudge(scene, at(0))
    assert scene.evaluate().outcome is Outcome.COMPLETED
    assert scene.effects.count("complete CONTINUE") == 1


def test_a_queue_that_is_down_stops_no_evaluation() -> None:
    scene = Scene(an_action(policy=AT_ONCE), ACCEPTED)
    scene.queue_is_down = True
    assert scene.evaluate().outcome is Outcome.COMPLETED
    assert [what for what, _ in scene.recorder.troubles] == ["a wake-up could not be sent"]


def test_a_signal_that_counted_is_kept_by_the_record() -> None:
    scene = Scene(an_action(), ACCEPTED)
    signal = a_signal(at=at(0))
    scene.store.keep_signal(signal)
    closed = scene.evaluate()
    assert (closed.outcome, closed.signals) == (Outcome.COMPLETED, (signal,))


def test_equal_evaluations_are_one_line_with_their_count() -> None:
    scene = Scene(an_action(hook=hook_terms(heartbeat_timeout=timedelta(hours=2))))
    for second in (0, 10, 20):
        scene.now = at(second)
        scene.evaluate(version=scene.action.version)
    (line,) = scene.store.timeline("action-1")
    assert (line.event, line.count, line.at, line.last_at) == ("wait", 3, at(0), at(20))


def test_a_result_that_the_table_denies_is_not_decided() -> None:
    """So its wait may be held; only a store without an answer may have been done."""
    scene = Scene(an_action(policy=AT_ONCE))

    class DeniesWrites(MemoryStore):
        def save(self, action: Action, *, raw: Raw | None = None) -> None:
            raise Denied(f"DynamoDB says no to {action.id} {raw}")

    store = DeniesWrites(lambda: scene.now)
    store.open(an_action(policy=AT_ONCE), None)
    scene.evaluator = replace(scene.evaluator, store=store)
    with pytest.raises(Denied):
        scene.evaluator.evaluate("action-1")
    assert "complete CONTINUE" not in scene.effects


class NoBudget(MemoryBudget):
    """It does not answer."""

    def book(self, *moments: datetime) -> datetime | None:
        raise Unavailable(f"no booking of {len(moments)} moments")


def test_a_result_that_nobody_could_book_does_not_wait_for_the_second_of_a_heartbeat() -> None:
    """Found by a trial: it waited ten minutes, in an hour's hook up to an hour."""
    hook = hook_terms(heartbeat_timeout=timedelta(hours=1))
    scene = Scene(an_action(policy=AT_ONCE, hook=hook, booked_at=at(3000)))
    scene.evaluator = replace(scene.evaluator, budget=NoBudget(10))
    after = scene.evaluate()
    assert after.evaluate_at is not None
    assert (after.phase, after.evaluate_at <= at(60)) == (Phase.OPEN, True)


def test_a_heartbeat_that_only_asks_does_not_wait_for_the_second_of_the_next_one() -> None:
    """Seed 5074: its condition held four minutes before that second, and no evaluation came."""
    hook = hook_terms(heartbeat_timeout=timedelta(hours=1))
    doubted = reconcile.doubted(an_action(hook=hook, booked_at=at(3000)), "Terminating:Wait", at(10))
    scene = Scene(doubted, now_s=20)
    scene.evaluator = replace(scene.evaluator, budget=NoBudget(10))
    after = scene.evaluate()
    assert after.evaluate_at is not None
    assert at(20) < after.evaluate_at <= at(80)


def test_an_observed_action_is_not_looked_at_round_and_round_for_a_beat_that_was_booked_before() -> None:
    """Found by a trial: the policy was chosen again, after a launch that failed, and only observes."""
    observing = a_policy([{"signal": "never"}], mode="observe")
    scene = Scene(an_action(policy=observing, booked_at=at(-1)))
    after = scene.evaluate()
    assert after.evaluate_at is not None
    assert after.evaluate_at > scene.now


class GoesAwayInBetween(LoggingStore):
    """It answers once; then others have been faster, and it answers no more."""

    reads = 0

    def load(self, action_id: str) -> Action | None:
        self.reads += 1
        if self.reads > 1:
            raise NoAnswer("store down")
        return super().load(action_id)

    def save(self, action: Action, *, raw: Raw | None = None) -> None:  # noqa: ARG002
        raise Moved


def test_who_has_read_that_it_is_over_beats_nothing_where_the_table_goes_away_then() -> None:
    """The table went away between two tries of one evaluation (found by seed 74)."""
    over = an_action(
        phase=Phase.CLOSED,
        outcome=Outcome.COMPLETED,
        result=Result.CONTINUE,
        closed_at=at(5),
        evaluate_at=None,
    )
    scene = Scene(over, now_s=20)
    store = GoesAwayInBetween(scene)
    store.open(over, None)
    wait = held_wait(an_action(), 1)
    assert wait is not None
    with pytest.raises(CutShort) as cut:
        replace(scene.evaluator, store=store).evaluate("action-1", 1, wait.beaten(at(10)))
    assert not cut.value.may_beat


class DecidedMeanwhile(LoggingStore):
    """While a heartbeat is on its way somebody decides a result; then it answers no more."""

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        newest = self.load(action.id)
        if newest is None or newest.phase is not Phase.OPEN:
            raise NoAnswer("store down")
        if action.evaluation_id == "elsewhere" or not self._scene.effects.count("heartbeat"):
            super().save(action, raw=raw)
            return
        decided = replace(
            newest,
            version=newest.version + 1,
            evaluation_id="elsewhere",
            phase=Phase.COMPLETING,
            result=Result.CONTINUE,
        )
        super().save(decided)
        raise Moved


@pytest.mark.parametrize(("answer", "beaten_at"), [(UNANSWERED, None), (ACCEPTED, at(20))])
def test_who_reads_after_its_heartbeat_that_a_result_is_decided_sends_no_other_one(
    answer: Answer, beaten_at: datetime | None
) -> None:
    """Found by seed 4659: the answer of the heartbeat could not be stored, and the wake-up beat once more."""
    action = short(policy=a_policy([{"signal": "never"}]), evaluate_at=at(20))
    scene = Scene(action, answer, now_s=20)
    store = DecidedMeanwhile(scene)
    store.open(action, None)
    scene.evaluator = replace(scene.evaluator, store=store)
    with pytest.raises(CutShort) as cut:
        scene.evaluator.evaluate("action-1", None, held_wait(short(), 1))
    assert scene.effects.count("heartbeat") == 1
    # What was accepted is told on, and is no reason to beat again.
    assert (cut.value.beaten_at, cut.value.may_beat) == (beaten_at, beaten_at is not None)
    assert isinstance(cut.value.__cause__, NoAnswer)


class GoesAwayAtTheEnd(LoggingStore):
    """It can be read."""

    def save(self, action: Action, *, raw: Raw | None = None) -> None:  # noqa: ARG002
        raise NoAnswer("store down")


@pytest.mark.parametrize(
    ("mode", "is_paused", "may_beat"),
    [("enforce", False, True), ("enforce", True, False), ("observe", False, False)],
)
def test_who_has_read_that_it_is_observed_or_paused_beats_nothing_where_the_table_goes_away_then(
    mode: str, is_paused: bool, may_beat: bool
) -> None:
    """Found by seed 8096."""
    action = an_action(policy=a_policy([{"signal": "never"}], mode=mode), evaluate_at=at(20))
    scene = Scene(action, now_s=20)
    store = GoesAwayAtTheEnd(scene)
    store.open(action, None)
    if is_paused:
        store.pause(action.hook.name, "ada")
    with pytest.raises(Unavailable) as cut:
        replace(scene.evaluator, store=store).evaluate("action-1", None, held_wait(an_action(), 1))
    assert getattr(cut.value, "may_beat", True) == may_beat


def test_what_was_heard_of_late_and_beaten_since_fell_to_its_default_when_it_ran_out() -> None:
    """An accepted heartbeat shows that it was known in time (found by seed 294)."""
    late = short(first_seen_at=at(40), beaten_at=at(45), evaluate_at=at(80))
    ended = Scene(late, GONE, now_s=80).evaluate()
    assert (ended.outcome, ended.reason) == (
        Outcome.DEFAULTED,
        "got the default result ABANDON: its heartbeat timeout expired, or somebody else ended it unseen",
    )
