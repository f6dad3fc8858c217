from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import an_action, an_activity_end, at, hook_terms
from usher.core import adoption, closing, configuration, evidence, live_waits, reconcile, wait_moves
from usher.core.action import Outcome, Phase, Result, Transition
from usher.core.hook_items import HookSeen, HookSettings
from usher.core.live_waits import Activity, LiveGroup, Member, UnrecordedWait
from usher.core.open_waits import ADOPTED, OpenWaits, Place
from usher.core.ownership import Terms
from usher.core.wait_moves import WaitKind

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.policy import Hook

INSTANCE: Final = an_action().instance_id
HOUR: Final = timedelta(hours=1)
LAUNCHING: Final = Transition.LAUNCHING
TERMINATING: Final = Transition.TERMINATING


def a_hook(**changes: Any) -> Hook:
    hook = {"name": "usher-drain", "group": "workers-1", "transition": "terminating", "policy": "p"}
    policies = {"p": {"until": [{"signal": "go"}]}, "failed": {"until": []}, "pool": {"until": []}}
    data = {"version": 1, "policies": policies, "hooks": [{**hook, **changes}]}
    return configuration.parse(data).hooks[0]


def a_member(state: str = "Terminating:Wait", **changes: Any) -> Member:
    return Member(**{"instance_id": INSTANCE, "state": state, "is_healthy": True, **changes})


def a_group(*members: Member, **changes: Any) -> LiveGroup:
    fields: dict[str, Any] = {
        "name": "workers-1",
        "tags": (),
        "members": {member.instance_id: member for member in members},
        "has_pool": False,
        "seen_at": at(600),
        "is_whole": True,
    }
    return LiveGroup(**{**fields, **changes})


def an_activity(**changes: Any) -> Activity:
    fields: dict[str, Any] = {
        "id": "activity-1",
        "instance_id": INSTANCE,
        "started_at": at(0),
        "description": f"Terminating EC2 instance: {INSTANCE}",
        "cause": "",
    }
    return Activity(**{**fields, **changes})


def an_unknown(
    state: str = "Terminating:Wait", activity: Activity | None = None, **hook: Any
) -> UnrecordedWait:
    return UnrecordedWait(
        group="workers-1",
        member=a_member(state),
        terms=Terms(hook=a_hook(**hook)),
        seen_at=at(120),
        activity=activity,
    )


def an_adopted(**changes: Any) -> Action:
    """Adopted at `at(120)`, in an activity that began at `at(0)`."""
    return an_action(**{"token": None, "activity_id": "activity-1", "first_seen_at": at(120), **changes})


@pytest.mark.parametrize(
    ("state", "description", "expected"),
    [
        ("Pending:Wait", "Launching a new EC2 instance: i-1", [("EC2", "AutoScalingGroup")]),
        (
            "Pending:Wait",
            "Launching a new EC2 instance from warm pool: i-1",
            [("WarmPool", "AutoScalingGroup")],
        ),
        ("Warmed:Pending:Wait", "Launching a new EC2 instance into warm pool: i-1", [("EC2", "WarmPool")]),
        (
            "Warmed:Pending:Wait",
            "Scaling in EC2 instance into warm pool: i-1",
            [("AutoScalingGroup", "WarmPool")],
        ),
        ("Terminating:Wait", "Terminating EC2 instance: i-1", [("AutoScalingGroup", "EC2")]),
        ("Warmed:Terminating:Wait", "Terminating EC2 instance from warm pool: i-1", [("WarmPool", "EC2")]),
        ("ReplacingRootVolume:Wait", "whatever AWS calls it", [("AutoScalingGroup", "AutoScalingGroup")]),
        ("Warmed:Pending:Wait", "", [("EC2", "WarmPool"), ("AutoScalingGroup", "WarmPool")]),
        ("InService", "Launching a new EC2 instance: i-1", []),
        ("Terminating:Retained", "Terminating EC2 instance: i-1", []),
    ],
)
def test_the_state_and_the_activity_tell_the_move(
    state: str, description: str, expected: list[tuple[str, str]]
) -> None:
    assert [(way.origin, way.destination) for way in wait_moves.moves_of(state, description)] == expected


@pytest.mark.parametrize(
    ("state", "of_action", "expected"),
    [
        ("Terminating:Wait", {}, True),
        ("Terminating:Wait", {"origin": None, "destination": None}, True),
        ("Terminating:Proceed", {}, False),
        ("Pending:Wait", {}, False),
        ("Warmed:Pending:Wait", {"destination": "WarmPool"}, True),
        ("Warmed:Pending:Wait", {}, False),
    ],
)
def test_a_state_is_that_of_an_action_when_its_move_is(
    state: str, of_action: dict[str, Any], *, expected: bool
) -> None:
    assert wait_moves.waits_in(an_action(**of_action), state) is expected


