"""Invocations whose steps take no time: of all that are due at one moment, it is chosen who goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from greenlet import getcurrent

from usher_simulator.trials.effects import Effects
from usher_simulator.trials.faults import Fault
from usher_simulator.trials.invocations import Cut, Invocation, Invocations
from usher_simulator.trials.small.names import renamed
from usher_simulator.trials.small.steps import STALE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    """All that a line was told, and the names in it as they came; the first is of its own invocation."""

    digest: bytes
    names: dict[str, int]


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
        self.saving: dict[greenlet, Action] = {}  # what a line that is about to save then stores
        self.stored: Callable[[str], Action | None] = lambda _: None
        self.told: dict[greenlet, Told] = {}  # so far
        self.on_step: Callable[[str], object] = lambda _: None
        self.switches = 0

    def cuts(self, invocation: Invocation) -> bool:
        """See Invocations: asked before its first step, and after each one that it has made."""
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
        self._did.add(invocation)

    def ready(self) -> Sequence[Due]:
        """Who could go on, the one that ran last first; nobody of an invocation that is over."""
        self.due = [each for each in self.due if not each.invocation.is_over]
        return sorted(self.due, key=lambda each: each.line is not self._last)

    def advance(self, ready: Sequence[Due]) -> None:
        """Let one of these go on."""
        place = self._chooser.next_of([self._told(each) for each in ready]) if len(ready) > 1 else 0
        chosen = ready[place]
        self.due.remove(chosen)
        self._last = chosen.line
        if chosen.invocation.function == PERSON:
            self._faults.on = False  # people do it again until it is done
        self.on_step(chosen.before)
        self._go_on(chosen.invocation, chosen.line)

    def _told(self, due: Due) -> str:
        saving = self.saving.get(due.line) if due.before == "save" else None
        stored = self.stored(saving.id) if saving else None
        is_stale = saving and stored and stored.version >= saving.version and stored.look_id != saving.look_id
        return f"{due.invocation}: {STALE if is_stale else due.before}"

    def is_told(self, answer: object) -> None:
        """The running line is told something: it may go on otherwise than one that is told otherwise."""
        line = getcurrent()
        digest, names = self.told.get(line) or (b"", {f"id-{self.current}": 0})
        text = renamed(repr(answer), names).encode(errors="backslashreplace")
        self.told[line] = Told(blake2b(digest + text, digest_size=16).digest(), names)

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

    def of_queue(self, do: Callable[[], None], action_id: str | None = None) -> None:
        """See Effects."""
        try:
            super().of_queue(do, action_id)
        except Exception as error:
            self.invocations.is_told(error)
            raise
        self.invocations.is_told(None)
