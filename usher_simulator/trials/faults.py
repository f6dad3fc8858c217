"""The faults of one seed, drawn as a swarm: which kinds there are, how often each hits, what is down when.

Every fault that hits is noted with the action that it touched, or with none where it touches all:
a checker that asks whether Usher is to blame must know what it was up against.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from usher_simulator.trials.choosers.chooser import Chooser
    from usher_simulator.trials.dice import Dice


class Fault(StrEnum):
    """What can go wrong once."""

    NOTICE_LOST = "notification lost"
    NOTICE_DOUBLED = "notification doubled"
    NOTICE_LATE = "notification late"
    CONTENDED = "contention in Auto Scaling"
    SERVER_ERROR = "error 500 of Auto Scaling"
    ANSWER_LOST = "answer of Auto Scaling lost"
    UNREACHED = "Auto Scaling not reached"
    THROTTLED = "throttled by Auto Scaling"
    STORE_BUSY = "store busy"
    STORE_ANSWER_LOST = "answer of the store lost"
    STALE_INDEX = "index behind the table"
    QUEUE_BUSY = "queue busy"
    QUEUE_ANSWER_LOST = "answer of the queue lost"
    WAKE_UP_LOST = "wake-up lost"
    WAKE_UP_DOUBLED = "wake-up doubled"
    WAKE_UP_LATE = "wake-up late"
    CUT = "function cut off"
    TWICE = "function run twice at once"
    SLOW = "step slow"
    SKEWED = "clock of a function ahead or behind"
    SWEEP_MISSED = "run of the schedule missed"
    MEDDLED = "changed by others"
    QUESTION_REFUSED = "question throttled or denied"
    QUESTION_SILENT = "question not answered in time"
    QUESTION_STALE = "answer to a question of a while ago"
    QUESTION_ODD = "answer to a question without sense"
    QUESTION_LIES = "answer to a question untrue"


class Part(StrEnum):
    """What can be down for a while."""

    AUTO_SCALING = "Auto Scaling"
    STORE = "the store"
    QUEUES = "the queues"
    WAKE = "the wake function"
    SWEEP = "the sweep function"
    INTAKE = "the intake function"
    BUS = "the event bus"  # EventBridge: takes nothing of ours, and delivers nothing until it is back
    ASKED = "what conditions ask"  # EC2, ECS, SSM, load balancers, functions of users


class How(StrEnum):
    """In what way a part is down."""

    BROKEN = "broken"  # it says so at once; of the table: it does not answer
    DENIED = "denied"  # the table says no
    # Of the queues: a send takes its time-out, nothing is received. Of a function: its queue is not polled.
    UNREACHED = "not reached"


class Thing(StrEnum):
    """What else goes on in a seed, that is no fault."""

    RECONCILED = "reconcile"
    ENROLLED = "enrolment"
    SILENCE = "silence"
    OPERATED = "operators"
    PAUSED = "pauses"
    REMOVED = "removal"
    LASTING = "waits up to the global timeout"


# How often a kind hits where it is on at all: of 1, for each message, step, call or run.
RATES: Final[Mapping[Fault, tuple[float, float]]] = {
    Fault.NOTICE_LOST: (0.01, 0.2),
    Fault.NOTICE_DOUBLED: (0.05, 0.9),
    Fault.NOTICE_LATE: (0.02, 0.5),
    Fault.CONTENDED: (0.005, 0.3),
    Fault.SERVER_ERROR: (0.005, 0.1),
    Fault.ANSWER_LOST: (0.005, 0.3),
    Fault.UNREACHED: (0.005, 0.1),
    Fault.STORE_BUSY: (0.0005, 0.05),
    Fault.STORE_ANSWER_LOST: (0.0005, 0.05),
    Fault.STALE_INDEX: (0.05, 0.5),
    Fault.QUEUE_BUSY: (0.001, 0.1),
    Fault.QUEUE_ANSWER_LOST: (0.001, 0.1),
    Fault.WAKE_UP_LOST: (0.001, 0.3),
    Fault.WAKE_UP_DOUBLED: (0.05, 0.9),
    Fault.WAKE_UP_LATE: (0.005, 0.2),
    Fault.CUT: (0.002, 0.2),
    Fault.TWICE: (0.05, 0.5),
    Fault.SLOW: (0.0002, 0.01),
    Fault.SKEWED: (0.1, 1.0),
    Fault.SWEEP_MISSED: (0.01, 0.5),
    Fault.MEDDLED: (0.05, 0.5),
    Fault.QUESTION_REFUSED: (0.02, 0.5),
    Fault.QUESTION_SILENT: (0.02, 0.3),
    Fault.QUESTION_STALE: (0.1, 0.8),
    Fault.QUESTION_ODD: (0.02, 0.3),
    Fault.QUESTION_LIES: (0.01, 0.2),
}
_KIND_IS_ON: Final = 0.25
_PART_IS_DOWN: Final = 0.1
# The passes of the sweep describe every other minute, and take most of the time.
_THINGS: Final[Mapping[Thing, float]] = {
    Thing.RECONCILED: 0.15,
    Thing.ENROLLED: 0.2,
    Thing.SILENCE: 0.1,
    Thing.OPERATED: 0.3,
    Thing.PAUSED: 0.1,
    Thing.REMOVED: 0.06,
}
_SHORTEST_DOWN_S, _LONGEST_DOWN_S = 20, 600
_LIES: Final = (0.05, 0.5)
_HAS_LONG_OUTAGE: Final = 0.2  # of the seeds with faults of several kinds
_HAS_OUTAGE: Final = 0.1  # of the seeds with faults of several kinds
_OFTEN_LATE: Final = 0.3
_AT_FIRST: Final = (Part.AUTO_SCALING, Part.STORE, Part.QUEUES, Part.WAKE, Part.SWEEP, Part.INTAKE)
_OUTAGES: Final[Sequence[Sequence[tuple[Part, How]]]] = (
    ((Part.STORE, How.DENIED),),
    ((Part.QUEUES, How.UNREACHED),),
    ((Part.ASKED, How.BROKEN),),
    ((Part.BUS, How.BROKEN),),
    ((Part.BUS, How.BROKEN), (Part.SWEEP, How.BROKEN)),
    ((Part.STORE, How.BROKEN), (Part.SWEEP, How.BROKEN)),
    ((Part.STORE, How.BROKEN), (Part.QUEUES, How.BROKEN)),
    ((Part.STORE, How.DENIED), (Part.ASKED, How.BROKEN)),
    ((Part.QUEUES, How.UNREACHED), (Part.SWEEP, How.BROKEN)),
    ((Part.AUTO_SCALING, How.BROKEN), (Part.STORE, How.BROKEN)),
    ((Part.AUTO_SCALING, How.BROKEN), (Part.ASKED, How.BROKEN)),
    ((Part.WAKE, How.BROKEN), (Part.ASKED, How.BROKEN)),
)
_NONE, _ONE = 0.08, 0.3  # the shares of seeds with no fault at all, and of those with one kind
_SEVERAL: Final = 2
_THROTTLING: Final = 0.2
_RATES_OF_CALLS: Final = (1.0, 20.0)  # a second, where Auto Scaling throttles
LONGEST_SKEW: Final = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Down:
    """A part is down for a while."""

    part: Part
    since: datetime
    until: datetime
    how: How = How.BROKEN

    def __str__(self) -> str:
        """As a trace has it."""
        how = "down" if self.how is How.BROKEN else self.how
        return f"{self.part} {how} {self.since:%H:%M:%S} to {self.until:%H:%M:%S}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Swarm:
    """What is drawn for one seed. `calls_per_second` None: Auto Scaling throttles nobody."""

    rates: Mapping[Fault, float] = field(default_factory=dict)
    downs: Sequence[Down] = ()
    calls_per_second: float | None = None
    deploys: int = 0
    things: frozenset[Thing] = frozenset()

    def __str__(self) -> str:
        """As a trace begins."""
        told = [f"{kind} {rate:.4f}" for kind, rate in self.rates.items()]
        told += map(str, self.downs)
        if self.calls_per_second is not None:
            told.append(f"{self.calls_per_second:.1f} calls a second")
        told += [f"{self.deploys} deploys"] if self.deploys else []
        return "; ".join([*told, *sorted(self.things)]) or "nothing goes wrong"


def draw(random: Dice, start: datetime, span: timedelta) -> Swarm:
    """A swarm for the `span` from `start` on. Some seeds have one kind of fault only, and some none."""
    share = random.random()
    if share < _NONE:
        return Swarm()
    kinds = list(RATES)
    if share < _NONE + _ONE:
        on = [random.choice(kinds)]
    else:
        on = [kind for kind in kinds if random.chance(_KIND_IS_ON)]
    several = share >= _NONE + _ONE
    things = frozenset(thing for thing, likely in _THINGS.items() if several and random.chance(likely))
    if Thing.REMOVED in things:
        things |= {Thing.ENROLLED}
    return Swarm(
        rates={kind: random.between(*RATES[kind]) for kind in on},
        downs=[
            _down(random, part, start, span) for part in _AT_FIRST if several and random.chance(_PART_IS_DOWN)
        ],
        calls_per_second=random.between(*_RATES_OF_CALLS) if several and random.chance(_THROTTLING) else None,
        deploys=random.choice((0, 0, 1, 2)) if several else 0,
        things=things,
    )


def with_things(swarm: Swarm, things: Collection[Thing]) -> Swarm:
    """The swarm, with these things going on too; what is enrolled is deployed, too.

    Where waits last, many notifications are late: then their global timeout is not from first sight.
    """
    if not things:
        return swarm
    deploys = max(swarm.deploys, 2 if Thing.ENROLLED in things else 0)
    rates = dict(swarm.rates)
    if Thing.LASTING in things:
        rates[Fault.NOTICE_LATE] = max(_OFTEN_LATE, rates.get(Fault.NOTICE_LATE, 0.0))
    return replace(swarm, rates=rates, things=swarm.things | set(things), deploys=deploys)


def with_outage(swarm: Swarm, random: Dice, start: datetime, span: timedelta) -> Swarm:
    """The swarm of a seed with several faults; in some with an outage of one part more, or of two at once."""
    if len(swarm.rates) < _SEVERAL or not random.chance(_HAS_OUTAGE):
        return swarm
    outage = random.choice(_OUTAGES)
    first = _down(random, outage[0][0], start, span)
    return replace(swarm, downs=[*swarm.downs, *(replace(first, part=part, how=how) for part, how in outage)])


def with_lies(swarm: Swarm, random: Dice) -> Swarm:
    """The swarm, where what conditions ask says the untruth now and then."""
    lies = random.between(*_LIES)
    return replace(swarm, rates={**swarm.rates, Fault.QUESTION_LIES: lies}) if swarm.rates else swarm


def with_long_outage(swarm: Swarm, random: Dice, start: datetime, span: timedelta) -> Swarm:
    """The swarm of a seed with several faults; in some Auto Scaling is down for so long that waits fall."""
    if len(swarm.rates) < _SEVERAL or not random.chance(_HAS_LONG_OUTAGE):
        return swarm
    since = start + random.random() * span
    until = since + timedelta(seconds=random.between(_LONGEST_DOWN_S, 3 * _LONGEST_DOWN_S))
    return replace(swarm, downs=[*swarm.downs, Down(part=Part.AUTO_SCALING, since=since, until=until)])


def _down(random: Dice, part: Part, start: datetime, span: timedelta) -> Down:
    since = start + random.random() * span
    lasts = timedelta(seconds=random.between(_SHORTEST_DOWN_S, _LONGEST_DOWN_S))
    return Down(part=part, since=since, until=since + lasts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Met:
    """A fault that hit."""

    at: datetime
    fault: str


class Faults:
    """Asks the chooser, of what is in a swarm, while it is `on`, and remembers what hit whom."""

    def __init__(self, swarm: Swarm, chooser: Chooser) -> None:
        self.swarm = swarm
        self.on = True
        self._chooser = chooser
        self._by_whom: dict[str, list[Met]] = {}
        self._of_all: list[Met] = []
        self.count = 0

    def hits(self, fault: Fault) -> bool:
        """Whether this fault hits now."""
        rate = self.swarm.rates.get(fault)
        return rate is not None and self.on and self._chooser.hits(fault, rate)

    def is_down(self, part: Part, now: datetime) -> bool:
        """Whether a part is down."""
        return self.how_down(part, now) is not None

    def up_again_at(self, part: Part, now: datetime) -> datetime | None:
        """When a part that is down is up again; None: it is not down."""
        downs = self.swarm.downs if self.on else ()
        ends = (down.until for down in downs if down.part is part and down.since <= now < down.until)
        return max(ends, default=None)

    def how_down(self, part: Part, now: datetime) -> How | None:
        """In what way a part is down; None: it is not."""
        if not self.on or not self.swarm.downs:
            return None
        on = (down.how for down in self.swarm.downs if down.part is part and down.since <= now < down.until)
        return next(on, None)

    def skew(self) -> timedelta:
        """How far the clock of a function is ahead."""
        if not self.hits(Fault.SKEWED):
            return timedelta(0)
        return self._chooser.number(-1.0, 1.0) * LONGEST_SKEW

    def met(self, fault: str, now: datetime, who: str | None = None) -> None:
        """Note that a fault hit an action (by its id), a function, or where it is told no one any of them."""
        self.count += 1
        place = self._of_all if who is None else self._by_whom.setdefault(who, [])
        place.append(Met(at=now, fault=fault))

    @property
    def all_met(self) -> list[tuple[str, Met]]:
        """All that hit so far, and whom."""
        met = [(who, one) for who, those in sorted(self._by_whom.items()) for one in those]
        return met + [("", one) for one in self._of_all]

    def between(self, who: str, since: datetime, until: datetime) -> list[Met]:
        """What hit an action, or a function, after `since`, up to `until`."""
        places = (self._by_whom.get(who, []), self._of_all)
        met = [one for place in places for one in place[bisect_right(place, since, key=_at) :]]
        return sorted((one for one in met if one.at <= until), key=_at)


def _at(met: Met) -> datetime:
    return met.at
