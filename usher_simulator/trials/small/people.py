"""People beside the functions of a small world: each word is an invocation of its own, step by step."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from usher.core import operators
from usher.core.action import OperatorNote, Result
from usher.operators import Operators
from usher.ports.errors import Moved, NotInForce, Unavailable
from usher.ports.records import ALL_HOOKS
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.trials.applier import next_version
from usher_simulator.trials.invocations import Invocation
from usher_simulator.trials.judge.scene import Checker, Paused
from usher_simulator.trials.judge.terms import InForce
from usher_simulator.trials.small.abreast import PERSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action
    from usher.core.compiled import Compiled
    from usher.core.file_versions import Schedule
    from usher.core.operators import Change
    from usher.ports.records import Records
    from usher_simulator.trials.judge.scene import Words
    from usher_simulator.trials.small.world import SmallTrial

_COMMAND: Final = timedelta(minutes=5)


class Ordered(Checker):
    """Notes what operators order at the moment at which it is stored."""

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """See effects.Watch."""
        if before is None or invocation is None or invocation.function != PERSON:
            return
        words = self.scene.words[after.id]
        words.is_held = after.operator_hold is not None
        if after.operator_result is not None:
            words.operator_result_by, words.ordered_at = str(after.operator_result), self.scene.clock()


def does(trial: SmallTrial, work: Callable[[], object]) -> None:
    """Somebody works beside the functions, from now on."""

    def quietly() -> None:
        with suppress(operators.CommandRefused, Unavailable):
            work()

    invocation = Invocation(function=PERSON, timeout=_COMMAND)
    trial.abreast.start(invocation, lambda _: quietly(), lambda *_: None)


def _order(
    trial: SmallTrial,
    change: Callable[[OperatorNote], Change],
    ordered: Callable[[Words], object] = lambda _: None,
) -> Callable[[], None]:
    """What somebody orders of the first action; the judge knows it as `ordered`, whatever is stored of it."""
    usher = trial.usher
    commands = Operators(
        store=cast("Records", usher.store),
        wake_ups=usher.sent_wake_ups,
        telemetry=Recorder(),
        clock=trial.clock,
        new_id=usher.next_id,
    )
    note = OperatorNote(who=PERSON, at=trial.clock(), reason="ticket 7")

    def order() -> None:
        for action in usher.memory.actions()[:1]:
            loaded = usher.store.load(action.id)
            if loaded is not None:
                commands.change(loaded, change(note))
                ordered(trial.scene.words[action.id])

    return order


def completes(trial: SmallTrial) -> None:
    """`usher complete`."""
    does(trial, _order(trial, lambda note: operators.complete(note, Result.CONTINUE)))


def holds(trial: SmallTrial) -> None:
    """`usher hold`."""
    does(trial, _order(trial, operators.hold, lambda words: setattr(words, "is_held", True)))


def lets_go(trial: SmallTrial) -> None:
    """`usher hold --off`."""
    does(trial, _order(trial, operators.hold_off))


def pauses(trial: SmallTrial) -> None:
    """`usher pause`."""

    def pause() -> None:
        trial.scene.paused.append(Paused(hook=ALL_HOOKS, since=trial.clock()))
        trial.usher.memory.pause(ALL_HOOKS, PERSON)

    does(trial, lambda: trial.effects.of_store(pause, what="pause"))


def resumes(trial: SmallTrial) -> None:
    """`usher resume`: what it held back is evaluated now."""

    def resume() -> None:
        trial.usher.memory.resume(ALL_HOOKS)
        for each in trial.scene.paused:
            each.until = each.until or trial.clock()

    def work() -> None:
        trial.effects.of_store(resume, what="resume")
        _order(trial, lambda _: operators.evaluate_again(PERSON))()

    does(trial, work)


def deploys(trial: SmallTrial, *files: Compiled) -> None:
    """The functions get another hooks file; or several, one after the other, as in a rollback."""

    def deploy(file: Compiled) -> None:
        trial.scene.deployed.append(InForce(since=trial.clock(), file=file.file))
        trial.usher.deploy(file)

    def work() -> None:
        for file in files:
            trial.effects.of_store(partial(deploy, file), what="deploy")

    does(trial, work)


def applies(trial: SmallTrial, file: Compiled) -> None:
    """`usher apply`: reads which versions there are, and stores another, unless somebody was faster."""
    versions = trial.usher.versions

    def takes_effect() -> None:
        trial.scene.deployed.append(InForce(since=trial.clock(), file=file.file))
        trial.usher.file = file

    def apply(over: Schedule) -> None:
        version, after = next_version(file, over, trial.clock())
        versions.apply(version, after, over)
        trial.clock.at(version.effective_at, takes_effect)

    def work() -> None:
        over = trial.effects.of_store(versions.schedule, what="schedule")
        with suppress(Moved, NotInForce):
            trial.effects.of_store(partial(apply, over), what="apply")

    does(trial, work)


def grows(trial: SmallTrial, size: int) -> None:
    """Somebody has a group launch an instance."""
    does(trial, lambda: trial.effects.of_store(lambda: trial.grow("web", size), what="grow"))


def ends_elsewhere(trial: SmallTrial) -> None:
    """Somebody else completes the first action, past Usher."""

    def end() -> None:
        wait = next(wait for waits in trial.waits.values() for wait in waits)
        if wait.is_open:
            trial.ask(
                "CompleteLifecycleAction",
                AutoScalingGroupName=wait.group,
                LifecycleHookName=wait.hook,
                InstanceId=wait.instance_id,
                LifecycleActionResult="ABANDON",
            )

    does(trial, lambda: trial.effects.of_store(end, what="end elsewhere"))