def open_waits(*actions: Action) -> OpenWaits:
    found = OpenWaits()
    for action in actions:
        place = Place(group=action.hook.group, hook=action.hook.name, wait=WaitKind.of(action))
        found.add(place, action.instance_id, action.id)
    return found


def adopted_of(action: Action, **changes: Any) -> Action:
    return replace(action, id=f"{ADOPTED}1", token=None, **changes)


@pytest.mark.parametrize(
    ("state", "is_healthy", "is_in_doubt"),
    [
        pytest.param("Terminating:Wait", True, False, id="it waits, in health"),
        pytest.param("Terminating:Wait", False, True, id="it is unhealthy"),
        pytest.param("Terminating:Proceed", True, True, id="it waits no more"),
        pytest.param("Pending:Wait", True, True, id="it waits elsewhere"),
    ],
)
def test_a_record_is_in_doubt_unless_its_instance_is_seen_to_wait_in_health(
    state: str, is_healthy: bool, is_in_doubt: bool
) -> None:
    action = an_action()
    live = a_group(replace(a_member(state), is_healthy=is_healthy))
    assert list(open_waits(action).in_doubt(action.hook.group, live)) == [action.id] * is_in_doubt


_STATES: Final = st.sampled_from(
    ["InService", "Pending:Wait", "Terminating:Wait", "Terminating:Proceed", "Terminating:Retained"]
)
_INSTANCES: Final = st.sampled_from(["i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb", "i-0cccccccccccccccc"])
_ACTIONS: Final = st.lists(
    st.builds(
        lambda number, instance_id, hook, adopted: replace(
            an_action(),
            id=f"{ADOPTED if adopted else ''}{UUID(int=number)}",
            instance_id=instance_id,
            hook=replace(an_action().hook, name=hook),
        ),
        st.integers(0, 9),
        _INSTANCES,
        st.sampled_from(["usher-drain", "second"]),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda action: action.id,
)
_MEMBERS: Final = st.lists(
    st.builds(Member, instance_id=_INSTANCES, state=_STATES, is_healthy=st.booleans()),
    unique_by=lambda member: member.instance_id,
)


@given(_ACTIONS, _MEMBERS, st.booleans())
def test_what_is_settled_changes_no_answer(
    actions: list[Action], members: list[Member], is_whole: bool
) -> None:
    ours = [Terms(hook=a_hook(name=name)) for name in ("usher-drain", "second")]
    whole, settled = open_waits(*actions), open_waits(*actions)
    before = a_group(*members, is_whole=is_whole)
    unknown = live_waits.unrecorded(before, ours, whole)
    after = settled.settle(before, {one.member.instance_id for one in unknown})

    group = before.name
    assert set(settled.in_doubt(group, after)) == set(whole.in_doubt(group, before))
    assert live_waits.unrecorded(after, ours, settled) == unknown
    assert sorted(settled.of_adopted()) == sorted(whole.of_adopted())
    assert list(settled.places(group)) == list(whole.places(group))
    for place in whole.places(group):
        assert sorted(settled.in_place(place)) == sorted(whole.in_place(place))
    retained = [member for member in members if member.is_retained]
    assert [member for member in after.members.values() if member.is_retained] == retained


def test_of_what_waits_in_health_as_its_action_says_nothing_is_kept_but_the_id() -> None:
    action = an_action()
    waits = open_waits(action)
    assert waits.settle(a_group(a_member()), ()).members == {}
    assert [*waits.in_place(*waits.places(action.hook.group))] == [action.id]


def test_of_a_group_that_is_gone_all_are_in_doubt_and_of_one_seen_in_part_none_that_is_missing() -> None:
    action = an_action()
    waits = open_waits(action)
    assert list(waits.in_doubt(action.hook.group, None)) == [action.id]
    assert list(waits.in_doubt(action.hook.group, a_group())) == [action.id]
    assert list(waits.in_doubt(action.hook.group, replace(a_group(), is_whole=False))) == []


def test_what_a_newer_release_says_of_a_wait_leaves_a_doubt_and_tells_of_no_wait() -> None:
    action = an_action()
    waits = OpenWaits()
    waits.add(Place(group=action.hook.group, hook=action.hook.name, wait=None), INSTANCE, action.id)
    assert list(waits.in_doubt(action.hook.group, a_group(a_member()))) == [action.id]
    assert not waits.are_held(action.hook.group, action.hook.name, a_member())


@pytest.mark.parametrize("changes", [{}, {"origin": None}], ids=["alike", "of unknown origin"])
def test_an_adopted_action_is_loaded_with_what_waits_beside_it(changes: dict[str, Any]) -> None:
    by_token, alone = an_action(), replace(an_action(), id="alone", instance_id="i-0bbbbbbbbbbbbbbbb")
    twin = adopted_of(by_token, **changes)
    assert set(open_waits(by_token, twin, twin, alone).of_adopted()) == {by_token.id, twin.id}
    assert list(open_waits(twin, alone).of_adopted()) == []
    assert list(open_waits(by_token, alone).of_adopted()) == []


def test_what_waits_without_an_open_record_is_unknown_for_each_hook_of_its_transition() -> None:
    hooks = [a_hook(), a_hook(name="second"), a_hook(name="gate", transition="launching")]
    waiting = a_group(a_member(), a_member("InService", instance_id="i-0aaaaaaaaaaaaaaaa"))
    found = live_waits.unrecorded(waiting, [Terms(hook=hook) for hook in hooks], open_waits(an_action()))
    assert [(one.member.instance_id, one.hook.name) for one in found] == [(INSTANCE, "second")]


def test_a_record_of_an_earlier_move_does_not_make_a_wait_known() -> None:
    earlier = an_action(destination="WarmPool")
    (one,) = live_waits.unrecorded(a_group(a_member()), [Terms(hook=a_hook())], open_waits(earlier))
    assert one.hook.name == "usher-drain"


def test_a_hook_that_names_the_group_goes_before_one_by_tags() -> None:
    by_tags = a_hook(group={"tags": {"team": "web"}}, heartbeat_timeout="10m")
    group = a_group(tags=(("team", "web"), ("stage", "live")))
    by_glob = a_hook(group="workers-*")
    assert live_waits.hooks_on([by_glob, by_tags], group) == {"usher-drain": by_glob}
    assert live_waits.hooks_on([by_tags], group) == {"usher-drain": by_tags}
    assert live_waits.hooks_on([by_tags], a_group()) == {}


@pytest.mark.parametrize(
    ("activity", "started_at", "ends_at"),
    [
        pytest.param(an_activity(), at(0), at(0) + 48 * HOUR, id="its activity tells"),
        pytest.param(None, at(120), at(120) + 47 * HOUR, id="without one the earliest start counts"),
        pytest.param(
            an_activity(started_at=at(-7200)),
            at(120),
            at(-7200) + 48 * HOUR,
            id="older than a timeout, so not all of it is the wait",
        ),
        pytest.param(
            an_activity(started_at=at(-50 * 3600)),
            at(120),
            at(120) + 47 * HOUR,
            id="older than any wait",
        ),
    ],
)
def test_an_adopted_action_counts_patience_late_and_the_global_limit_early(
    activity: Activity | None, started_at: datetime, ends_at: datetime
) -> None:
    action = adoption.adopted(an_unknown(activity=activity), HOUR, "a-1", at(120))
    assert (action.started_at, action.ends_at) == (started_at, ends_at)
    assert at(120) < action.give_up_at <= action.decide_by < action.ends_at


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("At 2026-03-01T12:00:00Z an instance was taken out in response to a launch failure.", "failed"),
        ("At 2026-03-01T12:00:00Z a user request.", "p"),
    ],
)
def test_the_cause_of_the_activity_tells_a_failed_launch(cause: str, expected: str) -> None:
    rules = [{"when": {"after": "launch_failed"}, "use": "failed"}, {"use": "p"}]
    one = an_unknown(activity=an_activity(cause=cause), policy=rules)
    assert one.policy.name == expected


