"""`usher audit`: what a record shows of each promise, and what it cannot show."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.factories import a_policy, a_signal, an_action, as_closed, at, hook_terms
from tests.memory_account import MemoryStack, deployed, refused
from usher.core.action import MOST_LINES, Code, OperatorNote, Outcome, Result
from usher.core.finding import Findings, merged
from usher.core.limits import Limits
from usher.core.policy import UNDECIDED, Rule, undecided
from usher_cli.audit.audit import Audit, counts
from usher_cli.audit.together import at_once
from usher_cli.audit.told import Told
from usher_cli.audit.verdicts import PROMISES, UNSEEN

if TYPE_CHECKING:
    from usher.core.action import Entry
    from usher_cli.audit.verdicts import Verdict

__all__ = ["deployed"]  # a fixture

HEARTBEAT = "RecordLifecycleActionHeartbeat"
CONTINUE = "CompleteLifecycleAction CONTINUE"
GONE = "no active action: ValidationError: No active Lifecycle Action found with token c"
WAITS = "waits: no signal jobs-finished"
ANN = "arn:aws:iam::1:user/ann"


def lines_of(*told: tuple[float, str, str], **changes: Any) -> Told:
    """A record whose timeline has these lines; the codes of answers follow from their texts."""
    action = an_action(**changes)
    timeline: list[Entry] = []
    for second, event, detail in told:
        accepted = Code.HEARTBEAT_ACCEPTED if HEARTBEAT in detail else Code.RESULT_ACCEPTED
        code = accepted if event == "answer" and detail.endswith(": accepted") else ""
        action = action.noted(at(second), event, detail, code)
        assert action.last_entry is not None
        timeline = [line for line in timeline if line.number != action.last_entry.number]
        timeline.append(action.last_entry)
    return Told(action=action, timeline=timeline)


def closed(outcome: Outcome = Outcome.COMPLETED, at_second: float = 130, **changes: Any) -> dict[str, Any]:
    """The fields of a closed record."""
    proven = outcome is Outcome.COMPLETED
    return as_closed(at_second, outcome, **{"reason": "", "is_proven": proven, **changes})


BEGUN = (1, "notified", "by sqs; policy drain-workers")
DONE = (120, "signal", "jobs-finished done")
DECIDED = (120, "complete", "CONTINUE: done: signal jobs-finished says done")
ACCEPTED = (121, "answer", f"{CONTINUE}: accepted")
COMPLETED = (121, "closed", "completed: done: signal jobs-finished says done")
WHOLE = (BEGUN, (2, "wait", WAITS), DONE, DECIDED, ACCEPTED, COMPLETED)
HEARD = (a_signal(at=at(118)),)


def audited(*all_told: Told) -> list[Verdict]:
    held = Audit()
    for told in all_told:
        held.add(told)
    return held.verdicts()


def only(verdicts: list[Verdict]) -> tuple[str, str, bool]:
    """The promise, the text, and whether it is broken, of the one verdict that there is."""
    (verdict,) = verdicts
    return verdict.promise, verdict.text, verdict.is_broken


def test_a_record_of_an_ordinary_wait_keeps_every_promise() -> None:
    assert audited(lines_of(*WHOLE, **closed(signals=HEARD))) == []


# 1 One result


def test_two_results_are_more_than_one() -> None:
    again = (123, "complete", "ABANDON: gave up after 45m")
    told = lines_of(*WHOLE[:-1], again, COMPLETED, **closed(signals=HEARD))
    assert audited(told)[0].text == (
        "decided 2 times, from CONTINUE at 2026-03-01T12:02:00Z to ABANDON at 2026-03-01T12:02:03Z"
    )


def test_a_result_that_was_sent_before_it_was_stored_is_seen() -> None:
    told = lines_of(BEGUN, DONE, ACCEPTED, DECIDED, COMPLETED, **closed(signals=HEARD))
    assert only(audited(told))[:2] == ("one_result", "CONTINUE was sent before it was stored")


def test_a_result_that_was_forgotten_is_seen() -> None:
    told = lines_of(*WHOLE[:4], (122, "heartbeat", WAITS), ACCEPTED, COMPLETED, **closed(signals=HEARD))
    promises = {verdict.promise for verdict in audited(told)}
    assert "one_result" in promises


# 2 Never early


@pytest.mark.parametrize(
    ("policy", "second", "decided", "is_fine"),
    [
        ({"until": [{"elapsed": "90s"}]}, 90, "CONTINUE: done: 90s elapsed", True),
        ({"until": [{"elapsed": "90s"}]}, 89, "CONTINUE: done: 90s elapsed", False),
        ({"give_up_after": "2m", "on_give_up": "CONTINUE"}, 120, "CONTINUE: gave up after 2m", True),
        ({"give_up_after": "2m", "on_give_up": "CONTINUE"}, 60, "CONTINUE: gave up after 2m", False),
        ({"give_up_after": "2m"}, 120, "ABANDON: gave up after 2m", True),
        (
            {"stalled_after": "2m", "on_failure": "CONTINUE"},
            121,
            "CONTINUE: stalled: no progress for 2m",
            True,
        ),
        (
            {"stalled_after": "2m", "on_failure": "CONTINUE"},
            90,
            "CONTINUE: stalled: no progress for 2m",
            False,
        ),
    ],
    ids=str,
)
def test_a_result_before_its_time_is_early(
    policy: dict[str, Any], second: int, decided: str, is_fine: bool
) -> None:
    until = policy.pop("until", [{"signal": "jobs-finished"}])
    result = Result(decided[:8].partition(":")[0])
    told = lines_of(
        BEGUN,
        (second, "complete", decided),
        (second + 1, "answer", f"CompleteLifecycleAction {result}: accepted"),
        (second + 1, "closed", f"completed: {decided.partition(': ')[2]}"),
        **closed(policy=a_policy(until, **policy), result=result),
    )
    policy["until"] = until
    assert [verdict.promise for verdict in audited(told)] == ([] if is_fine else ["never_early"])


def test_a_signal_that_failed_is_not_done() -> None:
    said = (120, "signal", "jobs-finished failed")
    told = lines_of(BEGUN, said, DECIDED, ACCEPTED, COMPLETED, **closed(signals=HEARD))
    promise, text, is_broken = only(audited(told))
    assert (promise, is_broken) == ("never_early", True)
    assert text == (
        "CONTINUE was decided at 2026-03-01T12:02:00Z; by the record's facts its policy allowed only ABANDON"
    )


def test_no_signal_no_result() -> None:
    told = lines_of(BEGUN, DECIDED, ACCEPTED, COMPLETED, **closed())
    assert only(audited(told))[1].endswith("by the record's facts its policy allowed to wait")


def test_a_signal_of_before_the_action_does_not_count_for_it() -> None:
    told = lines_of(*WHOLE, **closed(signals=(a_signal(at=at(-200)),)))
    assert only(audited(told))[1] == (
        "signal jobs-finished counted, which was sent at 2026-03-01T11:56:40Z, before the action"
    )


def test_a_signal_to_another_token_does_not_count() -> None:
    told = lines_of(*WHOLE, **closed(signals=(a_signal(at=at(100), token="other"),)))
    assert "of another action's token" in only(audited(told))[1]


def test_what_an_operator_holds_is_not_let_go() -> None:
    hold = (60, "operator", f"{ANN}: hold: looking into it")
    told = lines_of(BEGUN, hold, *WHOLE[2:], **closed(signals=HEARD))
    assert only(audited(told))[0] == "never_early"
    off = (70, "operator", f"{ANN}: hold off: understood")
    assert audited(lines_of(BEGUN, hold, off, *WHOLE[2:], **closed(signals=HEARD))) == []


def test_an_operators_result_is_the_one_that_is_sent() -> None:
    note = OperatorNote(who=ANN, at=at(60), reason="broken")
    order = (60, "operator", f"{ANN}: complete ABANDON: broken")
    told = lines_of(
        BEGUN,
        order,
        *WHOLE[2:],
        **closed(signals=HEARD, operator_result_by=note, operator_result=Result.ABANDON),
    )
    assert only(audited(told))[1].endswith("allowed only ABANDON")


def test_a_retained_instance_that_is_released_is_let_go() -> None:
    note = OperatorNote(who=ANN, at=at(1), reason="looked at")
    ordered = (1, "operator", f"{ANN}: release: looked at")
    decided = (2, "complete", f"CONTINUE: requested by {ANN}: looked at")
    lines = (
        BEGUN,
        ordered,
        decided,
        (3, "answer", f"{CONTINUE}: accepted"),
        (3, "closed", "completed: requested"),
    )
    fields = closed(operator_result_by=note, operator_result=Result.CONTINUE)
    assert audited(lines_of(*lines, **fields)) == []


PROBED = a_policy([{"ecs": "drained"}])


def found(*said: tuple[float, str]) -> Findings:
    findings = Findings(turn=1)
    for second, detail in said:
        findings = findings.noted(at(second), "found", f"ecs drained: {detail}")
    return findings


def probed(*said: tuple[float, str]) -> Told:
    decided = (120, "complete", "CONTINUE: done: ecs drained: no target is left")
    told = lines_of(BEGUN, decided, ACCEPTED, (121, "closed", "completed: done"), **closed(policy=PROBED))
    return Told(action=told.action, timeline=merged(told.timeline, found(*said)))


def test_a_condition_counts_as_it_was_found() -> None:
    pending, holds = "pending: one target drains", "holds: no target is left"
    assert audited(probed((10, pending), (119, holds))) == []
    assert only(audited(probed((10, pending))))[0] == "never_early"


@pytest.mark.parametrize(
    "until",
    [
        {"any": {"elapsed": "2m"}},
        {"any": [{"signal": "x"}, {"elapsed": "2m"}]},
        {"not": {"signal": "x"}},
        {"elapsed": "1m", "then": {"elapsed": "2m"}},
        {"elapsed": "1m", "then": [{"elapsed": "90s"}, {"elapsed": "2m"}]},
    ],
    ids=str,
)
def test_every_form_of_a_condition_is_judged(until: dict[str, Any]) -> None:
    decided = (120, "complete", "CONTINUE: done: so it is")
    told = lines_of(BEGUN, decided, ACCEPTED, COMPLETED, **closed(policy=a_policy([until])))
    assert audited(told) == []


def test_one_answer_is_not_enough_for_what_may_be_of_a_moment_ago() -> None:
    assert only(audited(probed((119, "holds: no target is left"))))[1] == (
        "ecs drained counted as it was first answered; one answer is not enough"
    )


def test_limits_are_counted_over_all_actions_of_a_hook() -> None:
    hook = hook_terms(limits=Limits(complete_per_minute=2))

    def completed(number: int) -> Told:
        shifted = [(second + 10 * number, event, detail) for second, event, detail in WHOLE]
        return lines_of(*shifted, **closed(id=f"action-{number}", hook=hook, signals=HEARD))

    assert audited(completed(0), completed(1)) == []
    assert only(audited(completed(2), completed(0), completed(1)))[1] == (
        "the result of 2026-03-01T12:02:20Z is number 3; complete_per_minute: 2"
    )


def test_no_more_actions_than_at_once_have_begun() -> None:
    hook = hook_terms(limits=Limits(at_once=1))

    def begun(number: int, second: float) -> Told:
        begins = (second, "begins", "at_once 1")
        fields = closed(id=f"action-{number}", instance_id=f"i-{number}", hook=hook, began_at=at(second))
        return lines_of(BEGUN, begins, *WHOLE[2:], **fields, signals=HEARD)

    assert audited(begun(1, 5), begun(2, 125)) == []
    assert (
        only(audited(begun(1, 5), begun(2, 30)))[1] == "begun at 2026-03-01T12:00:30Z beside i-1; at_once: 1"
    )


def test_each_action_of_a_hook_with_at_once_is_held_against_those_that_still_go_on() -> None:
    """And not against all that began before it: an audit of twice as many takes twice as many steps."""
    steps: list[str] = []

    class Counted(Told):
        def __getattribute__(self, name: str) -> Any:
            steps.append(name)
            return super().__getattribute__(name)

    hook = hook_terms(limits=Limits(at_once=1))

    def steps_for(count: int) -> int:
        fields = (closed(at_second=60 * each + 50, began_at=at(60 * each)) for each in range(count))
        begun = [Counted(action=an_action(hook=hook, **each), timeline=[]) for each in fields]
        steps.clear()
        assert list(at_once(begun)) == []
        return len(steps)

    assert steps_for(200) <= 2.1 * steps_for(100)


def test_a_release_cannot_be_judged_by_the_record_and_abandons_nothing() -> None:
    def released(result: str) -> Told:
        decided = (120, "complete", f"{result}: Usher is being deleted")
        answer = (121, "answer", f"CompleteLifecycleAction {result}: accepted")
        return lines_of(
            BEGUN, decided, answer, (121, "closed", "completed: deleted"), **closed(result=Result(result))
        )

    assert only(audited(released("CONTINUE")))[2] is False
    assert only(audited(released("ABANDON")))[2] is True


TALK = tuple((2 + number / 20, "wait", f"waits: {number} jobs are left") for number in range(3, MOST_LINES))


@pytest.mark.parametrize(
    ("noted", "left_out", "after", "changes"),
    [
        pytest.param("progress", "done", WHOLE[3:], closed(signals=HEARD), id="done"),
        pytest.param("done", "progress", ((120, "heartbeat", WAITS),), {}, id="taken back"),
    ],
)
def test_what_a_very_long_timeline_left_out_breaks_no_promise(
    noted: str, left_out: str, after: tuple[tuple[float, str, str], ...], changes: dict[str, Any]
) -> None:
    """From MOST_LINES on no signal is noted, though the numbers of the lines go on without a hole."""
    held = (1, "operator", f"{ANN}: hold: looking into it")
    off = (115, "operator", f"{ANN}: hold off: understood")
    first, second = (2, "signal", f"jobs-finished {noted}"), (110, "signal", f"jobs-finished {left_out}")
    told = lines_of(BEGUN, held, first, *TALK, second, off, *after, **changes)
    assert [line.event for line in told.lines[MOST_LINES:]] == ["operator", *(each[1] for each in after)]
    assert {verdict.is_broken for verdict in audited(told)} == {False}


# 3 Never by default


EXPIRED = (3700, "closed", "defaulted: got the default result ABANDON: its heartbeat timeout expired")
ASKED = (3650, "heartbeat", WAITS)
NO_MORE = (3651, "answer", f"{HEARTBEAT}: {GONE}")
OTHER = lines_of(BEGUN, (3500, "wait", WAITS), id="action-2")


def defaulted(*between: tuple[float, str, str], **changes: Any) -> Told:
    told = (BEGUN, (2, "wait", WAITS), *between, ASKED, NO_MORE, EXPIRED)
    return lines_of(*told, **closed(Outcome.DEFAULTED, 3700, **changes))


def test_a_default_result_while_usher_ran_breaks_the_promise() -> None:
    assert only(audited(defaulted(), OTHER)) == (
        "never_by_default",
        (
            "got the default result ABANDON at 2026-03-01T13:00:00Z: no call was sent in its last 300 s; "
            "others were evaluated"
        ),
        True,
    )


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (defaulted(paused_by=ANN), f"Usher was paused by {ANN}"),
        (defaulted(first_seen_at=at(3595)), "it was known at 2026-03-01T12:59:55Z only"),
        (
            defaulted(
                (3400, "heartbeat", WAITS),
                (3401, "answer", f"{HEARTBEAT}: busy: Throttling"),
                (3590, "heartbeat", WAITS),
                (3591, "answer", f"{HEARTBEAT}: busy: Throttling"),
            ),
            "Auto Scaling accepted no call in time (busy)",
        ),
        (
            defaulted(policy=a_policy([{"elapsed": "90s"}])),
            "its policy let go before that, and its evaluation came too late",
        ),
    ],
    ids=["paused", "known late", "throttled", "over before"],
)
def test_a_default_result_with_an_excuse_in_the_record_is_none_of_ushers(told: Told, said: str) -> None:
    found = [verdict for verdict in audited(told, OTHER) if verdict.promise == "never_by_default"]
    promise, text, is_broken = only(found)
    assert (promise, is_broken) == ("never_by_default", False)
    assert text.endswith(said)


def test_one_refused_call_is_an_excuse_unless_a_call_for_another_was_accepted_after_it() -> None:
    tried = defaulted((3290, "heartbeat", WAITS), (3291, "answer", f"{HEARTBEAT}: busy: Throttling"))
    _, text, is_broken = only(audited(tried, OTHER))
    assert not is_broken
    assert text.endswith("Auto Scaling accepted no call in time (busy)")
    beaten = lines_of(
        BEGUN, (3500, "heartbeat", WAITS), (3501, "answer", f"{HEARTBEAT}: accepted"), id="action-2"
    )
    assert only(audited(tried, beaten))[2]


def test_whether_usher_ran_is_unknown_where_no_other_record_shows_it() -> None:
    _, text, is_broken = only(audited(defaulted()))
    assert not is_broken
    assert "no record shows that Usher's functions ran" in text


def test_a_heartbeat_at_the_last_moment_is_told_and_breaks_nothing() -> None:
    def beaten(second: float) -> list[Verdict]:
        told = lines_of(BEGUN, (second, "heartbeat", WAITS), (second + 1, "answer", f"{HEARTBEAT}: accepted"))
        return audited(told)

    assert beaten(3595) == []
    late = "a heartbeat was sent {} its expiry; Usher plans 5 s, and more if it can"
    for second, when in ((3596, "4 s before"), (3602, "2 s after")):
        promise, text, is_broken = only(beaten(second))
        assert (promise, is_broken) == ("never_by_default", False)
        assert text.startswith(late.format(when))


def test_the_smallest_margin_is_that_of_all_actions(deployed: MemoryStack) -> None:
    for number, second in ((1, 3000), (2, 3300)):
        beaten = ((second, "heartbeat", WAITS), (second + 1, "answer", f"{HEARTBEAT}: accepted"))
        recorded(deployed, lines_of(BEGUN, *beaten, id=f"action-{number}", token=f"{number}"))
    deployed.now = at(3400)
    assert deployed.json("audit")["least_margin_s"] == 300
    assert "smallest margin of a heartbeat: 300 s before the expiry" in deployed.usher("audit").stdout


# 5 Only what is Usher's


def test_in_observe_mode_nothing_is_called() -> None:
    policy = a_policy(mode="observe")
    called = ((60, "heartbeat", WAITS), (61, "answer", f"{HEARTBEAT}: accepted"))
    assert only(audited(lines_of(BEGUN, *called, policy=policy)))[0] == "only_ours"


def test_an_action_keeps_its_policy() -> None:
    told = lines_of((1, "notified", "by sqs; policy other"), *WHOLE[1:], **closed(signals=HEARD))
    assert only(audited(told))[1] == "it began under policy other, and ended under drain-workers"
    changed = (3, "policy", "drain-workers from now on: EC2 Instance Launch Unsuccessful")
    told = lines_of((1, "notified", "by sqs; policy other"), changed, *WHOLE[2:], **closed(signals=HEARD))
    assert audited(told) == []


# 6 Level, not edge


def test_who_waits_on_although_the_facts_let_go_is_late() -> None:
    late = lines_of(BEGUN, DONE, (121, "wait", WAITS), *WHOLE[3:], **closed(signals=HEARD))
    assert only(audited(late))[:2] == (
        "in_time",
        "wait at 2026-03-01T12:02:01Z: by the record's facts the wait was over",
    )


def test_a_limit_or_a_hold_is_a_reason_to_wait_on() -> None:
    limited = (121, "wait", "held by the limit of 2 results per minute; it would get CONTINUE: done")
    assert audited(lines_of(BEGUN, DONE, limited, *WHOLE[3:], **closed(signals=HEARD))) == []


def test_an_action_whose_policy_is_not_chosen_is_judged_by_none() -> None:
    """Its record has the policy of the last rule, which may not be the one."""
    rules = (
        Rule(when=(("instance_type", "m7g.*"),), use=a_policy([{"elapsed": "10m"}], name="large")),
        Rule(when=(), use=a_policy([{"elapsed": "90s"}], name="else")),
    )
    waits = (200, "wait", "waits: EC2 is asked which instance it is")
    begun = (1, "notified", f"by sqs; policy {UNDECIDED}")
    assert audited(lines_of(begun, waits, policy=undecided(rules))) == []
    (verdict,) = audited(lines_of(begun, waits, policy=replace(rules[1].use, name=UNDECIDED)))
    assert verdict.promise == "in_time"  # as it would be by the last rule


# 7 Explained


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (lines_of(*WHOLE[1:], **closed(signals=HEARD)), "no line says how it became known"),
        (lines_of(BEGUN, (2, "wait", ""), *WHOLE[2:], **closed(signals=HEARD)),
         "the line wait at 2026-03-01T12:00:02Z has no reason"),
        (lines_of(*WHOLE[:-1], **closed(signals=HEARD)), "no line says how it ended"),
        (lines_of(*WHOLE, **closed(Outcome.ENDED_ELSEWHERE, signals=HEARD)),
         "recorded as ended_elsewhere; its last line says completed: done: signal jobs-finished says done"),
        (lines_of(*WHOLE, **closed(signals=HEARD, heartbeats=3)),
         "the record counts 3 heartbeats; its timeline has 0"),
        (lines_of(BEGUN, (60, "operator", "looking into it"), *WHOLE[2:], **closed(signals=HEARD)),
         "the operator's line at 2026-03-01T12:01:00Z has no command"),
        (lines_of(BEGUN, DONE, DECIDED, (121, "answer", f"{CONTINUE}: accepted: ValidationError: No active"),
                  COMPLETED, **closed(signals=HEARD)),
         "CompleteLifecycleAction is recorded as accepted; Auto Scaling said: ValidationError: No active"),
        (lines_of(BEGUN, (60, "heartbeat", WAITS), (61, "answer", f"{HEARTBEAT}: busy: Throttling"),
                  (62, "closed", "ended_elsewhere: busy"), **closed(Outcome.ENDED_ELSEWHERE, 62)),
         "closed at 2026-03-01T12:01:02Z, after RecordLifecycleActionHeartbeat was answered: busy"),
        (lines_of(BEGUN, DONE, DECIDED, (121, "answer", f"{CONTINUE}: {GONE}"), COMPLETED,
                  **closed(signals=HEARD, is_proven=False)),
         "recorded as completed; no result of Usher's was accepted"),
    ],
)  # fmt: skip
def test_what_a_record_does_not_explain_is_told(told: Told, text: str) -> None:
    assert next((verdict.text, verdict.is_broken) for verdict in audited(told)) == (text, True)


def test_auto_scalings_own_words_count_for_more_than_the_outcome() -> None:
    token = an_action().token
    said = f"EC2 Instance Launch Unsuccessful: Lifecycle Action with token {token} was abandoned: "
    told = lines_of(
        BEGUN,
        (60, "heartbeat", WAITS),
        (61, "answer", f"{HEARTBEAT}: accepted"),
        (3650, "outcome", f"{said}Heartbeat Timeout"),
        (3651, "heartbeat", "asks whether the wait goes on"),
        (3652, "answer", f"{HEARTBEAT}: {GONE}"),
        (3652, "closed", "ended_elsewhere: ended elsewhere"),
        **closed(Outcome.ENDED_ELSEWHERE, 3652, heartbeats=1, beaten_at=at(60)),
    )
    assert only(audited(told))[1] == (
        "recorded as ended_elsewhere; Auto Scaling says that its heartbeat timeout expired"
    )


def test_a_result_whose_answer_was_lost_is_unknown() -> None:
    closed_line = (150, "closed", "completed: done (by an earlier call of Usher, whose answer was lost)")
    told = lines_of(
        BEGUN, DONE, DECIDED, (121, "answer", f"{CONTINUE}: unanswered: ReadTimeoutError"),
        (150, "answer", f"{CONTINUE}: {GONE}"), closed_line,
        **closed(signals=HEARD, is_proven=False, completes_sent=(at(120),)),
    )  # fmt: skip
    assert only(audited(told)) == (
        "explained",
        "its result had no answer; nobody can know whether that call ended it",
        False,
    )


EVENTS = st.sampled_from(
    [
        *("notified", "adopted", "wait", "heartbeat", "complete", "answer", "closed", "signal", "operator"),
        *("outcome", "instance", "policy", "hook", "begins", "held", "paused", "taken up", "gap", "new"),
    ]
)
DETAILS = st.text(max_size=30) | st.sampled_from(
    [
        *(detail for _, _, detail in WHOLE),
        f"{ANN}: extend to ",
        f"{ANN}: extend to 2026-03-01T13:00:00Z: why",
        f"{ANN}: complete : why",
        f"{HEARTBEAT}: {GONE}",
        "jobs-finished",
    ]
)


@example([(1, "operator", f"{ANN}: extend to "), (2, "wait", WAITS)], Outcome.COMPLETED)
@example([(1, "operator", f"{ANN}: extend to 2026-03-01: why"), (2, "wait", WAITS)], Outcome.COMPLETED)
@given(st.lists(st.tuples(st.floats(0, 5000), EVENTS, DETAILS), max_size=12), st.sampled_from(list(Outcome)))
def test_no_timeline_ends_the_audit(lines: list[tuple[float, str, str]], outcome: Outcome) -> None:
    """Texts of others stand in it, and lines of a newer release."""
    for told in (lines_of(*lines), lines_of(*lines, **closed(outcome, 5000))):
        for verdict in audited(told, OTHER):
            assert verdict.text


# The command


def recorded(deployed: MemoryStack, told: Told) -> None:
    """Put a record with its lines into the account."""
    opened = replace(told.action, version=1, recent=tuple(told.timeline))
    deployed.records.open(opened, None)


def test_a_kept_period_ends_with_0_and_a_broken_promise_with_1(deployed: MemoryStack) -> None:
    recorded(deployed, lines_of(*WHOLE, **closed(signals=HEARD)))
    deployed.now = at(600)
    outcome = deployed.usher("audit")
    assert outcome.exit_code == 0
    assert "  2 Never early            kept" in outcome.stdout.splitlines()

    early = lines_of(
        BEGUN, DECIDED, ACCEPTED, COMPLETED, **closed(id="early", token="t", instance_id="i-early")
    )
    recorded(deployed, early)
    outcome = deployed.usher("audit")
    assert outcome.exit_code == 1
    assert "  2 Never early            1 broken" in outcome.stdout.splitlines()
    assert "i-early in workers-1, hook usher-drain: CONTINUE was decided" in outcome.stdout
    assert "(usher show early)" in outcome.stdout


def test_the_audit_as_json(deployed: MemoryStack) -> None:
    recorded(deployed, lines_of(BEGUN, DECIDED, ACCEPTED, COMPLETED, **closed()))
    deployed.now = at(600)
    outcome = deployed.usher("audit", "--json")
    data = json.loads(outcome.stdout)
    assert outcome.exit_code == 1
    assert [each["promise"] for each in data["promises"]] == list(PROMISES)
    assert data["not_in_records"] == UNSEEN
    assert {key: data["broken"][0][key] for key in ("promise", "id", "instance_id", "group", "hook")} == {
        "promise": "never_early",
        "id": "action-1",
        "instance_id": "i-0f0e0d0c0b0a09080",
        "group": "workers-1",
        "hook": "usher-drain",
    }
    assert (data["actions"], data["open"], data["unreadable"]) == (1, 0, [])


def test_open_actions_are_audited_where_the_period_ends_now(deployed: MemoryStack) -> None:
    recorded(deployed, lines_of(BEGUN, DONE, (121, "wait", WAITS), evaluate_at=at(130), signals=HEARD))
    deployed.now = at(125)
    assert deployed.usher("audit").exit_code == 1
    assert deployed.usher("audit", "--to", "1s").exit_code == 0


def test_a_record_that_cannot_be_read_is_named(deployed: MemoryStack) -> None:
    recorded(deployed, lines_of(*WHOLE, **closed(signals=HEARD)))
    deployed.records.unreadable = frozenset({"action-1"})
    deployed.now = at(600)
    outcome = deployed.usher("audit")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Cannot read the record of action action-1")


def test_a_period_that_ends_before_it_begins_is_refused(deployed: MemoryStack) -> None:
    assert refused(deployed.usher("audit", "--from", "1h", "--to", "2h")) == (
        "Error: Invalid value: --from is after --to"
    )


def test_an_action_counts_once_for_a_promise() -> None:
    again = (123, "complete", "ABANDON: gave up after 45m")
    verdicts = audited(lines_of(*WHOLE[:-1], again, COMPLETED, **closed(signals=HEARD)))
    assert counts(verdicts, "one_result") == (1, 0)
