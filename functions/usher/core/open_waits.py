"""What the rows of the open actions say, in so little memory that a pass keeps it of very many."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, KeysView

    from usher.core.live_waits import LiveGroup, Member
    from usher.core.wait_moves import WaitKind

ADOPTED: Final = "adopted-"  # how the id of an adopted action begins
_UUID_BYTES: Final = 16
_Id: TypeAlias = "str | bytes"  # of an action, packed


@frozen
class Place:
    """Where open actions wait, and what for: all that many of them have in common."""

    group: str
    hook: str
    wait: WaitKind | None  # None: this release cannot read it


class OpenWaits:
    """The open actions by place and instance."""

    def __init__(self) -> None:
        self._ids: defaultdict[str, dict[Place, dict[str, _Id]]] = defaultdict(dict)  # by group
        self._more: defaultdict[Place, list[tuple[str, _Id]]] = defaultdict(list)  # of the same instance
        self._adopted: defaultdict[str, list[tuple[Place, str]]] = defaultdict(list)  # by group
        self._settled: defaultdict[Place, list[_Id]] = defaultdict(list)

    def add(self, place: Place, instance_id: str, action_id: str) -> None:
        """One more; told twice it is one."""
        of_group, packed = self._ids[place.group], _packed(action_id)
        known = of_group.setdefault(place, {}).setdefault(instance_id, packed)
        if known != packed:
            self._more[place].append((instance_id, packed))
        if action_id.startswith(ADOPTED):
            self._adopted[place.group].append((place, instance_id))

    @property
    def groups(self) -> KeysView[str]:
        """The groups with open actions."""
        return self._ids.keys()

    def places(self, group: str) -> Collection[Place]:
        """The places in a group."""
        return self._ids[group].keys() if group in self._ids else ()

    def in_place(self, place: Place) -> Iterator[str]:
        """The ids of all actions in a place."""
        unsettled = (packed for _, packed in self._unsettled(place))
        yield from map(_unpacked, chain(unsettled, self._settled.get(place, ())))

    def _unsettled(self, place: Place) -> Iterator[tuple[str, _Id]]:
        yield from self._ids[place.group][place].items()
        yield from self._more.get(place, ())

    def settle(self, live: LiveGroup, unknown: Collection[str]) -> LiveGroup:
        """Forget the instances of a group of which nothing is to ask, so that little is kept of very many.

        Each is shown as all of its actions say, or has none. `unknown` are those that also wait
        without an action. The group is returned with the members that are left.
        """
        asked = {*unknown, *(instance_id for _, instance_id in self._adopted.get(live.name, ()))}
        asked.update(instance_id for instance_id, _ in self._doubted(live.name, live))
        for place in self.places(live.name):
            asked.update(instance_id for instance_id, _ in self._more.get(place, ()))
        left = {one: member for one, member in live.members.items() if member.is_retained or one in asked}
        settled = live.members.keys() - left.keys()
        for place, ids in self._ids.get(live.name, {}).items():
            self._settled[place] += [packed for one, packed in ids.items() if one in settled]
            self._ids[live.name][place] = {one: packed for one, packed in ids.items() if one not in settled}
        return replace(live, members=left)

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
        return (_unpacked(packed) for _, packed in self._doubted(group, live))

    def _doubted(self, group: str, live: LiveGroup | None) -> Iterator[tuple[str, _Id]]:
        for place in self.places(group):
            for instance_id, packed in self._unsettled(place):
                member = None if live is None else live.members.get(instance_id)
                if member is None:
                    doubted = live is None or live.is_whole
                else:
                    shown = place.wait is not None and place.wait.shows_in(member.state)
                    doubted = not (shown and member.is_healthy)
                if doubted:
                    yield instance_id, packed

    def of_adopted(self) -> Iterator[str]:
        """The ids of the actions of which one was adopted, and another waits in the same hook."""
        for adopted_in, instance_id in chain.from_iterable(self._adopted.values()):
            together = [
                _unpacked(packed)
                for place in self.places(adopted_in.group)
                if place.hook == adopted_in.hook
                for packed in self._of_instance(place, instance_id)
            ]
            if len(together) > 1:
                yield from together

    def _of_instance(self, place: Place, instance_id: str) -> Iterator[_Id]:
        known = self._ids[place.group][place].get(instance_id)
        if known is not None:
            yield known
        yield from (packed for instance, packed in self._more.get(place, ()) if instance == instance_id)


def _packed(action_id: str) -> _Id:
    """A UUID as its 16 bytes, which take half of the memory."""
    try:
        packed = bytes.fromhex(action_id.replace("-", ""))
    except ValueError:
        return action_id
    return packed if len(packed) == _UUID_BYTES and _unpacked(packed) == action_id else action_id


def _unpacked(packed: _Id) -> str:
    if isinstance(packed, str):
        return packed
    digits = packed.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
