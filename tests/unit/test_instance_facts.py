"""What EC2 is asked of an instance for rules, and the choice of a policy by the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import a_policy, an_action, at, hook_terms
from tests.unit.test_policy import hook, rule, told
from usher.core import announce, choice, operators, questions
from usher.core.action import Action, OperatorNote, Phase, Result
from usher.core.conditions.instance_facts import InstanceFacts, choose_by
from usher.core.conditions.probe import Reply, ReplyKind, as_finding
from usher.core.decide import Complete, Wait, decide
from usher.core.field import Field, Refused
from usher.core.finding import ConditionStatus, Finding
from usher.core.operators import CommandRefused
from usher.core.ownership import Terms
from usher.core.policy import UNDECIDED, Mode, Policy, Rule, undecided

ASKED = InstanceFacts()
IN_A = {"availability_zone": "us-east-1a"}
ZONE_A, C7G, DB = ("availability_zone", "us-east-1a"), ("instance_type", "c7g.*"), ("tags.role", "db")


def candidate(name: str, *when: tuple[str, str], **changes: Any) -> Rule:
    return Rule(when=when, use=a_policy([{"signal": name}], name=name, **changes))


BY_ALL = (candidate("zone", ZONE_A), candidate("type", C7G), candidate("tag", DB), candidate("rest"))


def waiting(*rules: Rule, **changes: Any) -> Action:
    return an_action(policy=undecided(rules or BY_ALL), first_seen_at=at(0), **changes)


def shown(instance_id: str = "i-0123456789abcdef0", **changes: Any) -> dict[str, Any]:
    instance = {
        "InstanceId": instance_id,
        "Placement": {"AvailabilityZone": "us-east-1b"},
        "InstanceType": "c7g.large",
        "Tags": [{"Key": "role", "Value": "db"}, {"Key": "Name", "Value": "x"}],
        **changes,
    }
    return {"Reservations": [{"Instances": [instance]}]}


def heard(action: Action, data: object, kind: ReplyKind = ReplyKind.ANSWERED) -> Action:
    """The action with what is found in an answer."""
    call = ASKED.ask(action, {}, at(1))
    found = ASKED.hear(action, {}, call, Reply(kind=kind, data=data, text="AccessDenied"), at(1))
    return replace(action, findings=(as_finding(ASKED, found, None, at(1)),))


def chosen(action: Action, now_s: float = 2) -> str:
    return choice.made(action, at(now_s)).policy.name


def test_no_hooks_file_waits_for_it() -> None:
    with pytest.raises(Refused, match="must be a condition of a hooks file"):
        ASKED.parse(Field(path=("until", 0), value={}, problems=[]))


def test_all_is_asked_by_one_call_for_this_instance_alone() -> None:
    action = waiting()
    call = ASKED.ask(action, {}, at(0))
    assert (call.service, call.operation) == ("ec2", "DescribeInstances")
    assert call.parameters == {"Filters": [{"Name": "instance-id", "Values": [action.instance_id]}]}
    assert [each.actions for each in ASKED.permissions] == [("ec2:DescribeInstances",)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"Placement": {"AvailabilityZone": "us-east-1a"}}, "zone", id="the first that fits"),
        pytest.param({}, "type", id="a type by a glob"),
        pytest.param({"InstanceType": "m7i.large"}, "tag", id="a tag"),
        pytest.param({"InstanceType": "m7i.large", "Tags": []}, "rest", id="no tag"),
        pytest.param(
            {"InstanceType": "m7i.large", "Tags": [{"Key": "role", "Value": "db*"}]},
            "rest",
            id="another value",
        ),
    ],
)
def test_the_first_rule_that_fits_what_ec2_tells_is_chosen(changes: dict[str, Any], expected: str) -> None:
    action = waiting()
    after = choice.made(heard(action, shown(action.instance_id, **changes)), at(2))
    assert after.policy.name == expected
    assert after.last_entry is not None
    assert after.last_entry.event == "policy"
    assert "passed over" not in after.last_entry.detail


def test_the_line_of_the_choice_tells_what_is_known() -> None:
    action = waiting()
    line = choice.made(heard(action, shown(action.instance_id, Tags=[])), at(2)).last_entry
    assert line is not None
    assert line.detail == (
        "type from now on: availability_zone us-east-1b, instance_type c7g.large, tags.role none"
    )


def test_only_what_rules_ask_for_is_kept() -> None:
    action = waiting(candidate("tag", DB), candidate("rest"))
    (found,) = heard(action, shown(action.instance_id)).findings
    assert dict(found.memory) == {"tags.role": "db"}


@pytest.mark.parametrize(
    "data",
    [None, {}, {"Reservations": []}, {"Reservations": [{"Instances": ["x"]}]}, shown("i-other")],
    ids=["nothing", "no list", "an empty list", "no instance", "another instance"],
)
def test_an_answer_without_the_instance_is_unknown_and_asked_again(data: object) -> None:
    (found,) = heard(waiting(), data).findings
    assert (found.status, found.ask_again_at) == (ConditionStatus.UNKNOWN, at(6))


def test_while_nothing_is_known_it_is_held_and_nothing_else_is_asked() -> None:
    action = waiting()
    decision = decide(heard(action, None, ReplyKind.UNKNOWN), at(1))
    assert isinstance(decision, Wait)
    assert "AccessDenied" in decision.reason
    assert action.policy.leaves == (ASKED,)
    assert chosen(action, 89) == UNDECIDED


def test_what_is_not_known_in_time_is_passed_over_and_the_record_says_so() -> None:
    after = choice.made(heard(waiting(), None, ReplyKind.UNKNOWN), at(90))
    assert after.policy.name == "rest"
    assert after.last_entry is not None
    assert after.last_entry.detail == (
        "rest from now on: AccessDenied; unknown: availability_zone, instance_type, tags.role, "
        "so the rules for zone, type, tag were passed over"
    )


def test_a_single_fact_that_is_missing_passes_over_only_the_rules_that_need_it() -> None:
    action = waiting()
    after = choice.made(heard(action, shown(action.instance_id, Placement={})), at(2))
    assert after.policy.name == "type"
    assert after.last_entry is not None
    assert after.last_entry.detail.endswith(
        "unknown: availability_zone, so the rules for zone were passed over"
    )


def test_a_question_that_nobody_asked_is_told() -> None:
    line = choice.made(waiting(), at(90)).last_entry
    assert line is not None
    assert "EC2 was not asked in time" in line.detail


def test_a_choice_is_made_once() -> None:
    action = waiting()
    after = choice.made(heard(action, shown(action.instance_id)), at(2))
    again = heard(after, shown(action.instance_id, Placement={"AvailabilityZone": "us-east-1a"}))
    assert choice.made(again, at(3)).policy.name == "type"


def test_a_result_that_is_decided_is_not_followed_by_a_choice() -> None:
    action = waiting(operator_result_by=None)
    completing = replace(action, phase=Phase.COMPLETING, result=action.hook.default_result)
    assert choice.made(completing, at(90)) is completing


def test_the_end_of_the_instance_needs_no_policy() -> None:
    assert isinstance(decide(waiting(instance_ended_at=at(1)), at(2)), Complete)


WATCHED = (candidate("watch", DB, mode=Mode.OBSERVE), candidate("rest"))


def test_nothing_is_sent_for_an_instance_that_may_only_be_observed() -> None:
    """An observing policy calls nothing: what needs no policy waits for the choice too; EC2 is asked."""
    retiring = Terms(hook=hook("web"), let_through_from=at(-60))
    assert not retiring.lets_through(undecided(WATCHED), at(0))
    ended = waiting(*WATCHED, instance_ended_at=at(1))
    assert isinstance(decide(ended, at(2)), Wait)
    assert questions.due(ended, at(2)) == (ASKED,)
    chosen = choice.made(heard(ended, shown(ended.instance_id)), at(3))
    assert (chosen.policy.name, chosen.policy.mode) == ("watch", Mode.OBSERVE)


def test_an_operators_order_does_not_wait_for_the_choice() -> None:
    note = OperatorNote(who="ann", at=at(1), reason="now")
    ordered = waiting(*WATCHED, operator_result_by=note, operator_result=Result.CONTINUE)
    assert isinstance(decide(ordered, at(2)), Complete)


def test_how_long_it_may_wait_is_said_and_changed_only_once_its_policy_is_chosen() -> None:
    (opened,) = announce.between(None, waiting())
    assert "GiveUpTime" not in opened.detail
    note = OperatorNote(who="ann", at=at(1), reason="later")
    with pytest.raises(CommandRefused, match="is not chosen yet: try again"):
        operators.extend(note, timedelta(hours=2), None)(waiting(), at(2))


@pytest.mark.parametrize(
    ("patience", "started_s", "by_s"),
    [
        pytest.param("1h", 0, 90, id="a minute and a half"),
        pytest.param("1m", 0, 30, id="half of the shortest patience"),
        pytest.param("5s", 0, 10, id="some seconds for the answer, in any case"),
        pytest.param("1m", -50, 10, id="some seconds where it is seen late"),
    ],
)
def test_the_choice_is_made_in_time_for_every_candidate(patience: str, started_s: float, by_s: float) -> None:
    rules = (candidate("zone", ZONE_A, give_up_after=patience), candidate("rest", give_up_after="2h"))
    action = waiting(*rules, started_at=at(started_s))
    assert choose_by(action) == at(by_s)
    assert chosen(action, by_s - 1) == UNDECIDED
    assert chosen(action, by_s) == "rest"
    decision = decide(action, at(0))
    assert isinstance(decision, Wait)
    assert decision.evaluate_at <= at(by_s)


def test_patience_counts_from_the_start_whenever_the_choice_was_made() -> None:
    rules = (candidate("zone", ZONE_A), candidate("rest", give_up_after="1h"))
    after = choice.made(waiting(*rules), at(90))
    assert after.give_up_at == after.started_at + timedelta(hours=1)


def test_it_is_never_given_up_before_the_choice() -> None:
    short = hook_terms(heartbeat_timeout=timedelta(seconds=30))
    action = waiting(hook=short)
    assert choose_by(action) < action.give_up_at


@pytest.mark.parametrize(
    ("modes", "mode"),
    [
        (("observe", "observe"), Mode.OBSERVE),
        (("observe", "enforce"), Mode.ENFORCE),
        (("enforce", "observe"), Mode.ENFORCE),
    ],
)
def test_it_is_held_if_any_candidate_enforces(modes: tuple[str, str], mode: Mode) -> None:
    first, last = modes
    policy = undecided((candidate("zone", ZONE_A, mode=first), candidate("rest", mode=last)))
    assert policy.mode is mode
    assert not policy.takes_turns


# Which rules are left of a hook's

MOVE = told("m")


def policy_of(*rules: Rule) -> Policy:
    return hook("drain", *rules).policy_for(MOVE)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param((rule("a", **IN_A), rule("b")), UNDECIDED, id="a fact counts"),
        pytest.param((rule("a", metadata="m"), rule("b", **IN_A), rule("c")), "a", id="decided before"),
        pytest.param(
            (rule("a", group="x", **IN_A), rule("c")), "c", id="of a rule that does not fit besides"
        ),
        pytest.param((rule("a", **IN_A), rule("a")), "a", id="one policy whatever EC2 tells"),
        pytest.param(
            (
                rule("x", after="launch_failed"),
                rule("a", metadata="m"),
                rule("b", **IN_A),
                rule("c"),
            ),
            "a",
            id="a launch that may have failed is no fact",
        ),
        pytest.param(
            (rule("x", after="launch_failed", **IN_A), rule("c")),
            UNDECIDED,
            id="a fact that counts if the launch has failed",
        ),
    ],
)
def test_ec2_is_asked_only_where_its_answer_counts(rules: tuple[Rule, ...], expected: str) -> None:
    assert policy_of(*rules).name == expected


def test_a_launch_that_failed_is_known_at_the_choice_or_after_it() -> None:
    failed = candidate("failed", ("after", "launch_failed"), ZONE_A)
    policy = policy_of(failed, candidate("db", DB), candidate("rest"))
    action = replace(waiting(), policy=policy)
    in_zone = shown(action.instance_id, Placement={"AvailabilityZone": "us-east-1a"}, Tags=[])
    after = choice.made(heard(action, in_zone), at(2))
    assert after.policy.name == "rest"
    assert after.if_launch_failed == failed.use
    elsewhere = choice.made(heard(action, shown(action.instance_id)), at(2))
    assert (elsewhere.policy.name, elsewhere.if_launch_failed) == ("db", None)


def test_a_hook_whose_policy_is_not_chosen_keeps_none_for_a_failed_launch_yet() -> None:
    rules = (candidate("failed", ("after", "launch_failed")), candidate("db", DB), candidate("rest"))
    assert hook("drain", *rules).if_launch_failed(MOVE) is None


def test_what_was_found_and_lost_its_memory_is_unknown() -> None:
    """A finding that is too large for its item loses it."""
    lost = Finding(
        condition=ASKED.name, status=ConditionStatus.HOLDS, detail="x", asked_at=at(1), ask_again_at=None
    )
    assert chosen(replace(waiting(), findings=(lost,))) == "rest"
