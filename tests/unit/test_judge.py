"""What a checker of the trials may claim, where a seed that showed it is of another world by now."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import a_signal, an_action, hook_terms
from usher.core import configuration
from usher.core.action import Outcome, Phase, Result, Transition
from usher.core.announce import Announcement, Kind
from usher.core.held_wait import held_wait
from usher.core.policy import Move
from usher_simulator.autoscaling.groups import Hook
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Wait
from usher_simulator.trials.condition_replies import SERVICES
from usher_simulator.trials.condition_truths import CONDITIONS, Truth
from usher_simulator.trials.deployed import WAKE
from usher_simulator.trials.effects import Call
from usher_simulator.trials.faults import Fault, Swarm
from usher_simulator.trials.invocations import Invocation
from usher_simulator.trials.judge.changes import ChangesHarmNobody
from usher_simulator.trials.judge.events_out import EventsOut
from usher_simulator.trials.judge.explained import Explained
from usher_simulator.trials.judge.in_time import InTime
from usher_simulator.trials.judge.level_not_edge import LevelNotEdge
from usher_simulator.trials.judge.never_by_default import NeverByDefault
from usher_simulator.trials.judge.never_early import NeverEarly
from usher_simulator.trials.judge.nothing_lost import NothingLost
from usher_simulator.trials.judge.only_ours import OnlyOurs
from usher_simulator.trials.judge.terms import InForce
from usher_simulator.trials.judge.true_ends import TrueEnds
from usher_simulator.trials.policy_model import PossibleStatus, Said
from usher_simulator.trials.trial import START, Trial

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher_simulator.trials.judge.scene import Scene


def test_a_record_stays_adopted_when_its_token_is_known() -> None:
    checker = NeverEarly(Trial(1).scene)
    adopted = an_action(token=None)
    named = replace(adopted, token="token-1")
    checker.stored(None, adopted, None)
    checker.stored(adopted, named, None)

    assert checker.adopted(named)


def a_wait(action: Action, left_s: float) -> Wait:
    """That of an action, as the simulated service has it."""
    return Wait(
        token=action.token or "",
        group=action.hook.group,
        hook=action.hook.name,
        instance_id=action.instance_id,
        transition="terminating",
        origin="AutoScalingGroup",
        destination="EC2",
        heartbeat_timeout=timedelta(hours=1),
        default_result="ABANDON",
        started_at=START,
        expires_at=START + timedelta(seconds=left_s),
    )


@pytest.mark.parametrize(
    ("left_s", "is_changed", "claims"),
    [
        pytest.param(0, False, 0, id="another hook's time ended both, and its own was up"),
        pytest.param(60, False, 1, id="it had a minute left"),
        pytest.param(60, True, 0, id="others had raised its hook's timeout: seed 565"),
    ],
)
def test_what_others_ended_is_no_default_unless_its_own_time_was_up(
    left_s: float, is_changed: bool, claims: int
) -> None:
    scene = Trial(1).scene
    checker, opened = TrueEnds(scene), an_action(started_at=START)
    wait = a_wait(opened, left_s)
    if is_changed:
        scene.changed_by_others.add((wait.group, wait.hook))
    scene.waits.begin(wait)
    checker.stored(None, opened, None)
    wait.ended_at, wait.ended_by, wait.result = START, EndedBy.OTHER, "CONTINUE"
    closed = replace(opened, phase=Phase.CLOSED, outcome=Outcome.DEFAULTED, closed_at=START, evaluate_at=None)
    checker.stored(opened, closed, None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("opened_s", "is_changed", "claims"),
    [
        pytest.param(0, False, 1, id="its time was known"),
        pytest.param(0, True, 0, id="others had raised its hook's timeout: seed 6122"),
        pytest.param(56.9, False, 1, id="there was time for a heartbeat"),
        pytest.param(57.1, False, 0, id="its start is told in whole seconds, and clocks differ: seed 1820"),
    ],
)
def test_what_time_ended_is_told_as_a_default_where_its_time_was_known_before(
    opened_s: float, is_changed: bool, claims: int
) -> None:
    world = Trial(1)
    scene = world.scene
    checker, opened = TrueEnds(scene), an_action(started_at=START)
    wait = a_wait(opened, 60)
    if is_changed:
        scene.changed_by_others.add((wait.group, wait.hook))
    scene.waits.begin(wait)
    world.clock.run_until(START + timedelta(seconds=opened_s))
    checker.stored(None, opened, None)
    world.clock.run_until(START + timedelta(seconds=70))
    wait.ended_at, wait.ended_by = START + timedelta(seconds=60), EndedBy.HEARTBEAT_TIMEOUT
    elsewhere = Outcome.ENDED_ELSEWHERE
    closed = replace(opened, phase=Phase.CLOSED, outcome=elsewhere, closed_at=scene.clock(), evaluate_at=None)
    checker.stored(opened, closed, None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("sent_s", "named_by", "claims"),
    [
        pytest.param(-1, "LifecycleActionToken", 0, id="sent before a late message made the record"),
        pytest.param(1, "InstanceId", 0, id="sent while a message made the record: seed 364"),
        pytest.param(1, "LifecycleActionToken", 1, id="sent for the record"),
    ],
)
def test_what_a_removal_completed_unrecorded_no_later_record_can_tell(
    sent_s: float, named_by: str, claims: int
) -> None:
    scene = Trial(1).scene
    checker, opened = TrueEnds(scene), an_action(started_at=START)
    wait = a_wait(opened, 0)
    scene.waits.begin(wait)
    checker.stored(None, opened, None)
    sent = a_heartbeat(wait, scene.clock() + timedelta(seconds=sent_s), named_by)
    checker.called(replace(sent, operation="CompleteLifecycleAction"))
    wait.ended_at, wait.ended_by, wait.result = START, EndedBy.CALL, "CONTINUE"
    outcome = Outcome.ENDED_ELSEWHERE
    closed = replace(opened, phase=Phase.CLOSED, outcome=outcome, closed_at=START, evaluate_at=None)
    checker.stored(opened, closed, None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("since_s", "claims"),
    [
        pytest.param(12, 1, id="eighteen seconds were left of the 30 that are assumed at first"),
        pytest.param(22, 0, id="eight seconds were left of those: seed 1471"),
        pytest.param(92, 1, id="eight were left by the record, which is not believed"),
        pytest.param(192, 0, id="eight were left by the file"),
        pytest.param(3592, 0, id="eight were left by the service's own timeout"),
    ],
)
def test_a_chain_may_go_on_only_where_the_wait_was_nearly_over(since_s: float, claims: int) -> None:
    """Of two heartbeats at once the second hides no expiry."""
    world = Trial(1)
    scene = world.scene
    checker = LevelNotEdge(scene)
    opened = an_action(started_at=START, hook=hook_terms(heartbeat_timeout=timedelta(seconds=100)))
    deploy(scene, name=opened.hook.name, group=opened.hook.group, heartbeat_timeout="200s")
    wait = a_wait(opened, 3600)
    scene.waits.begin(wait)
    scene.memory.open(opened, None)
    checker.stored(None, opened, None)
    for at in (START, START + timedelta(seconds=since_s)):
        checker.called(a_heartbeat(wait, at))
    world.clock.run_until(START + timedelta(seconds=since_s))
    carried = held_wait(opened, 1)
    assert carried is not None
    by = Invocation(function="wake", timeout=timedelta(seconds=30))
    checker.woken(opened.id, opened.version, scene.clock(), replace(carried, links=1), by)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("senders", "each", "claims"),
    [
        pytest.param(1, 4, 0, id="its own, and two again"),
        pytest.param(1, 5, 1, id="too many by one"),
        pytest.param(5, 1, 0, id="one by each that met a backup: seeds 9328, 9500, 9600"),
        pytest.param(WAKE.most_at_once + 1, 1, 1, id="by more than there are containers"),
    ],
)
def test_one_invocation_sends_a_few_wake_ups_for_a_state(senders: int, each: int, claims: int) -> None:
    scene = Trial(1).scene
    checker = LevelNotEdge(scene)
    for number in range(senders):
        by = Invocation(function="wake", timeout=timedelta(seconds=30), number=number)
        for _ in range(each):
            checker.woken("action-1", 7, scene.clock(), None, by)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("group", "is_gone", "claims"),
    [
        pytest.param({"tags": {"team": "web"}}, False, 1, id="its tags are known"),
        pytest.param({"tags": {"team": "web"}}, True, 0, id="the group is gone, and its tags: seed 3396"),
        pytest.param("web", True, 1, id="the group is gone; its hook is given by name"),
    ],
)
def test_a_late_notification_of_a_group_that_is_gone_is_ours_by_name_alone(
    group: object, is_gone: bool, claims: int
) -> None:
    scene = Trial(1).scene
    deploy(scene, name="gate", group=group)
    scene.tags["web"].add(("team", "web"))
    groups: dict[str, Any] = {} if is_gone else {"web": None}
    scene.groups = groups
    said = {"LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "AutoScalingGroupName": "web"}
    NothingLost(scene).acknowledged(json.dumps({**said, "LifecycleHookName": "gate", "EC2InstanceId": "i-1"}))

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("is_recorded", "may"),
    [
        pytest.param(True, [], id="the wait before is known, with what ended it"),
        pytest.param(False, ["event-1"], id="nothing told of the wait before: seed 4037"),
    ],
)
def test_a_signal_of_a_wait_before_may_count_where_no_record_is_of_that_wait(
    is_recorded: bool, may: list[str]
) -> None:
    scene = Trial(1).scene
    checker, signal, opened = NeverEarly(scene), a_signal(at=START), an_action(started_at=START)
    before = a_wait(opened, 0)
    before.ended_at = START + timedelta(seconds=10)
    now = replace(before, token="token-2", started_at=START + timedelta(seconds=12), ended_at=None)
    for wait in (before, now):
        scene.waits.begin(wait)
    if is_recorded:
        scene.memory.open(opened, None)
        checker.stored(None, opened, None)
    scene.sent["event-1"] = Said(
        event_id="event-1", name="done", status="done", at=START, instance_id=opened.instance_id
    )
    checker.kept(signal)

    assert [[said.event_id for said in each] for each in checker.said_to(now)] == [may, []]


@pytest.mark.parametrize(
    ("is_restored", "claims"),
    [
        pytest.param(False, 1, id="the higher version counts"),
        pytest.param(True, 0, id="a restore set the version back: seed 4215"),
    ],
)
def test_of_several_ends_the_last_one_counts(is_restored: bool, claims: int) -> None:
    scene = Trial(1).scene
    ended = an_action(phase=Phase.CLOSED, outcome=Outcome.DEFAULTED, closed_at=START, evaluate_at=None)
    scene.memory.open(ended, None)
    scene.announced = [
        announced(Kind.OPENED, 1, ended, None),
        announced(Kind.COMPLETED, 4, ended, Outcome.ENDED_ELSEWHERE),
        announced(Kind.DEFAULTED, 3, ended, Outcome.DEFAULTED),
    ]
    scene.restored_at = START if is_restored else None
    EventsOut(scene).finished()

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("is_restored", "claims"),
    [
        pytest.param(False, 1, id="each is to be told"),
        pytest.param(True, 0, id="a restored table lost the first record: seed 11"),
    ],
)
def test_a_forged_notice_came_again_after_the_table_was_restored(is_restored: bool, claims: int) -> None:
    scene = Trial(1).scene
    checker, recorded = Explained(scene), an_action(token="FORGED").noted(START, "notified", "by sqs")
    checker.stored(None, recorded, None)
    scene.memory.open(recorded, None)
    scene.restored_at = START if is_restored else None
    for _ in range(2):
        checker.acknowledged(json.dumps({"LifecycleTransition": "any", "LifecycleActionToken": "FORGED"}))
    checker.finished()

    assert [each.text for each in scene.violations] == ["2 notices came, 1 are told"] * claims


@pytest.mark.parametrize(("promise", "claims"), [("7 explained", 0), ("4 told truly", 1)])
def test_of_a_forged_record_only_the_timeline_may_be_lost_by_a_restore(promise: str, claims: int) -> None:
    scene = Trial(1).scene
    forged = an_action(token="FORGED")
    scene.memory.open(forged, None)
    scene.restored_at = START
    scene.report(promise, "a lie", forged.id)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("ended_s", "is_removed", "is_quiet"),
    [
        pytest.param(5, True, True, id="it came late to a removed Usher: seed 3875"),
        pytest.param(5, False, False, id="Usher is there, and closes it"),
        pytest.param(60, True, False, id="it was known before its wait ended"),
        pytest.param(None, True, False, id="its wait goes on"),
    ],
)
def test_only_what_came_after_its_wait_may_stay_open_in_the_table_of_a_removed_usher(
    ended_s: float | None, is_removed: bool, is_quiet: bool
) -> None:
    world = Trial(1)
    late = START + timedelta(hours=1)  # what a record says of itself counts for nothing
    opened = an_action(started_at=START, first_seen_at=late)
    wait = a_wait(opened, 3600)
    wait.ended_at = START + timedelta(seconds=ended_s) if ended_s is not None else None
    world.scene.waits.begin(wait)
    world.clock.run_until(START + timedelta(seconds=10))
    world.scene.memory.open(opened, None)
    world.audience.stored(None, opened, None)
    world.usher.is_removed = is_removed

    assert world._is_left_alone() == is_quiet  # noqa: SLF001 - what a trial ends with


@pytest.mark.parametrize(
    ("is_settled", "gone_since"),
    [
        pytest.param(True, None, id="the update that brings it back has ended"),
        pytest.param(False, START, id="the file without it may count until then: seed 6638"),
    ],
)
def test_a_hook_by_tags_that_comes_back_may_be_on_its_way_out_while_the_stack_is_updated(
    is_settled: bool, gone_since: datetime | None
) -> None:
    world = Trial(1)
    scene = world.scene
    back = START + timedelta(minutes=10)
    deploy(scene, name="gate", group={"tags": {"team": "web"}})
    scene.deployed[:] = [
        InForce(since=START, file={"hooks": [], "policies": {}}),
        replace(scene.deployed[0], since=back),
    ]
    scene.tags["web"].add(("team", "web"))
    scene.is_settled = lambda: is_settled
    world.clock.run_until(back + timedelta(minutes=5))
    opened = an_action(started_at=scene.clock(), hook=hook_terms(group="web", name="gate"))
    checker = NeverEarly(scene)
    scene.waits.begin(a_wait(opened, 3600))
    checker.stored(None, opened, None)
    terms = checker.terms_of(opened)

    assert terms is not None
    assert terms.gone_since == gone_since


@pytest.mark.parametrize(
    ("again_s", "ended_s", "claims"),
    [
        pytest.param(20, 60, ["2 heartbeats"], id="in the middle of a wait"),
        pytest.param(1, 60, ["1 heartbeats"], id="at once, by copies of one wake-up: seed 7354"),
        pytest.param(10, 60, ["1 heartbeats"], id="by its copy, which had a cold start: seed 8584"),
        pytest.param(10.1, 60, ["2 heartbeats"], id="too late for a copy"),
        pytest.param(20, 22, ["1 heartbeats"], id="the second before the end, which clocks blur: seed 6771"),
    ],
)
def test_each_heartbeat_without_the_table_is_to_be_told(
    again_s: float, ended_s: float, claims: list[str]
) -> None:
    world = Trial(1)
    scene = world.scene
    checker, opened = Explained(scene), an_action(started_at=START)
    wait = a_wait(opened, 3600)
    scene.waits.begin(wait)
    scene.memory.open(opened, None)
    checker.stored(None, opened, None)
    beaten_at = START + timedelta(minutes=2)
    for later_s in (0, again_s):
        by = Invocation(function="sweep", timeout=timedelta(seconds=30))
        call = a_heartbeat(wait, beaten_at + timedelta(seconds=later_s), "InstanceId")
        checker.called(replace(call, invocation=by))
    wait.ended_at = beaten_at + timedelta(seconds=ended_s)
    checker.finished()

    told = [each.text for each in scene.violations if "without the table" in each.text]
    assert [text[: len("2 heartbeats")] for text in told] == claims


@pytest.mark.parametrize(
    ("is_held", "claims"),
    [
        pytest.param(True, [], id="a pass held it by the live state, and told: seed 1345"),
        pytest.param(False, ["1 answers came, 0 are told"], id="nobody told"),
    ],
)
def test_a_heartbeat_by_instance_is_told_as_an_answer_or_as_held(is_held: bool, claims: list[str]) -> None:
    scene = Trial(1).scene
    checker, opened = Explained(scene), an_action(started_at=START, token=None)
    if is_held:
        opened = opened.noted(START, "held", "1 heartbeat from 00:02:00Z to 00:02:00Z, without the table")
    wait = a_wait(replace(opened, token="c613620e"), 3600)
    scene.waits.begin(wait)
    scene.memory.open(opened, None)
    checker.stored(None, opened, None)
    by = Invocation(function="sweep", timeout=timedelta(seconds=30))
    checker.heard(opened, scene.memory.evidence(opened), by)
    call = a_heartbeat(wait, START + timedelta(minutes=2), "InstanceId")
    checker.called(replace(call, invocation=by))
    checker.finished()

    assert [each.text for each in scene.violations if "answers came" in each.text] == claims


@pytest.mark.parametrize(
    ("has_read", "claims"),
    [
        pytest.param(True, 1, id="it had read that the policy observes"),
        pytest.param(False, 0, id="without the table nobody could: seed 7065"),
    ],
)
def test_what_may_enforce_until_ec2_tells_may_be_held_by_who_knows_of_no_choice(
    has_read: bool, claims: int
) -> None:
    scene = Trial(1).scene
    rules = [{"when": {"availability_zone": "nowhere"}, "use": "finish"}, {"use": "watch"}]
    policies = {"finish": {"until": [{"signal": "done"}]}, "watch": {"until": [], "mode": "observe"}}
    deploy(scene, policies, name="drain", group="web", policy=rules)
    read = configuration.parse(scene.deployed[0].file)
    move = Move(group="web", transition=Transition.TERMINATING, origin="AutoScalingGroup", destination="EC2")
    terms = hook_terms(group="web", name="drain")
    opened = an_action(started_at=START, hook=terms, policy=read.hooks[0].policy_for(move))
    chosen = replace(opened, policy=read.policies["watch"])
    wait = a_wait(opened, 3600)
    scene.waits.begin(wait)
    scene.memory.open(chosen, None)
    checker, by = OnlyOurs(scene), Invocation(function="wake", timeout=timedelta(seconds=30))
    checker.stored(None, opened, None)
    if has_read:
        checker.read(chosen, by)
    checker.called(replace(a_heartbeat(wait, START), invocation=by))

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("calls", "claims"),
    [
        pytest.param(22, 1, id="a slot was left"),
        pytest.param(23, 0, id="heartbeats took every other slot of four minutes: seed 6047"),
    ],
)
@pytest.mark.parametrize("is_ordered", [False, True], ids=["by policy", "by an operator: seed 8328"])
def test_a_result_may_be_late_where_heartbeats_took_the_whole_call_budget(
    calls: int, claims: int, *, is_ordered: bool
) -> None:
    world = Trial(1)
    scene = world.scene
    scene.calls_per_second = 0.1
    until = [{"signal": "never"}] if is_ordered else []
    deploy(scene, {"drain": {"until": until}}, name="drain", group="web")
    opened = an_action(started_at=START, hook=hook_terms(group="web", name="drain"))
    wait = a_wait(opened, 3600)
    scene.waits.begin(wait)
    checker = InTime(scene)
    checker.stored(None, opened, None)
    scene.words[opened.id].ordered_at = START if is_ordered else None
    world.clock.run_until(START + timedelta(minutes=10))
    by = Invocation(function="wake", timeout=timedelta(seconds=30))
    for number in range(calls, 0, -1):
        beaten_at = scene.clock() - timedelta(seconds=5 * number)
        checker.called(replace(a_heartbeat(wait, beaten_at), invocation=by))
    checker.stored(opened, replace(opened, phase=Phase.COMPLETING, result=Result.CONTINUE), None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("until_s", "claims"),
    [
        pytest.param(None, 1, id="it has held since"),
        pytest.param(1195, 0, id="in the ten seconds between both of its moments it was not sure: seed 8360"),
    ],
)
def test_a_condition_must_have_held_for_sure_at_the_moment_that_counts(
    until_s: float | None, claims: int
) -> None:
    world = Trial(1, swarm=Swarm(rates={}))  # nothing goes wrong with questions
    scene = world.scene
    policies = {"drain": {"until": [CONDITIONS["targets drained"]]}}
    deploy(scene, policies, name="drain", group="web")
    opened = an_action(started_at=START, hook=hook_terms(group="web", name="drain"))
    wait = a_wait(opened, 3600)
    scene.waits.begin(wait)
    scene.asked.begins(wait, ["targets drained"], timedelta(hours=1))
    changes = [START + timedelta(seconds=each) for each in (60, until_s) if each is not None]
    scene.asked.answers(wait, START).of.truths["targets drained"] = Truth(
        kind="targets drained",
        since=changes,
        states=[PossibleStatus.HOLDS, PossibleStatus.PENDING][: len(changes)],
        takes=timedelta(0),
        end=PossibleStatus.HOLDS,
    )
    checker = InTime(scene)
    checker.stored(None, opened, None)
    world.clock.run_until(START + timedelta(minutes=30))
    checker.stored(opened, replace(opened, phase=Phase.COMPLETING, result=Result.CONTINUE), None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("took_s", "claims"),
    [
        pytest.param(6, 0, id="it took the time before a read that was slow: seed 2635"),
        pytest.param(0, 1, id="by then it was done"),
    ],
)
def test_an_evaluation_may_decide_by_the_time_before_it_reads_the_record(took_s: float, claims: int) -> None:
    world = Trial(1)
    scene = world.scene
    checker, by = NeverEarly(scene), Invocation(function="wake", timeout=timedelta(seconds=30))
    policy = {"until": [{"elapsed": "10s"}], "give_up_after": "20s", "stalled_after": "5s"}
    deploy(scene, {"drain": policy}, name="drain", group="web")
    opened = an_action(hook=hook_terms(group="web", name="drain"), started_at=START)
    scene.waits.begin(a_wait(opened, 3600))
    scene.memory.open(opened, None)
    checker.stored(None, opened, None)
    world.clock.run_until(START + timedelta(seconds=12))
    by.reads_since = scene.clock() - timedelta(seconds=took_s)
    checker.read(opened, by)
    checker.heard(opened, scene.memory.evidence(opened), by)
    checker.stored(opened, replace(opened, phase=Phase.COMPLETING, result=Result.ABANDON), by)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("deployed_before", "claims"),
    [
        pytest.param(timedelta(seconds=70), 0, id="before a pass gave the hook its policy: seed 2429"),
        pytest.param(timedelta(minutes=20), 1, id="the hook has had the new one for long"),
    ],
)
def test_a_group_that_lost_its_tag_keeps_the_terms_that_its_hook_got(
    deployed_before: timedelta, claims: int
) -> None:
    world = Trial(1, swarm=Swarm(rates={}))  # nothing is down
    scene = world.scene
    scene.tags["web"].add(("team", "web"))
    files = []
    for patience in ("1h", "2h"):
        policies: dict[str, Any] = {"drain": {"until": [], "give_up_after": patience}}
        deploy(scene, policies, name="drain", group={"tags": {"team": "web"}})
        files += scene.deployed
    untagged_at = START + timedelta(hours=4)
    scene.deployed[:] = [files[0], replace(files[1], since=untagged_at - deployed_before)]
    scene.untagged["web"] = untagged_at
    world.clock.run_until(untagged_at + timedelta(minutes=10))
    opened = an_action(
        started_at=scene.clock(),
        hook=hook_terms(group="web", name="drain"),
        policy=configuration.parse(files[0].file).policies["drain"],
    )
    scene.waits.begin(a_wait(opened, 3600))
    OnlyOurs(scene).stored(None, opened, None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("before_s", "claims"),
    [
        pytest.param(5, 0, id="a wake-up of before the record was lost, too: seed 8514"),
        pytest.param(None, 1, id="one thing costs no instance"),
    ],
)
def test_what_hit_the_wake_ups_of_before_a_record_hit_its_wait(before_s: float | None, claims: int) -> None:
    world = Trial(1, swarm=Swarm(rates={}))
    scene = world.scene
    deploy(scene, {"drain": {"until": [{"signal": "done"}]}}, name="drain", group="web")
    checker = NeverByDefault(scene)
    opened = an_action(hook=hook_terms(group="web", name="drain"), started_at=START)
    wait = a_wait(opened, 60)
    scene.waits.begin(wait)
    checker.woken("of-before", 0, START, held_wait(opened, 1), None)
    checker.stored(None, opened, None)
    scene.memory.open(opened, None)
    scene.faults.met(Fault.WAKE_UP_LOST, START + timedelta(seconds=10), opened.id)
    if before_s is not None:
        scene.faults.met(Fault.WAKE_UP_LOST, START + timedelta(seconds=before_s), "of-before")
    world.clock.run_until(wait.expires_at)
    wait.ended_at, wait.ended_by = wait.expires_at, EndedBy.HEARTBEAT_TIMEOUT
    checker.wait_ended(wait)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("selects", "claims"),
    [
        pytest.param("jobs-*", 1, id="both count together"),
        pytest.param("jobs-a", 0, id="a narrowed hook starts a new count: seed 1990"),
    ],
)
def test_results_count_with_those_of_the_same_selection(selects: str, claims: int) -> None:
    world = Trial(1)
    scene = world.scene
    checker = NeverEarly(scene)
    for number, group in enumerate(("jobs-*", selects)):
        policies = {"drain": {"until": [], "give_up_after": "1h"}}
        deploy(scene, policies, name="drain", group=group, limits={"complete_per_minute": 1})
        opened = an_action(
            id=f"action-{number}",
            token=f"token-{number}",
            instance_id=f"i-{number:017x}",
            hook=hook_terms(group="jobs-a", name="drain"),
            started_at=START,
        )
        scene.waits.begin(a_wait(opened, 3600))
        scene.memory.open(opened, None)
        checker.stored(None, opened, None)
        checker.heard(opened, scene.memory.evidence(opened), None)
        checker.stored(opened, replace(opened, phase=Phase.COMPLETING, result=Result.CONTINUE), None)

    assert len([each for each in scene.violations if "complete_per_minute" in each.text]) == claims


@pytest.mark.parametrize(
    ("transition", "destination", "result", "failed"),
    [
        ("launching", "AutoScalingGroup", "ABANDON", True),
        ("launching", "AutoScalingGroup", "CONTINUE", False),
        pytest.param("terminating", "AutoScalingGroup", "ABANDON", True, id="a root volume: seed 9363"),
        pytest.param("terminating", "WarmPool", "ABANDON", False, id="a return to the pool"),
    ],
)
def test_a_termination_may_follow_a_launch_that_failed(
    transition: str, destination: str, result: str, failed: bool
) -> None:
    scene = Trial(1).scene
    earlier = replace(a_wait(an_action(token="earlier"), 60), transition=transition, destination=destination)
    later = a_wait(an_action(token="later"), 60)
    for wait in (earlier, later):
        scene.waits.begin(wait)
    earlier.result = result

    assert scene.launch_failed(later) == failed


def announced(kind: Kind, version: int, action: Action, outcome: Outcome | None) -> Announcement:
    detail = {"ActionId": action.id, "RecordVersion": version, "Outcome": outcome}
    return Announcement(kind=kind, at=START, detail=detail)


def deploy(scene: Scene, policies: dict[str, Any] | None = None, **hook: object) -> None:
    """A hooks file with this hook alone is in force."""
    hooks = [{"transition": "terminating", "policy": "drain", **hook}]
    file = {"version": 1, "policies": policies or {}, "hooks": hooks}
    scene.deployed[:] = [InForce(since=START, file=file)]


def a_heartbeat(wait: Wait, at: datetime, named_by: str = "LifecycleActionToken") -> Call:
    """One that was accepted."""
    parameters = {
        "AutoScalingGroupName": wait.group,
        "LifecycleHookName": wait.hook,
        named_by: {"LifecycleActionToken": wait.token, "InstanceId": wait.instance_id}[named_by],
    }
    return Call(
        at=at,
        invocation=None,
        operation="RecordLifecycleActionHeartbeat",
        parameters=parameters,
        refusal=None,
        is_told=True,
    )


def test_an_instance_is_a_target_before_its_wait_begins() -> None:
    """Else an answer that came just before reads as if it was drained: seed 2011. Once drained it is none."""
    asked = Trial(1).asked
    asked.launched = lambda: ["i-1", "i-2"]
    drained = a_wait(an_action(instance_id="i-2"), 60)
    asked.begins(drained, ["targets drained"], timedelta(0))
    answer = SERVICES["DescribeTargetHealth"](asked, {}, START)

    assert answer == {
        "TargetHealthDescriptions": [
            {"Target": {"Id": "i-1", "Port": 80}, "TargetHealth": {"State": "initial"}}
        ]
    }


@pytest.mark.parametrize(
    ("target", "is_changed", "claims"),
    [
        pytest.param(None, True, 0, id="nothing shows whose it is: seed 7154"),
        pytest.param("arn:aws:sqs:us-east-1:111122223333:inbox", True, 1, id="it notifies us still"),
        pytest.param(None, False, 1, id="nobody has changed it"),
    ],
)
def test_a_hook_without_target_that_others_changed_may_stay(
    target: str | None, is_changed: bool, claims: int
) -> None:
    scene = Trial(1).scene
    checker = ChangesHarmNobody(scene)
    hook = Hook(name="gone", transition="launching", target_arn=target)
    group: Any = SimpleNamespace(name="web", settings={}, hooks={"gone": hook})
    scene.deployed[:] = [InForce(since=START, file={"hooks": [], "policies": {}})]
    checker._put.add(("web", "gone"))  # noqa: SLF001 - as a put that was accepted
    if is_changed:
        scene.changed_by_others.add(("web", "gone"))
    checker._check_group(group)  # noqa: SLF001 - as at the end, for this group

    assert len(scene.violations) == claims