def test_a_place_that_nobody_can_tell_fits_no_rule() -> None:
    rules = [{"when": {"origin": "WarmPool"}, "use": "pool"}, {"use": "p"}]
    assert an_unknown("Pending:Wait", transition="launching", policy=rules).policy.name == "p"
    told = an_activity(description=f"Launching a new EC2 instance from warm pool: {INSTANCE}")
    one = an_unknown("Pending:Wait", told, transition="launching", policy=rules)
    assert one.policy.name == "pool"


@pytest.mark.parametrize(
    ("known", "came", "expected"),
    [
        pytest.param({}, {"started_at": at(5)}, True, id="it began in the activity"),
        pytest.param({}, {"started_at": at(-2)}, True, id="whole seconds"),
        pytest.param({}, {"started_at": at(-3)}, False, id="an earlier wait"),
        pytest.param({}, {"started_at": at(122)}, True, id="just before the adopting heartbeat"),
        pytest.param({}, {"started_at": at(123)}, False, id="a later wait"),
        pytest.param({}, {"destination": "WarmPool"}, False, id="another move"),
        pytest.param({}, {"origin": None, "destination": None}, True, id="an old message tells no places"),
        pytest.param({"token": "c613620e"}, {}, False, id="it has a token"),
        pytest.param({}, {"instance_id": "i-0aaaaaaaaaaaaaaaa"}, False, id="another instance"),
        pytest.param({}, {"hook": hook_terms(name="second")}, False, id="another hook"),
        pytest.param({}, {"hook": hook_terms(group="workers-2")}, False, id="another group"),
        pytest.param({"started_at": at(120)}, {"started_at": at(-3400)}, True, id="an unknown start"),
        pytest.param(
            {"started_at": at(120)}, {"started_at": at(-3500)}, False, id="before any unbeaten wait"
        ),
        pytest.param(
            {"started_at": at(120), "signals_since": at(-5000) - evidence.BEFORE_START},
            {"started_at": at(-4990)},
            True,
            id="in its activity, though others have sent heartbeats since: seed 9960",
        ),
        pytest.param(
            {"started_at": at(120), "signals_since": at(-5000) - evidence.BEFORE_START},
            {"started_at": at(-5003)},
            False,
            id="before its activity",
        ),
    ],
)
def test_a_token_joins_only_the_wait_that_was_adopted(
    known: dict[str, Any], came: dict[str, Any], *, expected: bool
) -> None:
    assert adoption.joins(an_adopted(**known), an_action(**came)) is expected


