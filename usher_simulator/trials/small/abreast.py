"""Invocations whose steps take no time: of all that are due at one moment, it is chosen who goes on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from greenlet import getcurrent

from usher_simulator.trials.effects import Effects
from usher_simulator.trials.faults import Fault
from usher_simulator.trials.invocations import Cut, Invocation, Invocations
from usher_simulator.trials.small.names import renamed
from usher_simulator.trials.small.steps import CALLS, CLOSED, OF_RECORDS, OVER, READS, REOPENED, STALE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from greenlet import greenlet

    from usher.core.action import Action
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.choosers.chooser import Chooser
    from usher_simulator.trials.faults import Faults

T = TypeVar("T")
_NOTHING: Final = timedelta(0)
PERSON: Final = "ann"


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A line of an invocation that could go on now, and what it does then."""

    invocation: Invocation
    line: greenlet
    before: str


class Told(NamedTuple):
    """All that a line was told, and the names in it as they came; not that of its own invocation."""

    digest: bytes
    names: tuple[str, ...]


class Abreast(Invocations):
    """A line is due when the time of its pause has passed. `advance` lets one of them go on."""

    def __init__(
        self, clock: VirtualClock, on_cut: Callable[[Invocation, str], None], chooser: Chooser, faults: Faults
    ) -> None:
        super().__init__(clock, on_cut)
        self._chooser = chooser
        self._faults = faults
        self._did: set[Invocation] = set()  # something, since it was last asked whether it is cut off here
        self._last: greenlet | None = None
        self.due: list[Due] = []
        self._offered: Sequence[Due] = ()
        self.given: dict[int, str] = {}  # to an invocation, by its number
        self.seconds: set[int] = set()  # invocations, by number, of which another has the same messages
        self.saving: dict[greenlet, Action] = {}  # what a line that is about to save then stores
        self.stored: Callable[[str], Action | None] = lambda _: None
        self.are_closed: Callable[[], bool] = bool  # whether every action that is recorded is
        self.are_over: Callable[[], bool] = bool  # whether nothing waits in Auto Scaling
        self._answers: defaultdict[greenlet, list[object]] = defaultdict(list)
        self.on_step: Callable[[str], object] = lambda _: None
        self.switches = 0
        self.every_fault = False  # also those for which another stands

    def cuts(self, invocation: Invocation) -> bool:
        """See Invocations: asked before its first step, and after each that it has made; not of people."""
        if invocation.function == PERSON:
            return False
        if invocation.steps > 1 and invocation not in self._did:
            return False
        self._did.discard(invocation)
        return self._faults.hits(Fault.CUT)

    def pause(self, span: timedelta, before: str = "") -> None:
        """See Invocations. Where no time passes and nothing is done that others could see, all go on."""
        invocation, line = self.current, getcurrent()
        if invocation is None or (span <= _NOTHING and not before):
            return
        if invocation.is_over:
            raise Cut
        self.switches += 1
        due = Due(invocation=invocation, line=line, before=before or "goes on")
        if span > _NOTHING:
            self._clock.at(self._clock() + span, lambda: self.due.append(due))
        else:
            self.due.append(due)
        self._loop.switch()
        if before not in READS or self.every_fault:
            self._did.add(invocation)

    def ready(self) -> Sequence[Due]:
        """Who could go on, the one that ran last first; nobody of an invocation that is over."""
        self.due = [each for each in self.due if not each.invocation.is_over]
        return sorted(self.due, key=lambda each: each.line is not self._last)

    def advance(self, ready: Sequence[Due]) -> None:
        """Let one of these go on."""
        self._offered = ready
        place = self._chooser.next_of([self._told(each) for each in ready]) if len(ready) > 1 else 0
        chosen = ready[place]
        self.due.remove(chosen)
        self._last = chosen.line
        if chosen.invocation.function == PERSON:
            self._faults.on = False  # people do it again until it is done
        self.on_step(self._named(chosen))
        self._go_on(chosen.invocation, chosen.line)

    def _told(self, due: Due) -> str:
        return f"{due.invocation}: {self._named(due)}"

    def _named(self, due: Due) -> str:
        """What it does next, as steps.py beside this tells steps apart."""
        if due.before == "save":
            return self._named_save(self.saving[due.line])
        if due.before in OF_RECORDS and self.are_closed():
            return CLOSED
        if due.before in CALLS and self.are_over():
            return OVER
        return due.before

    def _named_save(self, saving: Action) -> str:
        stored = self.stored(saving.id)
        if stored and stored.version >= saving.version and stored.evaluation_id != saving.evaluation_id:
            return STALE
        return REOPENED if self.are_closed() else "save"

    def is_told(self, answer: object) -> None:
        """The running line is told something: it may go on otherwise than one that is told otherwise."""
        self._answers[getcurrent()].append(answer)

    def told(self, line: greenlet) -> Told:
        """All that a line was told so far."""
        names = {f"id-{invocation}": 0 for invocation in self.running if line in invocation.lines}
        text = renamed(repr(self._answers[line]), names).encode(errors="backslashreplace")
        return Told(blake2b(text, digest_size=16).digest(), tuple(names)[1:])

    def kinds(self) -> Sequence[Hashable]:
        """Of those among whom is chosen. Two of a kind have one line each, given and told the same."""
        return [self._kind(each) for each in self._offered]

    def _kind(self, due: Due) -> Hashable:
        invocation, told = due.invocation, self.told(due.line)
        if len(invocation.lines) > 1 or invocation.number in self.seconds:
            return due
        given = self.given.get(invocation.number, "")
        return invocation.function, given, invocation.ends_at, invocation.faults, told, due.before

    def end_all(self) -> None:
        """Nothing goes on."""
        for invocation in list(self.running):
            self._end(invocation)


class ToldEffects(Effects):
    """Effects that note what each line is told, and is about to save."""

    invocations: Abreast

    def saves(self, action: Action) -> None:
        """See Effects."""
        self.invocations.saving[getcurrent()] = action

    def of_store(self, do: Callable[[], T], action_id: str | None = None, what: str = "store") -> T:
        """See Effects."""
        try:
            answer = super().of_store(do, action_id, what)
        except Exception as error:
            self.invocations.is_told(error)
            raise
        self.invocations.is_told(answer)
        return answer

    def loses_answer(self, what: str) -> bool:
        """See Effects: of a read that is STORE_BUSY already, where that is among the faults."""
        is_busy_too = what in READS and Fault.STORE_BUSY in self.faults.swarm.rates
        return (self.invocations.every_fault or not is_busy_too) and super().loses_answer(what)

    def of_queue(self, do: Callable[[], None], action_id: str | None = None) -> None:
        """See Effects."""
        try:
            super().of_queue(do, action_id)
        except Exception as error:
            self.invocations.is_told(error)
            raise
        self.invocations.is_told(None)
