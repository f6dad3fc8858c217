"""The small worlds. In most of them the crowd is at 1:00: when a wait that began at 0:10.95 is looked at."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from usher.core.compiled import compiled
from usher_simulator.trials.faults import Fault, Thing
from usher_simulator.trials.small import people
from usher_simulator.trials.small.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_simulator.trials.small.world import SmallTrial

_MINUTE: Final = 60
_CROWDED: Final = timedelta(seconds=_MINUTE)
_SOON: Final = timedelta(seconds=80)  # the last thing that a script does is done by then
_AT_WORK: Final = (Fault.CUT, Fault.STORE_ANSWER_LOST, Fault.QUEUE_BUSY, Fault.ANSWER_LOST, Fault.TWICE)
_BY_SIGNAL: Final = {"until": [{"signal": "done"}], "give_up_after": "70s", "on_give_up": "CONTINUE"}


def _file(policy: dict[str, Any], **hook: object) -> dict[str, Any]:
    gate = {"name": "gate", "group": "web", "transition": "launching", "notify": "sqs", "policy": "p"}
    usual = {"heartbeat_timeout": "60s", "default_result": "ABANDON"}
    return {"version": 1, "policies": {"p": policy}, "hooks": [{**gate, **usual, **hook}]}


def _begins(trial: SmallTrial, *then: Callable[[SmallTrial], None], size: int = 1) -> None:
    """A launch waits from 0:10.95 on, so that its notice comes at 0:11; and all the rest at 1:00."""
    trial.at(9.95, lambda: trial.grow("web", size))
    for each in then:
        trial.at(_MINUTE, partial(each, trial))


def _without_sweeps(trial: SmallTrial, *then: Callable[[SmallTrial], None], size: int = 1) -> None:
    trial.no_sweeps()
    _begins(trial, *then, size=size)


def _notice_again(trial: SmallTrial) -> None:
    trial.again()


def _wake_again(trial: SmallTrial) -> None:
    trial.wake_again()


def _done(trial: SmallTrial) -> None:
    trial.says("done")


def _said_at_once(trial: SmallTrial) -> None:
    _without_sweeps(trial)
    trial.at(11, lambda: trial.says("done"))


def _said_as_it_begins(trial: SmallTrial) -> None:
    """In the second of the launch: before it by the notice of SQS, and not by that of EventBridge."""
    trial.held_up_until(20)
    _without_sweeps(trial)
    trial.at(10.97, lambda: trial.says("done"))


def _with_a_sweep(trial: SmallTrial) -> None:
    """The notice, an evaluation and a sweep at once. The sweep of 0:00 would find nothing in any schedule."""
    trial.no_sweeps(until=_MINUTE / 2)
    _begins(trial, _notice_again, _wake_again)


def _adopted(trial: SmallTrial) -> None:
    """Notices are held up until the pass of the second minute adopts what waits."""
    trial.held_up_until(120)
    trial.at(9.95, lambda: trial.grow("web", 1))


def _paused(trial: SmallTrial) -> None:
    _without_sweeps(trial, people.pauses)
    trial.at(62, lambda: people.resumes(trial))


def _held(trial: SmallTrial) -> None:
    _without_sweeps(trial, people.holds)
    trial.at(64, lambda: people.lets_go(trial))


def _held_later(trial: SmallTrial) -> None:
    _without_sweeps(trial, people.holds)
    trial.at(75, lambda: people.lets_go(trial))


def _too_late(trial: SmallTrial) -> None:
    """The notice comes when its wait has ended by default."""
    trial.no_sweeps(until=100)
    trial.held_up_until(75)
    trial.at(9.95, lambda: trial.grow("web", 1))


def _deploys(trial: SmallTrial) -> None:
    other = _file({"until": [{"elapsed": "3m"}], "give_up_after": "5m"})
    _without_sweeps(trial, lambda each: people.deploys(each, compiled(other)))
    trial.at(58.95, lambda: trial.grow("web", 2))


def _rolled_back(trial: SmallTrial) -> None:
    """Another file, and the one of before again, while one is evaluated and one begins."""
    other = _file({"until": [{"elapsed": "3m"}], "give_up_after": "5m"})
    _without_sweeps(trial, lambda each: people.deploys(each, compiled(other), each.usher.file))
    trial.at(58.95, lambda: trial.grow("web", 2))


def _replaced(trial: SmallTrial) -> None:
    """The hook `gate` retires, and `door` takes its place."""
    trial.at(0, trial.stack.create)
    trial.at(20, lambda: trial.stack.update(compiled(_file(_AT_49, name="door"))))


def _retired(trial: SmallTrial) -> None:
    """The pass of the second minute reads for the second time that nobody waits, and deletes the hook."""
    _replaced(trial)
    trial.at(2 * _MINUTE, lambda: people.grows(trial, 1))


def _waited_in(trial: SmallTrial) -> None:
    """At the pass of the second minute comes the moment of the result of one that waits in the hook."""
    _replaced(trial)
    trial.at(9.95, lambda: trial.grow("web", 1))


def _late(trial: SmallTrial) -> None:
    """The notice of one that began in the hook comes when the hook retires already."""
    _replaced(trial)
    trial.held_up_until(66)
    trial.at(9.95, lambda: trial.grow("web", 1))


def _applied(trial: SmallTrial) -> None:
    """A version takes effect at an evaluation, and at the notice of another; two people apply one more."""
    longer = _file({"until": [{"elapsed": "2m"}], "give_up_after": "5m"})
    trial.at(0, trial.stack.create)
    trial.at(129.95, lambda: trial.grow("web", 1))
    trial.at(130, trial.no_sweeps)
    trial.at(120, lambda: people.applies(trial, compiled(longer)))
    trial.at(178.95, lambda: trial.grow("web", 2))
    for _ in range(2):
        trial.at(180, lambda: people.applies(trial, trial.usher.file))


_AT_49: Final = {"until": [{"elapsed": "49s"}], "give_up_after": "5m"}
WORLDS: Final = (
    World(
        name="two-evaluations",
        about="one action, and two evaluations at the moment of its result",
        hooks=_file(_AT_49),
        script=lambda trial: _without_sweeps(trial, _wake_again),
        faults_from=_CROWDED,
        lasts=_SOON,
        is_quick=True,
    ),
    World(
        name="notice",
        about="a notice and its evaluations, of a heartbeat timeout of 30 s, with a fault at any time",
        hooks=_file({"until": [{"elapsed": "40s"}], "give_up_after": "5m"}, heartbeat_timeout="30s"),
        script=_without_sweeps,
        lasts=_SOON,
        faults=(*_AT_WORK, Fault.STORE_BUSY, Fault.CONTENDED),
    ),
    World(
        name="arrival",
        about="a notice, and an evaluation at the moment of its result right after it",
        hooks=_file({"until": [{"elapsed": "1s"}], "give_up_after": "5m"}),
        script=_without_sweeps,
        lasts=_SOON,
        faults=(*_AT_WORK, Fault.STORE_BUSY),
        is_quick=True,
    ),
    World(
        name="too-late",
        about="a notice that comes after the end of its wait, and its evaluation",
        hooks=_file(_AT_49, default_result="CONTINUE"),
        script=_too_late,
        faults_from=timedelta(seconds=75),
        lasts=timedelta(seconds=130),
        faults=(*_AT_WORK, Fault.STORE_BUSY, Fault.UNREACHED, Fault.SERVER_ERROR),
        is_quick=True,
    ),
    World(
        name="hold-and-beat",
        about="a hold beside a heartbeat, and its end after the moment of the result",
        hooks=_file({"until": [{"elapsed": "65s"}], "give_up_after": "5m"}),
        script=_held_later,
        lasts=timedelta(seconds=90),
        most_faults=0,
    ),
    World(
        name="hold",
        about="a hold beside an evaluation at the moment of its result, and the end of the hold",
        hooks=_file(_AT_49),
        script=_held,
        faults_from=_CROWDED,
        lasts=_SOON,
        faults=_AT_WORK,
    ),
    World(
        name="elsewhere",
        about="an evaluation at the moment of its result, and somebody who ends the action past Usher",
        hooks=_file(_AT_49),
        script=lambda trial: _without_sweeps(trial, people.ends_elsewhere),
        faults_from=_CROWDED,
        lasts=_SOON,
    ),
    World(
        name="result",
        about="one action: two evaluations, an intake and a sweep at the moment of its result",
        hooks=_file(_AT_49),
        script=_with_a_sweep,
        faults_from=_CROWDED,
        lasts=_SOON,
    ),
    World(
        name="two-channels",
        about="a notice by two channels at once, and a signal between",
        hooks=_file(_BY_SIGNAL),
        script=_said_at_once,
        lasts=_SOON,
        comes_twice=True,
        faults=_AT_WORK,
    ),
    World(
        name="two-times",
        about="a notice by SQS and by EventBridge at once, whose times differ, and a signal of that second",
        hooks=_file({**_BY_SIGNAL, "give_up_after": "40s", "on_give_up": "ABANDON"}),
        script=_said_as_it_begins,
        lasts=_SOON,
        has_bus=True,
        faults=(),
        is_quick=True,
    ),
    World(
        name="beat-and-result",
        about="a heartbeat beside the signal that ends the wait",
        hooks=_file(_BY_SIGNAL),
        script=lambda trial: _without_sweeps(trial, _done),
        faults_from=_CROWDED,
        lasts=_SOON,
    ),
    World(
        name="finding",
        about="a turn of questions beside a heartbeat",
        hooks=_file({"until": [{"instance_status": "ok"}], "give_up_after": "70s", "on_give_up": "CONTINUE"}),
        script=lambda trial: _without_sweeps(trial, lambda each: each.ask_again()),
        answers=("instance_status",),
        faults_from=_CROWDED,
        lasts=_SOON,
        faults=_AT_WORK,
        is_quick=True,
    ),
    World(
        name="adoption",
        about="a wait that reconcile adopts beside its late notice",
        hooks=_file({"until": [{"elapsed": "150s"}], "give_up_after": "10m"}, heartbeat_timeout="5m"),
        script=_adopted,
        faults_from=timedelta(seconds=120),
        lasts=timedelta(seconds=180),
        things=frozenset({Thing.RECONCILED}),
        faults=_AT_WORK,
    ),
    World(
        name="operators",
        about="two operators and an evaluation",
        hooks=_file({"until": [{"elapsed": "65s"}], "give_up_after": "5m"}),
        script=lambda trial: _without_sweeps(trial, people.holds, people.completes),
        faults_from=_CROWDED,
        lasts=_SOON,
        faults=_AT_WORK,
    ),
    World(
        name="pause",
        about="a pause beside an evaluation at the moment of its result, and the resume",
        hooks=_file(_AT_49),
        script=_paused,
        faults_from=_CROWDED,
        lasts=_SOON,
        faults=_AT_WORK,
        is_quick=True,
    ),
    World(
        name="deploy",
        about="another hooks file while one is evaluated and one begins",
        hooks=_file({"until": [{"elapsed": "65s"}], "give_up_after": "5m"}),
        script=_deploys,
        faults_from=_CROWDED,
        lasts=timedelta(seconds=250),
        faults=_AT_WORK,
    ),
    World(
        name="at-once",
        about="two actions, of which one may begin at once",
        hooks=_file({"until": [{"elapsed": "30s"}], "give_up_after": "5m"}, limits={"at_once": 1}),
        script=lambda trial: _without_sweeps(trial, size=2),
        lasts=_SOON,
        faults=(Fault.CUT,),
    ),
    World(
        name="rollback",
        about="another hooks file and back, while one is evaluated and one begins",
        hooks=_file({"until": [{"elapsed": "65s"}], "give_up_after": "5m"}),
        script=_rolled_back,
        faults_from=_CROWDED,
        lasts=timedelta(seconds=250),
        faults=_AT_WORK,
    ),
    World(
        name="retirement",
        about="a hook that another replaces is deleted while somebody enters",
        hooks=_file(_AT_49),
        script=_retired,
        faults_from=timedelta(seconds=120),
        lasts=timedelta(seconds=490),  # three more passes: what a fault put off is done by then
        things=frozenset({Thing.ENROLLED}),
        faults=_AT_WORK,
    ),
    World(
        name="waited-in",
        about="a hook that another replaces, at a pass, and the result of one that waits in it",
        hooks=_file({"until": [{"elapsed": "109s"}], "give_up_after": "5m"}),
        script=_waited_in,
        faults_from=timedelta(seconds=120),
        lasts=timedelta(seconds=490),
        things=frozenset({Thing.ENROLLED}),
        faults=_AT_WORK,
    ),
    World(
        name="late-notice",
        about="a notice that comes after another hook has replaced its own",
        hooks=_file({"until": [{"elapsed": "109s"}], "give_up_after": "5m"}),
        script=_late,
        lasts=timedelta(seconds=490),
        things=frozenset({Thing.ENROLLED}),
        most_faults=0,
    ),
    World(
        name="apply",
        about="a version of the file takes effect while one is evaluated, one begins, and two apply another",
        hooks=_file(_AT_49),
        script=_applied,
        faults_from=timedelta(seconds=180),
        lasts=timedelta(seconds=300),
        things=frozenset({Thing.ENROLLED}),
        is_applied=True,
        faults=_AT_WORK,
    ),
)
BY_NAME: Final = {world.name: world for world in WORLDS}
TWO_EVALUATIONS: Final = BY_NAME["two-evaluations"]
RESULT: Final = BY_NAME["result"]