def test_a_joined_record_counts_from_the_start_that_its_message_tells_unless_it_is_closed() -> None:
    came = an_action(started_at=at(7), received_by=("sqs",))
    joined = adoption.joined(an_adopted(limit_at=at(9000)), came, at(300))
    assert (joined.token, joined.started_at, joined.limit_at) == (came.token, at(7), None)
    closed = an_adopted(phase=Phase.CLOSED, evaluate_at=None, outcome=Outcome.COMPLETED)
    assert adoption.joined(closed, came, at(300)).started_at == at(0)


def test_twins_are_an_adopted_record_and_one_by_token_of_the_same_wait() -> None:
    adopted, by_token = an_adopted(id="a"), an_action(id="b", started_at=at(5))
    other = an_action(id="c", started_at=at(900), token="e" * 36)
    assert list(adoption.twins([by_token, adopted, other])) == [(adopted, by_token)]
    assert list(adoption.twins([adopted, other])) == []


@pytest.mark.parametrize(
    ("action", "group", "expected"),
    [
        pytest.param({}, a_group(a_member()), None, id="it waits"),
        pytest.param(
            {}, a_group(a_member("Terminating:Proceed")), "the instance is Terminating:Proceed", id="no more"
        ),
        pytest.param({}, a_group(a_member("Pending:Wait")), "the instance is Pending:Wait", id="elsewhere"),
        pytest.param({}, a_group(), "the instance is no longer in its group", id="gone"),
        pytest.param({}, a_group(is_whole=False), None, id="it may be in the warm pool"),
        pytest.param({}, None, "its group is gone", id="no group"),
        pytest.param({"started_at": at(590)}, a_group(), None, id="begun since the group was seen"),
        pytest.param({"beaten_at": at(590), "heartbeats": 1}, None, None, id="held since"),
        pytest.param({"beaten_at": at(590)}, None, "its group is gone", id="observe mode holds nothing"),
        pytest.param({"activity_end": an_activity_end()}, a_group(), None, id="asked already"),
        pytest.param(
            {"phase": Phase.COMPLETING, "result": Result.CONTINUE}, a_group(), None, id="its result is sent"
        ),
    ],
)
def test_the_live_state_speaks_against_a_record_that_it_had_time_to_show(
    action: dict[str, Any], group: LiveGroup | None, expected: str | None
) -> None:
    assert reconcile.waits_no_more(an_action(**action), group, at(600)) == expected


def test_a_doubt_is_older_than_the_outcome_event_that_may_still_come() -> None:
    doubted = reconcile.doubted(an_action(beaten_at=at(60), heartbeats=1), "its group is gone", at(600))
    assert doubted.evaluate_at == at(600)
    assert doubted.activity_end is not None
    assert doubted.activity_end.ended_at == at(60)
    assert doubted.activity_end.is_inferred


def test_after_the_expiry_there_is_no_doubt_to_note_the_time_ran_out() -> None:
    doubted = reconcile.doubted(an_action(), "its group is gone", at(3600))
    assert (doubted.evaluate_at, doubted.activity_end) == (at(3600), None)


