"""The plan of an enrolment pass: a table of what one hook leads to, and the rules that hold for all plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import at
from usher.core import configuration, enrolment
from usher.core.enrolment import (
    Conflict,
    Enrolled,
    Forget,
    GroupSeen,
    HookSeen,
    HookSettings,
    Put,
    Remove,
    Seen,
    Target,
    Wanted,
)
from usher.core.model import Result, Transition
from usher.core.policy import Way

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from usher.core.enrolment import Key, Step

ROLE: Final = "arn:aws:iam::111122223333:role/usher"
INBOX: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
TARGETS: Final = {Way.SQS: Target(arn=INBOX, role_arn=ROLE), Way.EVENTBRIDGE: Target(arn=None)}
GROUP: Final = GroupSeen(name="workers-1", arn="arn:workers-1", tags=(("team", "web"), ("stage", "live")))


def a_hook(group: object = "workers-*", **changes: Any) -> dict[str, Any]:
    hook = {"name": "drain", "group": group, "transition": "terminating", "heartbeat_timeout": "5m"}
    return {**hook, "policy": "p", **changes}


def wanted(*hooks: Mapping[str, Any]) -> Wanted:
    data = {"version": 1, "policies": {"p": {"until": []}}, "hooks": list(hooks)}
    return Wanted(hooks=configuration.parse(data).hooks, targets=TARGETS)


def settings(**changes: Any) -> HookSettings:
    """What `a_hook` asks for."""
    fields: dict[str, Any] = {
        "transition": Transition.TERMINATING,
        "heartbeat_timeout": timedelta(minutes=5),
        "default_result": Result.ABANDON,
        "target_arn": INBOX,
        "role_arn": ROLE,
    }
    return HookSettings(**{**fields, **changes})


def a_record(**changes: Any) -> Enrolled:
    """The record of `a_hook` on GROUP, put and noted."""
    fields: dict[str, Any] = {
        "group": GROUP.name,
        "group_arn": GROUP.arn,
        "hook": "drain",
        "settings": settings(),
        "put_at": at(0),
        "kept_at": at(0),
        "version": 2,
    }
    return Enrolled(**{**fields, **changes})


def planned(
    asked: Wanted,
    standing: HookSettings | None = None,
    record: Enrolled | None = None,
    *,
    group: GroupSeen = GROUP,
    in_use: Collection[Key] = (),
) -> tuple[Step, ...]:
    hooks = [HookSeen(name="drain", settings=standing)] if standing else []
    seen = Seen(groups=[group], hooks={group.name: hooks}, enrolled=[record] if record else [])
    return enrolment.plan(asked, seen, in_use, 100)


def told(steps: Sequence[Step]) -> list[tuple[str, str]]:
    return [(type(step).__name__.lower(), step.reason) for step in steps]


GLOB: Final = wanted(a_hook())
NOTHING: Final = wanted()
SLOW: Final = settings(heartbeat_timeout=timedelta(hours=1))
BEGUN: Final = a_record(put_at=None)
FOREIGN: Final = "someone else put a hook of this name, which differs in heartbeat_timeout"
UNNOTED: Final = "that it stands as it should was not noted"
SELECTS: Final = "the configuration selects the group"
LEAVES: Final = "the configuration does not select it any more"


@pytest.mark.parametrize(
    ("asked", "standing", "record", "expected"),
    [
        pytest.param(GLOB, None, None, [("put", SELECTS)], id="a new group"),
        pytest.param(GLOB, settings(), a_record(), [], id="all is well"),
        pytest.param(GLOB, settings(), None, [], id="someone else's, as it should be"),
        pytest.param(GLOB, SLOW, None, [("conflict", FOREIGN)], id="someone else's"),
        pytest.param(GLOB, SLOW, BEGUN, [("conflict", FOREIGN)], id="someone else was quicker than our put"),
        pytest.param(
            GLOB, SLOW, a_record(), [("put", "someone else changed heartbeat_timeout")], id="changed by hand"
        ),
        pytest.param(
            GLOB,
            SLOW,
            a_record(settings=SLOW),
            [("put", "the configuration changed heartbeat_timeout")],
            id="changed in the file",
        ),
        pytest.param(GLOB, None, a_record(), [("put", "someone else removed it")], id="removed by hand"),
        pytest.param(GLOB, None, BEGUN, [("put", "its put was begun")], id="a crash before the first put"),
        pytest.param(GLOB, settings(), BEGUN, [("put", UNNOTED)], id="a crash after the first put"),
        pytest.param(
            GLOB,
            SLOW,
            a_record(before=SLOW),
            [("put", "someone else changed heartbeat_timeout")],
            id="a crash before a change",
        ),
        pytest.param(
            GLOB, settings(), a_record(before=SLOW), [("put", UNNOTED)], id="a crash after a change"
        ),
        pytest.param(
            GLOB,
            settings(),
            a_record(settings=SLOW),
            [("put", UNNOTED)],
            id="the record tells an older state",
        ),
        pytest.param(
            GLOB, settings(metadata="owner=x"), a_record(), [], id="metadata that AWS does not take off again"
        ),
        pytest.param(NOTHING, None, None, [], id="nothing asked, nothing there"),
        pytest.param(NOTHING, settings(), None, [], id="no business of ours"),
        pytest.param(NOTHING, settings(), a_record(), [("remove", LEAVES)], id="not selected any more"),
        pytest.param(
            NOTHING,
            SLOW,
            a_record(before=SLOW),
            [("remove", LEAVES)],
            id="not selected, and a change not made",
        ),
        pytest.param(NOTHING, None, a_record(), [("forget", f"{LEAVES}, and it is gone")], id="gone already"),
        pytest.param(
            NOTHING,
            SLOW,
            a_record(),
            [("conflict", "to be removed, but someone else changed it: remove it by hand")],
            id="not selected any more, and taken over",
        ),
        pytest.param(
            NOTHING,
            SLOW,
            BEGUN,
            [("forget", "its put was begun, and what stands there now is someone else's")],
            id="never put by us",
        ),
        pytest.param(wanted(a_hook("workers-1")), None, None, [], id="named exactly, not there yet"),
        pytest.param(wanted(a_hook("workers-1")), SLOW, None, [], id="named exactly, drifted"),
        pytest.param(
            wanted(a_hook("workers-1")),
            SLOW,
            a_record(),
            [("forget", "CloudFormation puts it now")],
            id="named exactly now, by a glob before",
        ),
        pytest.param(
            wanted(a_hook(), a_hook({"tags": {"team": "web"}})),
            settings(),
            a_record(),
            [("conflict", "2 hooks of the configuration have this name on this group")],
            id="twice on one group",
        ),
        pytest.param(
            wanted(a_hook("workers-1"), a_hook({"tags": {"team": "web"}})),
            None,
            None,
            [("conflict", "2 hooks of the configuration have this name on this group")],
            id="by name and by tags",
        ),
        pytest.param(
            wanted(a_hook(notify="sns")),
            None,
            None,
            [("conflict", "there is no target here to notify by sns")],
            id="no topic",
        ),
    ],
)
def test_one_hook_on_one_group(
    asked: Wanted, standing: HookSettings | None, record: Enrolled | None, expected: list[tuple[str, str]]
) -> None:
    assert told(planned(asked, standing, record)) == expected


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ("*", True),
        ("workers-*", True),
        ("web-*", False),
        ({"tags": {"team": "web"}}, True),
        ({"tags": {"team": "web", "stage": "live"}}, True),
        ({"tags": {"team": "web", "stage": "test"}}, False),
        ({"tags": {"Team": "web"}}, False),
        ({"tags": {"team": ""}}, False),
    ],
    ids=str,
)
def test_a_group_is_selected_by_glob_or_by_all_of_the_tags(selector: object, *, is_selected: bool) -> None:
    assert bool(planned(wanted(a_hook(selector)))) is is_selected


def test_a_put_says_what_to_store_before_the_call() -> None:
    (step,) = planned(GLOB, SLOW, a_record())
    assert isinstance(step, Put)
    assert step.record == a_record(before=SLOW)


def test_a_hook_that_an_action_waits_in_is_not_removed() -> None:
    in_use = {("workers-1", "drain")}
    assert planned(NOTHING, settings(), a_record(), in_use=in_use) == ()
    elsewhere = {("workers-2", "drain"), ("workers-1", "other")}
    assert len(planned(NOTHING, settings(), a_record(), in_use=elsewhere)) == 1


def test_the_record_of_a_group_that_is_gone_is_forgotten() -> None:
    assert told(enrolment.plan(GLOB, Seen(groups=[], hooks={}, enrolled=[a_record()]), (), 0)) == [
        ("forget", "the group is gone")
    ]


def test_a_hook_on_a_new_group_of_an_old_name_is_not_taken_for_ours() -> None:
    again = replace(GROUP, arn="arn:another")
    steps = planned(GLOB, SLOW, a_record(), group=again)
    assert told(steps) == [("forget", "the group is gone"), ("conflict", FOREIGN)]


def test_a_group_that_is_being_deleted_is_left_alone_and_not_forgotten() -> None:
    ending = replace(GROUP, is_ending=True)
    assert (
        planned(GLOB, None, None, group=ending)
        == planned(NOTHING, settings(), a_record(), group=ending)
        == ()
    )


def test_what_was_not_looked_into_is_not_touched() -> None:
    assert enrolment.plan(GLOB, Seen(groups=[GROUP], hooks={}, enrolled=[a_record()]), (), 9) == ()


@pytest.mark.parametrize(("others", "expected"), [(49, Put), (50, Conflict)])
def test_no_more_hooks_are_put_on_a_group_than_aws_takes(others: int, expected: type) -> None:
    hooks = [HookSeen(name=f"other-{number}", settings=SLOW) for number in range(others)]
    (step,) = enrolment.plan(GLOB, Seen(groups=[GROUP], hooks={GROUP.name: hooks}, enrolled=[]), (), 9)
    assert type(step) is expected


def test_new_hooks_come_first_then_changes_then_removals_and_the_rest_waits() -> None:
    asked = wanted(a_hook(name="a-changed"), a_hook(name="b-new"), a_hook(name="c-removed"))
    enrolled = [a_record(hook=name) for name in ("a-changed", "c-removed", "d-leaving")]
    standing = [HookSeen(name="a-changed", settings=SLOW), HookSeen(name="d-leaving", settings=settings())]
    seen = Seen(groups=[GROUP], hooks={GROUP.name: standing}, enrolled=enrolled)

    def names(budget: int) -> list[str]:
        steps = enrolment.plan(asked, seen, (), budget)
        return [step.record.hook for step in steps if isinstance(step, Put | Remove)]

    assert names(9) == ["b-new", "a-changed", "c-removed", "d-leaving"]
    assert names(2) == ["b-new", "a-changed"]
    assert names(0) == names(-3) == []


def test_complaints_and_forgetting_cost_no_budget() -> None:
    seen = Seen(
        groups=[GROUP],
        hooks={GROUP.name: [HookSeen(name="drain", settings=SLOW)]},
        enrolled=[a_record(group="gone", group_arn="arn:gone")],
    )
    assert [type(step) for step in enrolment.plan(GLOB, seen, (), 0)] == [Forget, Conflict]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(NOTHING, {("workers-1", "drain")}), (GLOB, set()), (wanted(a_hook("workers-1")), set())],
    ids=["not asked for", "asked for", "CloudFormation's now"],
)
def test_leaving_are_the_hooks_that_would_be_removed(asked: Wanted, expected: set[Key]) -> None:
    seen = Seen(groups=[GROUP], hooks={GROUP.name: []}, enrolled=[a_record()])
    assert enrolment.leaving(asked, seen) == expected
    assert enrolment.leaving(asked, replace(seen, hooks={})) == frozenset(), "not looked into"


# Whom to look into


def groups(count: int) -> list[GroupSeen]:
    return [GroupSeen(name=f"workers-{number:03}", arn=f"arn:{number}") for number in range(count)]


def record_of(group: GroupSeen, **changes: Any) -> Enrolled:
    return a_record(**{"group": group.name, "group_arn": group.arn, **changes})


@given(st.integers(1, 40), st.integers(1, 15))
def test_each_has_its_turn_in_a_round_and_comes_first_in_some_turn(many: int, size: int) -> None:
    names, rounds = range(many), -(-many // size)
    shares = [enrolment.share(names, size, turn) for turn in range(rounds * many)]
    assert {name for share in shares[:rounds] for name in share} == {*names}
    assert {share[0] for share in shares} == {*names}


@pytest.mark.parametrize("every", [2, 3])
def test_each_has_its_turn_also_where_turns_are_missed_regularly(every: int) -> None:
    """Found by reading: of 60 names, twenty in each third turn were always the same twenty."""
    turns = range(0, 60 * every, every)
    assert {name for turn in turns for name in enrolment.share(range(60), 20, turn)} == {*range(60)}


@pytest.mark.parametrize("with_records", [False, True], ids=["unsettled", "settled"])
def test_every_group_has_its_turn_and_no_pass_looks_into_too_many(*, with_records: bool) -> None:
    many = groups(137)
    enrolled = [record_of(group) for group in many] if with_records else []
    most = enrolment.MOST_SETTLED if with_records else enrolment.MOST_UNSETTLED
    turns = [
        enrolment.to_look_into(GLOB, many, enrolled, turn) for turn in range(1000, 1000 + 137 // most + 1)
    ]
    assert {len(turn) for turn in turns} == {most}
    assert {name for turn in turns for name in turn} == {group.name for group in many}


@pytest.mark.parametrize(
    "record",
    [
        record_of(GROUP, settings=SLOW),
        record_of(GROUP, put_at=None),
        record_of(GROUP, before=SLOW),
        record_of(GROUP, group_arn="arn:another"),
        record_of(GROUP, hook="other"),
    ],
    ids=["other settings", "begun", "a change begun", "of an earlier group", "of another hook"],
)
def test_where_something_is_to_be_done_is_looked_into_before_what_is_settled(record: Enrolled) -> None:
    settled = groups(30)
    enrolled = [*(record_of(group) for group in settled), record]
    found = enrolment.to_look_into(GLOB, [*settled, GROUP], enrolled, 0)
    assert found[0] == GROUP.name
    assert len(found) == 1 + enrolment.MOST_SETTLED


def test_groups_without_a_wish_or_a_record_cost_no_call() -> None:
    seen = [GroupSeen(name="web", arn="arn:web"), replace(GROUP, is_ending=True)]
    assert enrolment.to_look_into(GLOB, seen, [], 0) == ()
    assert enrolment.to_look_into(wanted(a_hook("web")), seen, [], 0) == ()


# The rules


SELECTORS: Final = st.sampled_from(
    ["*", "a-*", "*-1", "a-1", "b-1", {"tags": {"t": "x"}}, {"tags": {"t": "y"}}]
)
HOOKS: Final = st.builds(
    a_hook,
    SELECTORS,
    name=st.sampled_from(["h1", "h2", "h3"]),
    heartbeat_timeout=st.sampled_from(["10m", "1h"]),
    notify=st.sampled_from(["sqs", "sns", "eventbridge"]),
)
SETTINGS: Final = st.builds(
    settings,
    heartbeat_timeout=st.sampled_from([timedelta(minutes=10), timedelta(hours=1)]),
    target_arn=st.sampled_from([INBOX, None]),
    role_arn=st.sampled_from([ROLE, None]),
    metadata=st.sampled_from(["x", None]),
)
NAMES: Final = ("a-1", "a-2", "b-1")


@st.composite
def accounts(draw: st.DrawFn) -> Seen:
    """Any groups, any hooks on them, any records: also such as no pass ever leaves."""
    live = [
        GroupSeen(
            name=name,
            arn=f"arn:{name}",
            tags=draw(st.sampled_from([(), (("t", "x"),), (("t", "y"),)])),
            is_ending=draw(st.booleans()) and draw(st.booleans()),
        )
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True))
    ]
    hooks = {
        group.name: [
            HookSeen(name=name, settings=draw(SETTINGS))
            for name in draw(st.lists(st.sampled_from(["h1", "h2", "h3", "h4"]), unique=True))
        ]
        for group in live
    }
    enrolled = [
        a_record(
            group=group,
            group_arn=draw(st.sampled_from([f"arn:{group}", "arn:earlier"])),
            hook=hook,
            settings=draw(SETTINGS),
            before=draw(st.none() | SETTINGS),
            put_at=draw(st.sampled_from([None, at(0)])),
        )
        for group, hook in draw(
            st.lists(
                st.tuples(st.sampled_from(NAMES), st.sampled_from(["h1", "h2", "h3", "h4"])), unique=True
            )
        )
    ]
    return Seen(groups=live, hooks=hooks, enrolled=enrolled)


def file_is_sound(hooks: list[dict[str, Any]]) -> bool:
    try:
        wanted(*hooks)
    except configuration.ConfigurationRefused:
        return False
    return True


FILES: Final = st.lists(HOOKS, max_size=4).filter(file_is_sound).map(lambda hooks: wanted(*hooks))
KEYS: Final = st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(["h1", "h2"])))


def applied(seen: Seen, steps: Sequence[Step]) -> Seen:
    """The account after the steps, as AWS merges a put into what stands there."""
    hooks = {group: {hook.name: hook.settings for hook in on} for group, on in seen.hooks.items()}
    records = {record.key: record for record in seen.enrolled}
    for step in steps:
        match step:
            case Put(record=record):
                before, after = hooks[record.group].get(record.hook), record.settings
                if before is not None:
                    after = replace(
                        after,
                        role_arn=after.role_arn or before.role_arn,
                        metadata=after.metadata or before.metadata,
                    )
                hooks[record.group][record.hook] = after
                records[record.key] = replace(record, put_at=at(1), before=None)
            case Remove(record=record):
                del hooks[record.group][record.hook]
                del records[record.key]
            case Forget(record=record):
                del records[record.key]
            case Conflict():
                pass
    standing = {
        group: [HookSeen(name=name, settings=settings) for name, settings in on.items()]
        for group, on in hooks.items()
    }
    return Seen(groups=seen.groups, hooks=standing, enrolled=list(records.values()))


@given(FILES, accounts(), KEYS, st.integers(1, 5))
def test_pass_after_pass_comes_to_rest(
    asked: Wanted, seen: Seen, in_use: frozenset[Key], budget: int
) -> None:
    for _ in range(len(NAMES) * 4 + 2):
        steps = enrolment.plan(asked, seen, in_use, budget)
        if all(isinstance(step, Conflict) for step in steps):
            break
        seen = applied(seen, steps)
    else:
        raise AssertionError(f"never rests: {told(steps)}")
    live = {group.arn: group for group in seen.groups}
    for record in seen.enrolled:
        standing = {hook.name: hook.settings for hook in seen.hooks[record.group]}
        wish = asked.on(live[record.group_arn]).get(record.hook)
        is_wished = isinstance(wish, HookSettings) and not live[record.group_arn].is_ending
        if is_wished and record.put_at is not None:
            assert isinstance(wish, HookSettings)
            assert wish.differences(standing[record.hook]) == ()


@given(FILES, accounts(), KEYS, st.integers(-1, 5))
def test_no_plan_breaks_a_rule(asked: Wanted, seen: Seen, in_use: frozenset[Key], budget: int) -> None:
    steps = enrolment.plan(asked, seen, in_use, budget)
    changes = [step for step in steps if isinstance(step, Put | Remove)]
    records = {record.key: record for record in seen.enrolled}
    live = {group.name: group for group in seen.groups}
    named = {(hook.group.glob, hook.name) for hook in asked.hooks}
    assert len(changes) <= max(0, budget)
    assert len({step.record.key for step in changes}) == len(changes)
    for step in changes:
        key, group = step.record.key, live[step.record.group]
        known = records.get(key)
        is_ours = known is not None and known.group_arn == group.arn
        stands = step.record.hook in {hook.name for hook in seen.hooks[group.name]}
        assert is_ours or not stands, "only what has a record is changed or removed"
        assert key not in named, "a hook on a group that is named exactly is CloudFormation's"
        assert step.record.group_arn == group.arn
        assert not group.is_ending
        if isinstance(step, Remove):
            assert is_ours
            assert stands
            assert key not in in_use
            assert step.record.hook not in asked.on(group), "what is asked for is not removed"


@given(FILES, accounts(), KEYS, st.randoms(use_true_random=False))
def test_the_order_of_what_was_seen_makes_no_difference(
    asked: Wanted, seen: Seen, in_use: frozenset[Key], random: Any
) -> None:
    shuffled = Seen(
        groups=random.sample(list(seen.groups), len(seen.groups)),
        hooks=dict(random.sample(list(seen.hooks.items()), len(seen.hooks))),
        enrolled=random.sample(list(seen.enrolled), len(seen.enrolled)),
    )
    assert enrolment.plan(asked, seen, in_use, 3) == enrolment.plan(asked, shuffled, in_use, 3)
