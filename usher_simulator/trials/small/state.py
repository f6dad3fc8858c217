"""When two states of a small world are the same.

They are where the time, the store, the queues, simulated Auto Scaling, the faults so far, and of each running
invocation what it was given and told are the same. What the containers remember is left out, and so is
what the judge has seen: it judges each step on the way. Of a fault that hit counts what the judge asks of it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.faults import Fault
from usher_simulator.trials.invocations import TIMES_OUT
from usher_simulator.trials.judge import never_by_default, true_ends
from usher_simulator.trials.queue import SHOWS
from usher_simulator.trials.small.names import nameless, renamed, with_dead_stamps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from usher.core.action import Action
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.trials.faults import Met
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.queue import SimulatedQueue
    from usher_simulator.trials.small.world import SmallTrial


_TOLD_APART: Final = (
    never_by_default.COSTS_ONE_LOOK,
    true_ends.LEAVES_A_CALL_UNKNOWN,
    true_ends.MAKES_A_LOOK_LATE,
)
# Of these moments the messages, and the invocations that run, tell.
_TOLD_ELSEWHERE: Final = frozenset({SHOWS, TIMES_OUT})


def digest(trial: SmallTrial) -> bytes:
    """Of the state in which a world is."""
    faults = sorted((who, met.at, _kind(met)) for who, met in trial.faults.all_met)
    return _digest([faults, *_parts(trial)])


def end(trial: SmallTrial) -> bytes:
    """Of a state, whatever faults led to it."""
    return _digest(_parts(trial))


def kept(trial: SmallTrial) -> list[object]:
    """What is in the table."""
    usher = trial.usher
    items = (usher.memory, usher.budget, usher.enrolled, usher.versions)
    return [_sorted(vars(each)) for each in (*items, usher.limits, usher.places, usher.shared_answers)]


def _digest(parts: list[object]) -> bytes:
    return blake2b(renamed(repr(parts), {}).encode(errors="backslashreplace"), digest_size=16).digest()


def _parts(trial: SmallTrial) -> list[object]:
    usher, invocations = trial.usher, trial.abreast
    stored = {each.id: each for each in usher.memory.actions()}
    running = sorted(invocations.running, key=lambda each: each.number)  # not as a set has them
    return [
        trial.clock(),
        trial.clock.moments_without(_TOLD_ELSEWHERE),
        [(each.id, each.evaluation_id, each.stamp, each.wakes_as) for each in stored.values()],
        kept(trial),
        trial.stack.status,
        [repr(wait) for waits in trial.waits.values() for wait in waits],
        [_group(group) for group in trial.fleet.groups.values()],
        [_messages(queue, stored) for queue in (usher.inbox, usher.wake_ups, usher.questions)],
        _in_order([_running(trial, each, stored) for each in running]),
    ]


def _kind(met: Met) -> object:
    """What the judge tells apart."""
    return [met.fault in kinds for kinds in _TOLD_APART], met.fault == Fault.WAKE_UP_LOST


def _running(trial: SmallTrial, invocation: Invocation, stored: Mapping[str, Action]) -> object:
    told = [trial.abreast.told(line) for line in invocation.lines]
    return (
        invocation.function,
        with_dead_stamps(trial.abreast.given.get(invocation.number, ""), stored),
        invocation.ends_at,
        invocation.faults,
        sorted(told),
        sorted(each.before for each in trial.abreast.due if each.invocation is invocation),
    )


def _messages(queue: SimulatedQueue, stored: Mapping[str, Action]) -> object:
    told = [
        (
            each.visible_at,
            with_dead_stamps(each.body, stored),
            each.receives,
            each.attributes.get("Reason", ""),
        )
        for each in queue.messages
    ]
    return _in_order(told)


def _in_order(told: Sequence[object]) -> Sequence[object]:
    """In one that does not depend on names."""
    return sorted(told, key=lambda each: nameless(repr(each))) if len(told) > 1 else told


def _group(group: Group) -> object:
    instances = [(each.id, each.state, each.healthy) for each in group.instances.values()]
    return (group.name, group.desired, group.deleting, _sorted(group.hooks), sorted(instances))


def _sorted(value: object) -> object:
    """Whatever the order in which things were put into it."""
    if isinstance(value, dict):
        return sorted(((repr(key), _sorted(each)) for key, each in value.items()), key=_key)
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return "" if type(value).__repr__ is object.__repr__ or callable(value) else repr(value)


def _key(pair: Iterable[object]) -> str:
    return str(next(iter(pair)))
