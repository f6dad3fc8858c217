"""When two states of a small world are the same.

They are where the time, the store, the queues, simulated Auto Scaling, the faults so far, and of each running
invocation what it was given and told are the same. What the containers remember is left out, and so is
what the judge has seen: it judges each step on the way.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from usher_simulator.trials.small.names import renamed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.trials.queue import SimulatedQueue
    from usher_simulator.trials.small.abreast import Told
    from usher_simulator.trials.small.world import SmallTrial


def digest(trial: SmallTrial) -> bytes:
    """Of the state in which a world is."""
    usher, invocations = trial.usher, trial.abreast
    parts: list[object] = [
        trial.clock(),
        sorted(trial.clock.moments),
        trial.faults.all_met,
        [(each.id, each.look_id, each.stamp, each.wakes_as) for each in usher.memory.actions()],
        _sorted(vars(usher.memory)),
        _sorted(vars(usher.budget)),
        _sorted(vars(usher.enrolled)),
        _sorted(vars(usher.versions)),
        [_sorted(vars(each)) for each in (usher.limits, usher.places, usher.shared_answers)],
        [_messages(queue) for queue in (usher.inbox, usher.wake_ups, usher.questions)],
        trial.stack.status,
        [repr(wait) for waits in trial.waits.values() for wait in waits],
        [_group(group) for group in trial.fleet.groups.values()],
        sorted(
            (
                each.function,
                usher.given.get(each.number, ""),
                each.faults,
                sorted(_told(invocations.told.get(line)) for line in each.lines),
                sorted(due.before for due in invocations.due if due.invocation is each),
            )
            for each in invocations.running
        ),
    ]
    return blake2b(renamed(repr(parts), {}).encode(errors="backslashreplace"), digest_size=16).digest()


def _told(told: Told | None) -> tuple[bytes, list[str]]:
    return (told.digest, list(told.names)) if told else (b"", [])


def _messages(queue: SimulatedQueue) -> object:
    return sorted(
        (each.visible_at, each.body, each.receives, each.attributes.get("Reason", ""))
        for each in queue.messages
    )


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
