"""What the rows of the open actions say, in so little memory that a pass keeps it of very many."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, KeysView

    from usher.core.live_waits import LiveGroup, Member
    from usher.core.wait_moves import WaitKind

ADOPTED: Final = "adopted-"  # how the id of an adopted action begins


@frozen
class Place:
    """Where open actions wait, and what for: all that many of them have in common."""

    group: str
    hook: str
    wait: WaitKind | None  # None: this release cannot read it


class OpenWaits:
    """The open actions by place and instance."""

    def __init__(self) -> None:
        self._ids: defaultdict[str, dict[Place, dict[str, str]]] = defaultdict(dict)  # by group
        self._more: defaultdict[Place, list[tuple[str, str]]] = defaultdict(list)  # of the same instance
        self._adopted: list[tuple[Place, str]] = []

    def add(self, place: Place, instance_id: str, action_id: str) -> None:
        """One more; told twice it is one."""
        of_group = self._ids[place.group]
        known = of_group.setdefault(place, {}).setdefault(instance_id, action_id)
        if known != action_id:
            self._more[place].append((instance_id, action_id))
        if action_id.startswith(ADOPTED):
            self._adopted.append((place, instance_id))

    @property
    def groups(self) -> KeysView[str]:
        """The groups with open actions."""
        return self._ids.keys()

    def places(self, group: str) -> Collection[Place]:
        """The places in a group."""
        return self._ids[group].keys() if group in self._ids else ()

    def in_place(self, place: Place) -> Iterator[tuple[str, str]]:
        """The instances and ids of the actions in a place."""
        yield from self._ids[place.group][place].items()
        yield from self._more.get(place, ())

    def shared_with(self, live: LiveGroup) -> None:
        """Name the instances by the texts that the live state has: so each is in memory once."""
        for place, ids in self._ids.get(live.name, {}).items():
            named = {
                instance_id: live.members[instance_id].instance_id
                for instance_id in ids.keys() & live.members.keys()
            }
            self._ids[live.name][place] = {named.get(one, one): action_id for one, action_id in ids.items()}

    def are_held(self, group: str, hook: str, member: Member) -> bool:
        """Whether an open action tells of the wait of a member in a hook."""
        return any(
            place.hook == hook
            and member.instance_id in self._ids[group][place]
            and place.wait is not None
            and place.wait.shows_in(member.state)
            for place in self.places(group)
        )

    def in_doubt(self, group: str, live: LiveGroup | None) -> Iterator[str]:
        """The ids of those of a group that the live state does not show to wait, and in health."""
        for place in self.places(group):
            for instance_id, action_id in self.in_place(place):
                member = None if live is None else live.members.get(instance_id)
                if member is None:
                    doubted = live is None or live.is_whole
                else:
                    shown = place.wait is not None and place.wait.shows_in(member.state)
                    doubted = not (shown and member.is_healthy)
                if doubted:
                    yield action_id

    def of_adopted(self) -> Iterator[str]:
        """The ids of the actions of which one was adopted, and another waits in the same hook."""
        for adopted_in, instance_id in self._adopted:
            together = [
                action_id
                for place in self.places(adopted_in.group)
                if place.hook == adopted_in.hook
                for action_id in self._of_instance(place, instance_id)
            ]
            if len(together) > 1:
                yield from together

    def _of_instance(self, place: Place, instance_id: str) -> Iterator[str]:
        known = self._ids[place.group][place].get(instance_id)
        if known is not None:
            yield known
        yield from (action_id for instance, action_id in self._more.get(place, ()) if instance == instance_id)
