"""Operators in a trial: now and then one holds, extends or completes an action, or pauses a hook."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from usher.core import operators
from usher.core.action import OperatorNote, Result
from usher.operators import Operators
from usher.ports.errors import Unavailable
from usher.ports.records import ALL_HOOKS
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.trials.faults import Thing
from usher_simulator.trials.judge.scene import Paused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.operators import Change
    from usher.ports.records import Raw
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.deployment import Deployment
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.effects import Watch
    from usher_simulator.trials.judge.scene import Scene, Words

_APART_MIN: Final = (3, 40)  # from one word to the next
_HELD_MIN: Final = (1, 60)
_PAUSED_MIN: Final = (1, 30)
_WHO: Final = "arn:aws:iam::111122223333:user/ann"


class OperatorsStore:
    """Implements usher.ports.records.Records for a command line, whose calls to the table never fail."""

    def __init__(self, usher: Deployment, watch: Watch) -> None:
        self._memory = usher.memory
        self._watch = watch

    def open(self, action: Action, raw: Raw | None) -> Action:
        """No command opens an action."""
        raise NotImplementedError(f"{action.id} {raw}")

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        return self._memory.load(action_id)

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """See usher.ports.records.Records."""
        before = self._memory.load(action.id)
        self._memory.save(action, raw=raw)
        after = self._memory.load(action.id)
        if after is not None:
            self._watch.stored(before, after, None)

    def join(self, action: Action, raw: Raw) -> None:
        """No command knows a token that the record does not."""
        raise NotImplementedError(f"{action.id} {raw}")


class People:
    """Speak until `end`. What they ordered, and what was refused, stands in the scene."""

    def __init__(
        self, usher: Deployment, clock: VirtualClock, random: Dice, scene: Scene, watch: Watch
    ) -> None:
        self._usher = usher
        self._clock = clock
        self._random = random
        self._scene = scene
        self._has_ended = False
        ids = count(1)
        self._operators = Operators(
            store=OperatorsStore(usher, watch),
            wake_ups=usher.sent_wake_ups,
            telemetry=Recorder(),
            clock=clock,
            new_id=lambda: f"word-{next(ids):06d}",
        )

    def begin(self, things: Collection[Thing]) -> None:
        """As the seed has drawn it."""
        if Thing.OPERATED in things:
            self._next(self._speak)
        if Thing.PAUSED in things:
            self._next(self._pause)

    def end(self) -> None:
        """Nobody speaks any more; what is held or paused is let go."""
        self._has_ended = True
        for pause in self._scene.paused:
            if pause.until is None:
                self._resume(pause)
        for action in self._usher.memory.all_open():
            if action.operator_hold is not None:
                self._hold_off(action)

    def _next(self, do: Callable[[], None]) -> None:
        later = timedelta(minutes=self._random.uniform(*_APART_MIN))
        self._clock.at(self._clock() + later, lambda: self._go_on(do))

    def _go_on(self, do: Callable[[], None]) -> None:
        if not self._has_ended and not self._usher.is_removed:
            do()
            self._next(do)

    def _said(self, reason: str) -> OperatorNote:
        return OperatorNote(who=_WHO, at=self._clock(), reason=reason)

    def _speak(self) -> None:
        actions = sorted(self._usher.memory.all_open(), key=lambda action: action.id)
        if not actions:
            return
        action, word = self._random.choice(actions), self._said("ticket 7")
        match self._random.choice(("hold", "extend", "complete")):
            case "hold":
                self._word(action, operators.hold(word), "hold", _held)
                later = timedelta(minutes=self._random.uniform(*_HELD_MIN))
                self._clock.at(self._clock() + later, lambda: self._let_go(action.id))
            case "extend":
                by = timedelta(minutes=self._random.uniform(*_HELD_MIN))
                until = max(action.give_up_at, self._clock()) + by
                extend = operators.extend(word, None, until)
                self._word(action, extend, "extend", lambda words: _extended(words, until))
            case _:
                result, now = self._random.choice(list(Result)), self._clock()
                complete = operators.complete(word, result)
                self._word(action, complete, "complete", lambda words: _ordered(words, str(result), now))

    def _let_go(self, action_id: str) -> None:
        action = self._usher.memory.load(action_id)
        if action is not None:
            self._hold_off(action)

    def _hold_off(self, action: Action) -> None:
        now = self._clock()
        hold_off = operators.hold_off(self._said("done"))
        self._word(action, hold_off, "hold --off", lambda words: _no_more_held(words, now))

    def _word(self, action: Action, change: Change, name: str, note: Callable[[Words], None]) -> None:
        """It counts from the moment of its store, which the judge must know of before anyone reads it."""
        words = self._scene.words[action.id]
        with suppress(operators.CommandRefused, Unavailable):
            self._operators.change(action, change)
            note(words)
            self._scene.happened.add(f"operator: {name}")

    def _pause(self) -> None:
        names = sorted({hook.name for hook in self._usher.configuration.hooks})
        hook = self._random.choice([*names, ALL_HOOKS])
        if any(each.hook == hook and each.until is None for each in self._scene.paused):
            return
        pause = Paused(hook=hook, since=self._clock())
        self._scene.paused.append(pause)
        self._scene.happened.add("pause")
        self._usher.memory.pause(hook, f"{_WHO}: ticket 7")
        later = timedelta(minutes=self._random.uniform(*_PAUSED_MIN))
        self._clock.at(self._clock() + later, lambda: self._resume(pause))

    def _resume(self, pause: Paused) -> None:
        """As `usher resume` does: what it held back is evaluated now."""
        if pause.until is not None:
            return
        pause.until = self._clock()
        self._usher.memory.resume(pause.hook)
        for action in sorted(self._usher.memory.all_open(), key=lambda action: action.expires_at):
            if pause.hook in (action.hook.name, ALL_HOOKS):
                with suppress(operators.CommandRefused, Unavailable):
                    self._operators.change(action, operators.evaluate_again(_WHO), operators.refuse_closed)


def _held(words: Words) -> None:
    words.is_held = True


def _no_more_held(words: Words, now: datetime) -> None:
    words.is_held, words.held_until = False, now


def _extended(words: Words, until: datetime) -> None:
    words.extended_to = until


def _ordered(words: Words, result: str, now: datetime) -> None:
    words.operator_result_by, words.ordered_at = result, now
