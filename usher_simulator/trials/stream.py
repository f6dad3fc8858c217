"""The table's stream, which the announce function reads: in order, once a change is stored, at least once."""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.aws.announcing import announce_handler
from usher.aws.items import state
from usher.ports.errors import Unavailable
from usher_simulator.trials.faults import Fault, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.action import Action
    from usher.core.announce import Announcement
    from usher.ports.telemetry import Telemetry
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.faults import Faults

_AT_ONCE: Final = 10
_LAG_S: Final = (0.1, 1.5)
_TRIED_AGAIN_S: Final = (1.0, 30.0)


class Stream:
    """Hands each change of a record on to the announce function, until it is taken."""

    def __init__(self, clock: VirtualClock, random: Dice, faults: Faults, telemetry: Telemetry) -> None:
        self.told: list[Announcement] = []  # what came to the bus, copies and all
        self._clock = clock
        self._random = random
        self._faults = faults
        self._pending: deque[dict[str, Any]] = deque()
        self._handler = announce_handler(self, telemetry)

    @property
    def is_empty(self) -> bool:
        """Whether all that changed was handed on."""
        return not self._pending

    def changed(self, before: Action | None, after: Action) -> None:
        """A new state of a record is durable."""
        images = {"NewImage": _image(after)} | ({"OldImage": _image(before)} if before else {})
        keys = {"sk": {"S": "STATE"}}
        number = f"{after.id} {after.version}"
        self._pending.append({"dynamodb": {"Keys": keys, "SequenceNumber": number, **images}})
        if len(self._pending) == 1:
            self._in(_LAG_S)

    def put(self, announcements: Sequence[Announcement]) -> None:
        """See usher.aws.announcing.Bus."""
        if self._faults.is_down(Part.BUS, self._clock()):
            raise Unavailable(Part.BUS)
        if self._faults.hits(Fault.QUEUE_BUSY):
            raise Unavailable(Fault.QUEUE_BUSY)
        self.told += announcements
        if self._faults.hits(Fault.QUEUE_ANSWER_LOST):
            raise Unavailable(Fault.QUEUE_ANSWER_LOST)

    def _in(self, seconds: tuple[float, float]) -> None:
        self._clock.at(self._clock() + timedelta(seconds=self._random.uniform(*seconds)), self._deliver)

    def _deliver(self) -> None:
        batch = list(self._pending)[:_AT_ONCE]
        failed = self._handler({"Records": batch}, None)["batchItemFailures"]
        numbers = [each["dynamodb"]["SequenceNumber"] for each in batch]
        done = numbers.index(failed[0]["itemIdentifier"]) if failed else len(batch)
        for _ in range(done):
            self._pending.popleft()
        if self._pending:
            self._in(_TRIED_AGAIN_S if failed else _LAG_S)


def _image(action: Action) -> dict[str, Any]:
    item = state.to_item(action)
    return {**item, "packed": {"B": b64encode(item["packed"]["B"]).decode()}}