STANDING: Final = HookSettings(
    transition=TERMINATING, heartbeat_timeout=HOUR, default_result=Result.ABANDON, target_arn="arn"
)


@pytest.mark.parametrize(
    ("hook", "live", "expected"),
    [
        pytest.param({}, STANDING, {}, id="as configured"),
        pytest.param({}, None, {"usher-drain": "does not exist on the group"}, id="gone"),
        pytest.param(
            {},
            replace(STANDING, heartbeat_timeout=2 * HOUR, default_result=Result.CONTINUE),
            {"usher-drain": "is not as configured in heartbeat_timeout, default_result"},
            id="changed",
        ),
        pytest.param({"group": "workers-*"}, None, {}, id="the enrolment's to mend"),
    ],
)
def test_a_hook_of_cloudformation_that_is_not_as_configured_is_a_drift(
    hook: dict[str, Any], live: HookSettings | None, expected: dict[str, str]
) -> None:
    seen = [HookSeen(name="usher-drain", settings=live)] if live else []
    assert reconcile.drifts({"usher-drain": a_hook(**hook)}, seen) == expected


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ({"transition": LAUNCHING, "destination": "AutoScalingGroup"}, "in service"),
        ({"transition": LAUNCHING, "destination": "WarmPool"}, "in the warm pool"),
        ({"transition": LAUNCHING, "succeeded": False}, "launch abandoned"),
        ({}, "terminated"),
        ({"destination": "WarmPool"}, "back in the warm pool"),
        ({"destination": "AutoScalingGroup"}, "root volume replaced"),
        ({"succeeded": False}, "retained, not terminated"),
    ],
)
def test_an_outcome_event_is_told_in_words(end: dict[str, Any], expected: str) -> None:
    words = evidence.end_in_words(an_activity_end(detail="as it said", **end))
    assert words == f"{expected} at 2026-03-01T12:02:00Z: as it said"


CLOSED: Final = {"phase": Phase.CLOSED, "outcome": Outcome.COMPLETED, "evaluate_at": None}


@pytest.mark.parametrize(
    ("activity", "recorded", "expected"),
    [
        pytest.param(an_activity(), {"started_at": at(5)}, True, id="begun in the activity"),
        pytest.param(an_activity(), {"started_at": at(-5)}, False, id="begun before it"),
        pytest.param(an_activity(), {"activity_id": "activity-1", "token": None}, True, id="adopted in it"),
        pytest.param(an_activity(), {"activity_id": "activity-0", "token": None}, False, id="in an earlier"),
        pytest.param(None, {}, True, id="open, and no activity is known"),
        pytest.param(None, {**CLOSED, "closed_at": at(106)}, True, id="closed when its group was seen"),
        pytest.param(None, {**CLOSED, "closed_at": at(105)}, False, id="closed long before"),
        pytest.param(None, {"destination": "WarmPool"}, False, id="of another move"),
        pytest.param(an_activity(), {"hook": hook_terms(name="second")}, False, id="of another hook"),
    ],
)
def test_a_record_is_of_a_wait_by_its_activity(
    activity: Activity | None, recorded: dict[str, Any], *, expected: bool
) -> None:
    assert an_unknown(activity=activity).is_of_this_wait(an_action(**recorded)) is expected


@pytest.mark.parametrize(
    ("activity", "seconds", "expected"),
    [(None, 135, False), (None, 136, True), (an_activity(), 1000, False)],
    ids=["just seen", "seen long ago", "named by its activity"],
)
def test_a_wait_that_no_activity_names_may_be_over_soon_after_it_was_seen(
    activity: Activity | None, seconds: int, *, expected: bool
) -> None:
    assert an_unknown(activity=activity).may_be_over(at(seconds)) is expected


# What is taken up again


def test_a_result_that_was_decided_stays_the_only_one() -> None:
    """And no earlier call was applied, since the wait goes on."""
    completing = an_action(
        phase=Phase.COMPLETING, result=Result.ABANDON, reason="gave up after 45m", completes_sent=(at(10),)
    )
    over = closing.ended(completing, at(20))
    again = adoption.taken_up(over, at(30), at(31))
    assert (again.phase, again.result, again.reason) == (
        Phase.COMPLETING,
        Result.ABANDON,
        "gave up after 45m",
    )
    assert (again.evaluate_at, again.beaten_at, again.completes_sent) == (at(31), at(30), ())


def test_what_is_open_again_already_is_left_as_it_is() -> None:
    action = an_action()
    assert adoption.taken_up(action, at(30), at(31)) is action
