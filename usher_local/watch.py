"""What happens in the account, as plain lines: states of instances, timelines of their actions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from usher.core.action import Action, Entry
    from usher.ports.records import Due

    class Timelines(Protocol):
        """What is read of usher.aws.records.RecordTable."""

        def due(self, until: datetime) -> Iterable[Due]:
            """The open actions."""
            ...

        def of_instance(self, instance_id: str) -> Iterable[Action]:
            """All actions of an instance."""
            ...

        def load(self, action_id: str) -> Action | None:
            """One action."""
            ...

        def timeline(self, action_id: str) -> Sequence[Entry]:
            """Its lines, so far."""
            ...


_EVER: Final = datetime.max.replace(tzinfo=UTC)
_GONE: Final = "(gone)"


class Watch:
    """Tells each thing once. `instances` gives the lifecycle state of each instance."""

    def __init__(
        self,
        records: Timelines,
        instances: Callable[[], Mapping[str, str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._instances = instances
        self._clock = clock
        self._states: dict[str, str] = {}
        self._told: dict[str, tuple[int, int]] = {}  # by action: number and count of its last line
        self._open: set[str] = set()

    def news(self) -> list[str]:
        """The lines of all that has happened since it was asked before."""
        states = dict(self._instances())
        lines = [*self._of_actions(states), *self._of_instances(states)]
        self._states = states
        return [line for _, line in sorted(lines, key=lambda timed: timed[0])]

    def _of_instances(self, states: Mapping[str, str]) -> Iterator[tuple[datetime, str]]:
        now = self._clock()
        for instance in [*states, *(self._states.keys() - states.keys())]:
            state = states.get(instance, _GONE)
            if state != self._states.get(instance):
                yield now, _line(now, instance, "Auto Scaling", state)

    def _of_actions(self, states: Mapping[str, str]) -> Iterator[tuple[datetime, str]]:
        """Also of those that were closed between two looks: their instance is still there, or was."""
        known = {row.action_id for row in self._records.due(_EVER)} | self._open
        instances = states.keys() | self._states.keys()
        known |= {action.id for instance in instances for action in self._records.of_instance(instance)}
        self._open.clear()
        for action_id in sorted(known):
            action = self._records.load(action_id)
            if action is not None:
                if action.is_open:
                    self._open.add(action_id)
                yield from self._of_action(action)

    def _of_action(self, action: Action) -> Iterator[tuple[datetime, str]]:
        number, count = self._told.get(action.id, (0, 0))
        for entry in self._records.timeline(action.id):
            if (entry.number, entry.count) > (number, count):
                detail = entry.detail if entry.count == 1 else f"{entry.detail} (x{entry.count})"
                said = f"{entry.event:<9} {detail}"
                yield entry.last_at, _line(entry.last_at, action.instance_id, action.hook.name, said)
                self._told[action.id] = (entry.number, entry.count)


def _line(at: datetime, instance: str, who: str, said: str) -> str:
    return f"{at:%H:%M:%S}  {instance}  {who:<14} {said}"
