"""What is sent from a wake-up, or from the live state, where the table does not answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import an_action, at, hook_terms
from tests.unit import test_reconcile
from usher.core import configuration
from usher.core.held_wait import HeldWait, held_wait, with_heartbeats
from usher.core.hook_items import Enrolled, HookState, Target
from usher.core.pacing import Pace
from usher.core.wanted_hooks import settings_of
from usher.evaluation.call_budget import NoCallLeft
from usher.outage.heartbeat_news import HeartbeatNews
from usher.outage.live_holds import LiveHolds
from usher.outage.without_table import Memory, WithoutTable
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.errors import CallRefused, CutShort, NoAnswer, NotRecorded, TryLater, Unavailable
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from usher.core.live_waits import LiveGroup

AWAY = NoAnswer("the table did not answer")
SHORT = hook_terms(heartbeat_timeout=timedelta(seconds=30))


@dataclass
class World(OneByOne):
    """Auto Scaling, a queue and a clock: what was beaten, and what was sent for when."""

    now: float = 21
    answers: AnswerKind = AnswerKind.ACCEPTED
    beaten: list[str] = field(default_factory=list)
    sent: list[tuple[float, HeldWait]] = field(default_factory=list)
    group: LiveGroup | None = None
    slept: float = 0
    items: list[Enrolled] = field(default_factory=list)
    queue_is_down: bool = False

    def clock(self) -> datetime:
        return at(self.now)

    def hold(self, wait: HeldWait) -> Answer:
        self.beaten.append(wait.instance_id)
        return Answer(kind=self.answers, text="")

    def send(self, action_id: str, version: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        assert (action_id, version) != ("", -1)
        assert wait is not None
        if self.queue_is_down:
            raise Unavailable("queue")
        self.sent.append((self.now + delay.total_seconds(), wait))

    # As LiveWaits

    def live_groups(self, names: Any, turn: Callable[[], datetime]) -> Iterator[LiveGroup]:
        assert "workers-1" in names
        turn()
        if self.group is not None:
            yield replace(self.group, seen_at=self.clock())

    def hooks_of(self, group: str) -> list[Any]:
        @dataclass
        class Seen:
            name: str
            settings: Any

        assert group in {"workers-1", "former"}
        return [Seen("usher-drain", hook_terms()), Seen("former", hook_terms())]

    # As AllHookItems

    def enrolled(self) -> list[Enrolled]:
        return self.items

    def wait(self, span_s: float) -> None:
        self.now += span_s
        self.slept += span_s


def container(world: Any) -> WithoutTable:
    return WithoutTable(
        holds=world,
        hooks=None,
        wake_ups=world,
        telemetry=Recorder(),
        clock=world.clock,
        memory=Memory(pace=Pace(calls_per_second=10)),
    )


def a_wait(**changes: Any) -> HeldWait:
    wait = held_wait(an_action(hook=SHORT), 1)
    assert wait is not None
    return replace(wait, **changes)


def test_a_wait_is_beaten_and_its_successor_comes_before_the_new_expiry() -> None:
    world = World()
    assert container(world).hold("action-1", 7, a_wait(), AWAY)
    ((when, successor),) = world.sent
    assert (world.beaten, when) == (["i-0f0e0d0c0b0a09080"], 41)
    assert (successor.beats, successor.beaten_at, successor.expires_at) == (1, at(21), at(51))


@pytest.mark.parametrize(
    ("wait", "why"),
    [
        pytest.param(None, AWAY, id="of an earlier release, or with a result"),
        pytest.param(a_wait(), CutShort("", may_beat=False), id="whose evaluation had decided a result"),
    ],
)
def test_nothing_goes_out_for_a_wake_up(wait: HeldWait | None, why: Unavailable) -> None:
    world = World()
    assert not container(world).hold("action-1", 7, wait, why)
    assert (world.beaten, world.sent) == ([], [])


def test_what_the_evaluation_has_beaten_itself_is_not_beaten_again() -> None:
    world = World()
    assert container(world).hold("action-1", 7, a_wait(), CutShort("", beaten_at=at(20)))
    assert (world.beaten, [when for when, _ in world.sent]) == ([], [40])


def test_a_copy_that_the_same_container_gets_founds_no_chain() -> None:
    world = World()
    one = container(world)
    assert one.hold("action-1", 7, a_wait(), AWAY)
    assert one.hold("action-1", 7, a_wait(), AWAY)
    assert (len(world.beaten), len(world.sent)) == (1, 1)


def test_a_wake_up_of_a_version_that_is_past_founds_no_chain_beside_the_newest() -> None:
    """Each store sends wake-ups anew, and those of before are still on their way."""
    world = World()
    one = container(world)
    assert one.hold("action-1", 7, a_wait(chain="7/1"), AWAY)
    world.now = 23
    assert one.hold("action-1", 6, a_wait(chain="6/1"), AWAY)
    assert (len(world.beaten), len(world.sent)) == (1, 1)
    assert one.hold("action-1", 5, a_wait(chain="5/1", beats=1, beaten_at=at(2), first_at=at(2)), AWAY)
    assert (len(world.beaten), world.sent[-1][1].is_over) == (1, True), "its beat is to be told"


def test_the_other_chain_beats_only_where_the_container_does_not_know_better() -> None:
    world = World(now=25)
    one = container(world)
    second = held_wait(an_action(hook=SHORT), 2)
    assert one.hold("action-1", 7, a_wait(), AWAY)
    assert one.hold("action-1", 7, second, AWAY)
    assert (len(world.beaten), [when for when, _ in world.sent]) == (1, [45, 50])


def test_what_is_not_due_yet_is_only_handed_on_each_action_for_itself() -> None:
    world = World(now=5)
    far = held_wait(an_action(token="another"), 1)
    one = container(world)
    assert one.hold("action-1", 7, a_wait(), AWAY)
    assert one.hold("action-2", 7, far, AWAY)
    assert (world.beaten, [when for when, _ in world.sent]) == ([], [20, 5 + 890])


@pytest.mark.parametrize("answers", [AnswerKind.BUSY, AnswerKind.UNANSWERED, AnswerKind.REFUSED])
def test_what_was_not_accepted_is_tried_again_before_the_expiry(answers: AnswerKind) -> None:
    world = World(answers=answers)
    assert container(world).hold("action-1", 7, a_wait(), AWAY)
    ((when, successor),) = world.sent
    assert 21 < when < 26
    assert successor.lead == a_wait().lead, "so that the next beats keep their distance"


def test_a_chain_ends_with_its_wait_and_tells_of_its_beats() -> None:
    world = World(answers=AnswerKind.NO_ACTIVE_ACTION)
    assert container(world).hold("action-1", 7, a_wait(beaten_at=at(1)), AWAY)
    assert world.sent == []
    assert container(world).hold("action-1", 7, a_wait(beaten_at=at(1), beats=2, first_at=at(0)), AWAY)
    ((_, news),) = world.sent
    assert (news.is_over, news.beats) == (True, 2)
    assert container(world).hold("action-1", 7, news, AWAY)
    assert len(world.beaten) == 2, "the third only carries its news"


def test_no_beat_goes_out_beyond_the_global_limit() -> None:
    world = World(now=3001)
    assert container(world).hold("action-1", 7, a_wait(), AWAY)
    assert (world.beaten, world.sent) == ([], [])


def test_a_notice_that_the_table_does_not_know_is_held_for_half_an_hour() -> None:
    world = World()
    wait = a_wait(is_recorded=False)
    assert container(world).hold("action-1", 0, wait, NotRecorded(""))
    assert (len(world.beaten), world.sent[-1][1].missed_at) == (1, at(21))
    world.now = 21 + 30 * 60 + 1
    assert container(world).hold("action-1", 0, world.sent[-1][1], NotRecorded(""))
    assert (len(world.beaten), len(world.sent)) == (1, 1)


def test_a_table_that_answers_now_and_then_ends_no_chain() -> None:
    """Found by reading: two answers that it is not recorded, an outage apart, were taken for a long one."""
    world = World()
    assert container(world).hold("action-1", 0, a_wait(is_recorded=False), NotRecorded(""))
    world.now += 20
    assert container(world).hold("action-1", 0, world.sent[-1][1], AWAY)
    assert world.sent[-1][1].missed_at is None


def test_one_container_keeps_the_rate() -> None:
    world = World(now=15)
    one = container(world)
    for number in range(30):
        assert one.hold(
            f"action-{number}", 7, a_wait(token=f"token-{number}", chain=f"{number}/1", due_at=at(10)), AWAY
        )
    assert len(world.beaten) == 10
    assert all(when - world.now <= 3 for when, wait in world.sent if not wait.beats)


# By the live state


def live(world: World, timeout: str = "1h", **policy: str) -> LiveHolds:
    hook = {"name": "usher-drain", "group": "workers-1", "transition": "terminating", "policy": "job"}
    hook["heartbeat_timeout"] = timeout
    others = [
        {**hook, "name": "short", "heartbeat_timeout": "4m"},
        {**hook, "name": "in", "transition": "launching"},
    ]
    file = {
        "version": 1,
        "policies": {"job": {"until": [{"signal": "done"}], **policy}},
        "hooks": [hook, *others],
    }
    return LiveHolds(
        configuration=configuration.parse(file),
        items=world,  # type: ignore[arg-type] # likewise
        live=world,  # type: ignore[arg-type] # as much of it as is used
        holds=world,
        news=HeartbeatNews(wake_ups=world, telemetry=Recorder(), clock=world.clock, new_id=lambda: "new"),
        telemetry=Recorder(),
        clock=world.clock,
        wait=world.wait,
        calls_per_second=10,
    )


def a_group(*states: str) -> LiveGroup:
    member = test_reconcile.a_member
    members = [member(state, instance_id=f"i-{number:09x}") for number, state in enumerate(states)]
    return test_reconcile.a_group(*members, seen_at=at(0))


def test_the_sweep_beats_what_waits_at_most_once_in_half_a_timeout() -> None:
    world = World(
        now=0, group=a_group("Terminating:Wait", "InService", "Terminating:Wait", "Terminating:Proceed")
    )
    sweep = live(world)
    for minute in range(63):
        world.now = max(world.now, 60 * minute)
        sweep.run(lambda: True)
    assert world.beaten == ["i-000000000", "i-000000002"] * 3, (
        "at 0, 31 and 62 minutes, and only in the hook of an hour"
    )
    assert [(news.is_over, news.beats) for _, news in world.sent] == [(True, 1)] * 2, "of the first of each"
    sweep.catch_up(lambda: True)
    assert [news.beats for _, news in world.sent[2:]] == [3, 3], "and of all, once the table is back"
    assert len({news.chain for _, news in world.sent}) == 2
    sweep.catch_up(lambda: True)
    assert len(world.sent) == 4


def test_an_outage_of_hours_leaves_two_messages_for_each_wait_and_all_is_told() -> None:
    """Found by counting: each beat had a chain of its own, which came again every ten minutes."""
    world = World(now=0, group=a_group(*["Terminating:Wait"] * 3))
    sweep, one = live(world, timeout="5m"), container(world)
    coming: list[tuple[float, HeldWait]] = []
    most = 0
    for minute in range(6 * 60):
        world.now = max(world.now, 60 * minute)
        sweep.run(lambda: True)
        coming, due = ([row for row in coming if (row[0] <= world.now) == is_due] for is_due in (False, True))
        for _, news in due:
            assert one.hold("new", 0, news, AWAY)
        coming += world.sent
        world.sent = []
        most = max(most, len(coming))
    assert (most, len(world.beaten) > 3 * 100) == (3, True)
    sweep.catch_up(lambda: True)
    action = replace(an_action(), started_at=at(-1))
    for instance in set(world.beaten):
        of_it = [news for _, news in coming + world.sent if news.instance_id == instance]
        told_of = action
        for news in of_it:
            told_of = with_heartbeats(told_of, news, at(world.now))
        assert told_of.heartbeats == world.beaten.count(instance)


def test_a_wait_that_is_another_has_news_of_its_own() -> None:
    world = World(now=0, group=a_group("Terminating:Wait"))
    sweep = live(world)
    sweep.run(lambda: True)
    world.now = 3 * 3600
    sweep.run(lambda: True)
    assert len({news.chain for _, news in world.sent}) == 2


def test_news_that_the_queue_does_not_take_waits_for_it() -> None:
    world = World(now=0, group=a_group("Terminating:Wait"), queue_is_down=True)
    sweep = live(world)
    sweep.run(lambda: True)
    sweep.catch_up(lambda: True)
    world.now, world.queue_is_down = 120, False
    sweep.catch_up(lambda: True)
    assert [news.beats for _, news in world.sent] == [1]


@pytest.mark.parametrize("group", ["workers-1", "former"], ids=["in its group", "with its group"])
@pytest.mark.parametrize(
    ("state", "mode", "beats"),
    [
        pytest.param(HookState.RETIRING, "enforce", 1, id="on its way out"),
        pytest.param(HookState.RETIRING, "observe", 0, id="on its way out, and only observed"),
        pytest.param(HookState.WANTED, "enforce", 0, id="by tags, of which the file knows"),
    ],
)
def test_a_long_hook_that_left_the_file_is_beaten_as_its_item_says(
    group: str, state: HookState, mode: str, beats: int
) -> None:
    """What began in it is to be finished under its policy, which the sweep has read before."""
    world = World(now=0, group=replace(a_group("Terminating:Wait"), name=group))
    hook = configuration.parse(
        {
            "version": 1,
            "policies": {"job": {"until": [{"signal": "done"}], "mode": mode}},
            "hooks": [{"name": "former", "group": group, "transition": "terminating", "policy": "job"}],
        }
    ).hooks[0]
    world.items = [
        Enrolled(
            group=group,
            group_arn="",
            hook="former",
            settings=settings_of(hook, Target(arn="inbox")),
            source=configuration.source_of(hook),
            state=state,
        )
    ]
    sweep = live(world, mode="observe")
    sweep.catch_up(lambda: True)
    world.items = []
    sweep.catch_up(lambda: True)
    sweep.run(lambda: True)
    assert len(world.beaten) == beats


def test_the_sweep_takes_half_of_the_rate() -> None:
    world = World(now=0, group=a_group(*["Terminating:Wait"] * 100))
    live(world).run(lambda: True)
    assert (len(world.beaten), round(world.slept)) == (100, 20)


def test_the_sweep_beats_no_more_than_the_shared_budget_has_room_for_where_there_is_one() -> None:
    """Beside it, it took the calls of wake-ups that had come late: an instance of theirs fell."""
    world = World(now=0, group=a_group(*["Terminating:Wait"] * 100))
    room = iter([at(0)] * 13)  # two of them for questions

    def booked() -> datetime:
        for second in room:
            return second
        raise NoCallLeft

    live(world).run(lambda: True, (), booked)
    assert (len(world.beaten), world.slept) == (11, 0)


def test_the_sweep_calls_nothing_for_what_is_only_observed() -> None:
    world = World(now=0, group=a_group("Terminating:Wait"))
    live(world, mode="observe").run(lambda: True)
    assert world.beaten == []


@pytest.mark.parametrize("error", [CallRefused("AccessDenied"), TryLater("InternalFailure")])
def test_a_pool_that_is_not_told_keeps_nobody_from_being_held(error: Exception) -> None:
    """Found by reading: one refused DescribeWarmPool ended the run before its first heartbeat."""
    world = World(now=0, group=replace(a_group("Terminating:Wait"), has_pool=True))

    def pool(*_: object) -> None:
        raise error

    world.pool = pool  # type: ignore[attr-defined] # as LiveWaits has it
    live(world).run(lambda: True)
    assert world.beaten == ["i-000000000"]


def test_a_hold_that_is_refused_counts_for_the_alarm_on_what_is_refused() -> None:
    sweep = live(World(now=0, group=a_group("Terminating:Wait"), answers=AnswerKind.REFUSED))
    sweep.run(lambda: True)
    assert isinstance(sweep.telemetry, Recorder)
    assert sweep.telemetry.counts["Refused"] == 1


def test_a_sweep_that_is_turned_away_ends_and_tries_again() -> None:
    world = World(now=0, group=a_group("Terminating:Wait"), answers=AnswerKind.BUSY)
    sweep = live(world)
    sweep.run(lambda: True)
    world.answers = AnswerKind.ACCEPTED
    sweep.run(lambda: True)
    assert len(world.beaten) == 2
