"""The plan of an enrolment pass: a table of what one hook leads to, and the rules that hold for all plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import at
from usher.core import configuration, enrolment, hook_marks, retiring_hooks, round_robin
from usher.core.action import Result, Transition
from usher.core.enrolment import Seen
from usher.core.enrolment_steps import Conflict, Forget, Keep, Put
from usher.core.field import ConfigurationRefused
from usher.core.hook_items import Enrolled, Former, GroupSeen, HookSeen, HookSettings, HookState, Target
from usher.core.policy import Channel
from usher.core.wanted_hooks import Obstacle, Wanted, Wish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher.core.enrolment_steps import Step

ROLE: Final = "arn:aws:iam::111122223333:role/usher"
INBOX: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
TARGETS: Final = {Channel.SQS: Target(arn=INBOX, role_arn=ROLE), Channel.EVENTBRIDGE: Target(arn=None)}
SOURCE: Final = (
    '{"hooks":[{"group":"workers-*","heartbeat_timeout":"5m","name":"drain","policy":"p",'
    '"transition":"terminating"}],"policies":{"p":{"until":[]}},"version":1}'
)
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
        "source": SOURCE,
        "put_at": at(0),
        "seen_at": at(0),
        "kept_at": at(0),
        "version": 2,
    }
    return Enrolled(**{**fields, **changes})


def a_source(**changes: Any) -> str:
    """The little file of `a_hook`."""
    data = {"version": 1, "policies": {"p": {"until": []}}, "hooks": [a_hook(**changes)]}
    return configuration.source_of(configuration.parse(data).hooks[0])


def marked(asked: Wanted, record: Enrolled, group: GroupSeen | None = GROUP) -> Keep | Forget | None:
    """What the list of groups says of an item, at `at(60)`."""
    steps = hook_marks.marks(asked, [group] if group else [], [record], at(60))
    return steps[0] if steps else None


def planned(
    asked: Wanted,
    live: HookSettings | None = None,
    record: Enrolled | None = None,
    *,
    group: GroupSeen = GROUP,
) -> tuple[Step, ...]:
    """What one pass does: what the list of groups says, and then the hooks of the group."""
    hooks = [HookSeen(name="drain", settings=live)] if live else []
    marks = hook_marks.marks(asked, [group], [record] if record else [], at(60))
    enrolled = [mark.record for mark in marks if isinstance(mark, Keep)]
    if record is not None and not marks:
        enrolled = [record]
    seen = Seen(groups=[group], hooks={group.name: hooks}, enrolled=enrolled)
    return (*marks, *enrolment.plan(asked, seen, at(60)))


def told(steps: Sequence[Step]) -> list[str]:
    return [f"{type(step).__name__.lower()}: {step.reason}" for step in steps]


GLOB: Final = wanted(a_hook())
NOTHING: Final = wanted()
OWN: Final = replace(GLOB, own_groups=frozenset({GROUP.name}))
SLOW: Final = settings(heartbeat_timeout=timedelta(hours=1))
SLOW_THEIRS: Final = settings(heartbeat_timeout=timedelta(hours=1), target_arn=None)
BEGUN: Final = a_record(put_at=None)
RETIRING: Final = a_record(state=HookState.RETIRING, retiring_since=at(30), let_through_from=at(90))
DELETING: Final = replace(RETIRING, deleting_at=at(1))
THEIRS: Final = settings(target_arn="arn:aws:sqs:us-east-1:111122223333:theirs")
FOREIGN: Final = "someone else put a hook of this name, which differs in heartbeat_timeout, target_arn"
UNNOTED: Final = "put: an earlier put was not recorded"
SELECTS: Final = "put: the hooks file selects the group"
ITS_OWN: Final = "forget: the group's own template now contains it"
GONE: Final = "forget: it no longer exists"
SLOWED: Final = "put: someone else changed heartbeat_timeout"
NAMED_TWICE: Final = "conflict: 2 hooks of the file have this name for this group"

# What is asked, what stands, and what the record says; then what is done.
ONE_HOOK: Final[Mapping[str, tuple[Wanted, HookSettings | None, Enrolled | None, list[str]]]] = {
    "a new group": (GLOB, None, None, [SELECTS]),
    "all is well": (GLOB, settings(), a_record(), []),
    "someone else's, as it should be": (
        wanted(a_hook(notify="eventbridge", heartbeat_timeout="10m")),
        settings(target_arn=None, role_arn=None, heartbeat_timeout=timedelta(minutes=10)),
        None,
        [],
    ),
    "ours again": (GLOB, settings(), None, ["keep: it notifies Usher"]),
    "ours again, otherwise": (GLOB, SLOW, None, ["put: it notifies Usher but differs in heartbeat_timeout"]),
    "ours again, for the other transition": (
        GLOB,
        settings(transition=Transition.LAUNCHING),
        None,
        ["conflict: it exists for the other transition: delete it by hand once nothing waits in it"],
    ),
    "someone else's": (GLOB, SLOW_THEIRS, None, [f"conflict: {FOREIGN}"]),
    "someone else was quicker than our put": (GLOB, SLOW_THEIRS, BEGUN, [f"conflict: {FOREIGN}"]),
    "changed by hand": (GLOB, SLOW, a_record(), [SLOWED]),
    "changed in the file": (
        GLOB,
        SLOW,
        a_record(settings=SLOW),
        ["put: the hooks file changed heartbeat_timeout"],
    ),
    "removed by hand": (GLOB, None, a_record(), ["put: someone else removed it"]),
    "a crash before the first put": (GLOB, None, BEGUN, ["put: an earlier put was not finished"]),
    "a crash after the first put": (GLOB, settings(), BEGUN, [UNNOTED]),
    "a crash before a change": (GLOB, SLOW, a_record(before=SLOW), [SLOWED]),
    "a crash after a change": (GLOB, settings(), a_record(before=SLOW), [UNNOTED]),
    "the record tells an older state": (GLOB, settings(), a_record(settings=SLOW), [UNNOTED]),
    "metadata that AWS does not take off again": (GLOB, settings(metadata="owner=x"), a_record(), []),
    "nothing asked, nothing there": (NOTHING, None, None, []),
    "no business of ours": (NOTHING, settings(), None, []),
    "not selected any more": (NOTHING, settings(), a_record(), ["keep: the hooks file no longer selects it"]),
    "on its way out": (NOTHING, settings(), RETIRING, []),
    "and a change not made": (NOTHING, THEIRS, replace(RETIRING, before=THEIRS), []),
    "gone already": (NOTHING, None, RETIRING, [GONE]),
    "on its way out, and taken over": (
        NOTHING,
        THEIRS,
        RETIRING,
        ["conflict: retiring, but someone else changed it: delete it by hand once nothing waits in it"],
    ),
    "never put by us": (
        NOTHING,
        THEIRS,
        replace(RETIRING, put_at=None),
        ["forget: an earlier put was not finished, and the hook there is someone else's"],
    ),
    "asked for again": (GLOB, settings(), RETIRING, ["keep: the hooks file selects it again"]),
    "asked for again, while a delete may be on its way": (GLOB, settings(), DELETING, []),
    "asked for again, and deleted": (GLOB, None, DELETING, [GONE]),
    "absent, while a delete may be on its way": (GLOB, None, a_record(deleting_at=at(1)), []),
    "for the other transition now": (
        wanted(a_hook(transition="launching")),
        settings(),
        a_record(),
        ["keep: the hooks file now has it for the other transition"],
    ),
    "another policy": (
        GLOB,
        settings(),
        a_record(source=a_source(policy=[{"use": "p"}])),
        ["keep: the file has changed"],
    ),
    "not seen for a day": (GLOB, settings(), a_record(seen_at=at(-86_400)), ["keep: it stands"]),
    "an old item": (GLOB, settings(), a_record(kept_at=at(-101 * 86_400)), ["keep: renewed"]),
    "named exactly": (wanted(a_hook("workers-1")), None, None, [SELECTS]),
    "the group holds it now": (OWN, settings(), a_record(), [ITS_OWN]),
    "the group holds it": (OWN, SLOW, None, []),
    "the group holds it, and the file has it no more": (
        replace(OWN, hooks=()),
        settings(),
        a_record(),
        [ITS_OWN],
    ),
    "twice on one group": (
        wanted(a_hook(), a_hook({"tags": {"team": "web"}})),
        settings(),
        a_record(),
        [NAMED_TWICE],
    ),
    "by name and by tags": (
        wanted(a_hook("workers-1"), a_hook({"tags": {"team": "web"}})),
        None,
        None,
        [NAMED_TWICE],
    ),
    "no topic": (
        wanted(a_hook(notify="sns")),
        None,
        None,
        ["conflict: this stack has no target for notify: sns"],
    ),
}


@pytest.mark.parametrize(("asked", "live", "record", "expected"), ONE_HOOK.values(), ids=ONE_HOOK)
def test_one_hook_on_one_group(
    asked: Wanted, live: HookSettings | None, record: Enrolled | None, expected: list[str]
) -> None:
    assert told(planned(asked, live, record)) == expected


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


def test_the_item_of_a_group_that_is_gone_is_forgotten_when_three_passes_have_seen_that() -> None:
    record = a_record()
    for missed in (1, 2):
        step = marked(GLOB, record, None)
        assert isinstance(step, Keep)
        record = step.record
        assert record.missed == missed
    assert marked(GLOB, record, None) == Forget(record=record, reason="the group is gone")
    back = marked(GLOB, record)
    assert isinstance(back, Keep)
    assert back.record.missed == 0


def test_a_hook_on_a_new_group_of_an_old_name_is_not_taken_for_ours() -> None:
    again = replace(GROUP, arn="arn:another")
    steps = planned(GLOB, SLOW_THEIRS, a_record(), group=again)
    assert told(steps) == ["forget: the group is gone", f"conflict: {FOREIGN}"]


TAGS: Final = wanted(a_hook({"tags": {"team": "web"}}))
BY_TAGS: Final = a_record(source=a_source(group={"tags": {"team": "web"}}))
UNTAGGED: Final = replace(GROUP, tags=())
TWICE: Final = wanted(a_hook({"tags": {"team": "web"}}), a_hook(GROUP.name))


def test_a_tag_that_goes_counts_when_three_passes_in_a_row_have_seen_that() -> None:
    record = BY_TAGS
    for _ in range(2):
        step = marked(TAGS, record, UNTAGGED)
        assert isinstance(step, Keep)
        assert (step.word, step.record.state) == ("", HookState.WANTED)
        record = step.record
    step = marked(TAGS, record, UNTAGGED)
    assert isinstance(step, Keep)
    assert (step.word, step.record.state, step.record.missed) == ("retiring", HookState.RETIRING, 0)
    assert not step.record.is_out_of_file
    assert marked(TAGS, step.record, UNTAGGED) is None


def test_why_a_hook_by_tags_retires_is_noted_and_changes_with_the_file() -> None:
    """A file that has it again holds what begins; a tag that is gone lets it through."""
    step = marked(NOTHING, BY_TAGS)
    assert isinstance(step, Keep)
    assert (step.word, step.record.is_out_of_file) == ("retiring", True)
    assert marked(NOTHING, step.record) is None
    live = {"drain": settings()}
    quiet = replace(step.record, let_through_from=at(0))
    assert retiring_hooks.departing(NOTHING, GROUP, live, [quiet]) == [quiet]
    assert retiring_hooks.departing(TWICE, GROUP, live, [quiet]) == [], (
        "the file has it, though it cannot be put"
    )
    assert not quiet.retired(at(90), at(90)).is_out_of_file
    back = marked(TAGS, replace(step.record, missed=2), UNTAGGED)
    assert isinstance(back, Keep)
    assert back.record.missed == 0, "three in a row"
    assert (back.record.is_retiring, back.record.is_out_of_file) == (True, False)
    assert back.reason == "the tags of the group no longer match"


@pytest.mark.parametrize(
    ("asked", "record"),
    [
        pytest.param(wanted(a_hook({"tags": {"team": "api"}})), BY_TAGS, id="other tags"),
        pytest.param(wanted(a_hook({"tags": {"team": "web"}}, name="x")), BY_TAGS, id="another name"),
        pytest.param(wanted(a_hook("others-*")), BY_TAGS, id="a glob instead"),
        pytest.param(TAGS, a_record(), id="it was chosen by glob"),
        pytest.param(TAGS, a_record(source=SOURCE.replace("until", "after")), id="what cannot be read"),
    ],
)
def test_what_the_file_itself_takes_back_is_on_its_way_out_at_once(asked: Wanted, record: Enrolled) -> None:
    step = marked(asked, record, UNTAGGED)
    assert isinstance(step, Keep)
    assert step.record.state is HookState.RETIRING
    assert (step.record.retiring_since, step.record.let_through_from) == (at(60), at(120))


def test_taken_back_it_is_as_it_was_before() -> None:
    step = marked(GLOB, replace(RETIRING, quiet_at=at(40), deleting_at=at(-10), missed=1))
    assert step == Keep(record=a_record(), word="restored", reason="the hooks file selects it again")


def test_named_groups_are_those_that_must_be_there() -> None:
    asked = wanted(a_hook("one"), a_hook("two"), a_hook("w-*"), a_hook({"tags": {"a": "b"}}))
    assert replace(asked, own_groups=frozenset({"two"})).named_groups == {"one"}


# What replaces a hook on its way out

LEAVING: Final = replace(RETIRING, let_through_from=None)
NEW: Final = wanted(a_hook(name="new"))


def let_through(
    asked: Wanted, *enrolled: Enrolled, hooks: Sequence[str] = ("drain", "new"), **changes: Any
) -> list[Any]:
    live = {name: settings(**changes) for name in hooks}
    found = retiring_hooks.let_through(asked, GROUP, live, [LEAVING, *enrolled], at(60))
    return [record.let_through_from for record in found]


def test_without_a_replacement_what_begins_a_minute_later_is_let_through() -> None:
    step = marked(wanted(a_hook(name="new", transition="launching")), a_record())
    assert isinstance(step, Keep)
    assert step.record.let_through_from == at(120)
    assert let_through(NOTHING) == [at(90)]


def test_with_one_nothing_is_let_through_before_it_stands() -> None:
    step = marked(NEW, a_record())
    assert isinstance(step, Keep)
    assert step.record.let_through_from is None
    assert let_through(NEW, hooks=["drain"]) == []
    assert let_through(NEW, a_record(hook="new", put_at=None)) == []
    assert let_through(NEW, transition=Transition.LAUNCHING) == []


def test_it_counts_from_the_answer_to_the_last_put() -> None:
    assert let_through(NEW, a_record(hook="new", put_at=at(50))) == [at(110)]
    assert let_through(NEW, a_record(hook="new", put_at=at(10))) == [at(90)], "but from no time before"
    assert let_through(NEW) == [at(90)], "someone else's stands"


def test_where_the_group_has_no_room_for_the_replacement_nothing_is_waited_for() -> None:
    full = [f"other-{number}" for number in range(49)]
    assert let_through(NEW, hooks=["drain", *full]) == [at(90)]


def test_what_is_not_on_its_way_out_is_left_as_it_is() -> None:
    found = retiring_hooks.let_through(NEW, GROUP, {}, [a_record(), RETIRING], at(60))
    assert list(found) == []


# The timeouts that stood before


def test_a_former_timeout_is_kept_until_nothing_under_it_can_be_open() -> None:
    hours = [timedelta(hours=hour) for hour in range(1, 9)]
    record = a_record(before=SLOW)
    noted = record.noted(at(100))
    assert noted.former == (Former(heartbeat_timeout=timedelta(hours=1), until=at(100)),)
    assert (noted.before, noted.put_at, noted.seen_at) == (None, at(100), at(100))
    assert noted.formers(at(100 + 49 * 3600)) == ()
    many = replace(record, former=tuple(Former(heartbeat_timeout=each, until=at(0)) for each in hours))
    assert [each.heartbeat_timeout for each in many.formers(at(100))] == hours[:5], "the smallest matter"
    assert a_record(before=settings()).formers(at(0)) == ()


def test_a_put_that_was_cut_off_loses_no_former_timeout() -> None:
    (step,) = planned(GLOB, settings(), a_record(before=SLOW))
    assert isinstance(step, Put)
    assert [each.heartbeat_timeout for each in step.record.former] == [timedelta(hours=1)]


def test_a_group_that_is_being_deleted_is_left_alone_and_not_forgotten() -> None:
    ending = replace(GROUP, is_ending=True)
    assert (
        planned(GLOB, None, None, group=ending)
        == planned(NOTHING, settings(), a_record(), group=ending)
        == ()
    )


def test_what_was_not_looked_into_is_not_touched() -> None:
    assert enrolment.plan(GLOB, Seen(groups=[GROUP], hooks={}, enrolled=[a_record()]), at(60)) == ()


@pytest.mark.parametrize(("others", "expected"), [(49, Put), (50, Conflict)])
def test_no_more_hooks_are_put_on_a_group_than_aws_takes(others: int, expected: type) -> None:
    hooks = [HookSeen(name=f"other-{number}", settings=SLOW) for number in range(others)]
    (step,) = enrolment.plan(GLOB, Seen(groups=[GROUP], hooks={GROUP.name: hooks}, enrolled=[]), at(60))
    assert type(step) is expected


def test_what_needs_no_call_comes_first_then_new_hooks_then_changes() -> None:
    asked = wanted(a_hook(name="a-changed"), a_hook(name="b-new"))
    enrolled = [a_record(hook="a-changed"), replace(RETIRING, hook="c-gone")]
    live = [HookSeen(name="a-changed", settings=SLOW)]
    seen = Seen(groups=[GROUP], hooks={GROUP.name: live}, enrolled=enrolled)
    steps = enrolment.plan(asked, seen, at(60))
    assert [step.record.hook for step in steps if not isinstance(step, Conflict)] == [
        "c-gone",
        "b-new",
        "a-changed",
    ]


# Whom to look into


def groups(count: int) -> list[GroupSeen]:
    return [GroupSeen(name=f"workers-{number:03}", arn=f"arn:{number}") for number in range(count)]


def record_of(group: GroupSeen, **changes: Any) -> Enrolled:
    return a_record(**{"group": group.name, "group_arn": group.arn, **changes})


@given(st.integers(1, 40), st.integers(1, 15), st.integers(0, 10**7))
def test_each_has_its_turn_in_a_round_and_comes_first_in_some_turn(many: int, size: int, late: int) -> None:
    names, rounds = range(many), -(-many // size)
    shares = [round_robin.share(names, size, late * rounds + turn) for turn in range(rounds * many)]
    assert {len(share) for share in shares} == {min(size, many)}
    assert {name for share in shares[:rounds] for name in share} == {*names}
    assert {share[0] for share in shares} == {*names}


@pytest.mark.parametrize("every", [2, 3])
def test_each_has_its_turn_also_where_turns_are_missed_regularly(every: int) -> None:
    """Found by reading: of 60 names, twenty in each third turn were always the same twenty."""
    turns = range(0, 60 * every, every)
    assert {name for turn in turns for name in round_robin.share(range(60), 20, turn)} == {*range(60)}


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
        record_of(GROUP, hook="other", state=HookState.RETIRING),
    ],
    ids=["other settings", "begun", "a change begun", "of an earlier group", "of another hook", "on its way"],
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
    own = Wanted(hooks=wanted(a_hook("web")).hooks, targets=TARGETS, own_groups=frozenset({"web"}))
    assert enrolment.to_look_into(own, seen, [], 0) == ()


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
    except ConfigurationRefused:
        return False
    return True


FILES: Final = st.lists(HOOKS, max_size=4).filter(file_is_sound).map(lambda hooks: wanted(*hooks))


def applied(seen: Seen, steps: Sequence[Step]) -> Seen:
    """The account after the steps, as AWS merges a put into what stands there."""
    hooks = {group: {hook.name: hook.settings for hook in on} for group, on in seen.hooks.items()}
    records = {record.place: record for record in seen.enrolled}
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
                records[record.place] = replace(record, put_at=at(1), seen_at=at(60), before=None)
            case Keep(record=record):
                records[record.place] = replace(record, kept_at=at(60))
            case Forget(record=record):
                del records[record.place]
            case Conflict():
                pass
    live = {
        group: [HookSeen(name=name, settings=settings) for name, settings in on.items()]
        for group, on in hooks.items()
    }
    return Seen(groups=seen.groups, hooks=live, enrolled=list(records.values()))


def a_pass(asked: Wanted, seen: Seen) -> tuple[Seen, list[Step]]:
    marks = hook_marks.marks(asked, seen.groups, seen.enrolled, at(60))
    seen = applied(seen, marks)
    steps = enrolment.plan(asked, seen, at(60))
    return applied(seen, steps), [*marks, *steps]


@given(FILES, accounts())
def test_pass_after_pass_comes_to_rest(asked: Wanted, seen: Seen) -> None:
    for _ in range(len(NAMES) * 4 + 2):
        seen, steps = a_pass(asked, seen)
        if all(isinstance(step, Conflict) for step in steps):
            break
    else:
        raise AssertionError(f"never rests: {told(steps)}")
    live = {group.arn: group for group in seen.groups}
    for record in seen.enrolled:
        hooks = {hook.name: hook.settings for hook in seen.hooks[record.group]}
        asked_for = asked.on(live[record.group_arn]).get(record.hook)
        if live[record.group_arn].is_ending:
            continue
        assert record.is_retiring is not isinstance(asked_for, Wish) or isinstance(asked_for, Obstacle)
        if isinstance(asked_for, Wish) and not record.is_retiring and record.put_at is not None:
            assert asked_for.settings.differences(hooks[record.hook]) == ()


@given(FILES, accounts())
def test_no_plan_breaks_a_rule(asked: Wanted, seen: Seen) -> None:
    _, steps = a_pass(asked, seen)
    records = {record.place: record for record in seen.enrolled}
    live = {group.name: group for group in seen.groups}
    puts = [step for step in steps if isinstance(step, Put)]
    assert len({step.record.key for step in puts}) == len(puts)
    for step in puts:
        group = live[step.record.group]
        hook = {hook.name: hook.settings for hook in seen.hooks[group.name]}.get(step.record.hook)
        is_ours = step.record.place in records or (hook is not None and asked.is_ours(hook))
        assert is_ours or hook is None, "only what has an item, or notifies us, is changed"
        assert step.record.group_arn == group.arn
        assert not group.is_ending
        assert group.name not in asked.own_groups
        assert isinstance(asked.on(group)[step.record.hook], Wish)


@given(FILES, accounts(), st.randoms(use_true_random=False))
def test_the_order_of_what_was_seen_makes_no_difference(asked: Wanted, seen: Seen, random: Any) -> None:
    shuffled = Seen(
        groups=random.sample(list(seen.groups), len(seen.groups)),
        hooks=dict(random.sample(list(seen.hooks.items()), len(seen.hooks))),
        enrolled=random.sample(list(seen.enrolled), len(seen.enrolled)),
    )
    for each in (seen, shuffled):
        assert enrolment.plan(asked, seen, at(60)) == enrolment.plan(asked, each, at(60))
        assert hook_marks.marks(asked, seen.groups, seen.enrolled, at(60)) == hook_marks.marks(
            asked, each.groups, each.enrolled, at(60)
        )
