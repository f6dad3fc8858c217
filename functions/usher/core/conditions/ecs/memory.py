"""What `ecs` remembers from one question to the next, and how that is stored.

What cannot be read is nothing, so that the search begins anew: that changes nothing, as ECS itself says what
is DRAINING by now.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from usher.core import iso_time
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.finding import Memory

IN_NO_CLUSTER: Final[Memory] = {"absent": True}  # the next search is a new one; {} would leave the old one


@frozen
class Search:
    """How far the clusters were searched, in the order of their ARNs."""

    left: tuple[str, ...]  # are next
    more: bool  # there are more than these
    late: bool  # the list is of after the grace
    searched: int
    after: str = ""  # the last one that was searched

    def without_first(self) -> Search:
        """It was searched."""
        return replace(self, left=self.left[1:], after=self.left[0], searched=self.searched + 1)


@frozen
class Listing:
    """The tasks of a container instance, as far as they were gone through since `at`."""

    at: datetime
    counts: tuple[int, int]  # running and pending, as the container instance says
    connected: bool  # its agent
    desired: str  # RUNNING, then STOPPED
    tasks: tuple[str, ...]  # listed, and not described yet
    states: Mapping[str, int]  # how many are in which, of those that are not over
    example: str

    @classmethod
    def begun(cls, at: datetime, counts: tuple[int, int], *, connected: bool) -> Listing:
        """Nothing is listed yet."""
        return cls(
            at=at, counts=counts, connected=connected, desired="RUNNING", tasks=(), states={}, example=""
        )


@frozen
class Blocked:
    """What was said of the tasks that are left. It holds while their counts and the agent stay as in `by`."""

    by: tuple[int, int, bool]
    said: str


@frozen
class Registration:
    """The container instance of the EC2 instance. It may have others, where its agent lost its data."""

    cluster: str
    instance: str
    others: tuple[str, ...]
    done: tuple[str, ...] = ()  # gone through already: they are again, for the second answer
    active_at: datetime | None = None  # seen ACTIVE: it is drained next
    sent_at: datetime | None = None  # DRAINING was asked for
    confirmed: bool = False  # and that was answered
    listing: Listing | None = None  # in this turn
    blocked: Blocked | None = None

    @classmethod
    def of(cls, cluster: str, instances: tuple[str, ...], done: tuple[str, ...] = ()) -> Registration:
        """The first of these, of which nothing is known yet."""
        return cls(cluster=cluster, instance=instances[0], others=instances[1:], done=done)

    def settled(self) -> Registration:
        """Without what only this turn is about."""
        return replace(self, active_at=None, listing=None)

    def next(self, *, is_done: bool = False) -> Registration:
        """The next one in place of this one, which was gone through or is gone."""
        return self.of(self.cluster, self.others, (*self.done, self.instance) if is_done else self.done)

    def next_in_turn(self) -> Registration:
        """The next one, and this one last."""
        return self.of(self.cluster, (*self.others, self.instance))


def to_json(kept: Search | Registration) -> Memory:
    """As it is stored."""
    stored: dict[str, Any] = _json(kept)
    return {"search": stored} if isinstance(kept, Search) else stored


def from_json(stored: Memory) -> Search | Registration | None:
    """What was stored; None where nothing was, or nothing that can be read."""
    try:
        if "instance" in stored:
            return _registration(stored)
        return _search(stored["search"]) if "search" in stored else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _json(value: object) -> Any:  # noqa: ANN401 - JSON
    """The keys are the names of the fields; what has its default is left out."""
    if is_dataclass(value):
        parts = ((each, getattr(value, each.name)) for each in fields(value))
        return {each.name: _json(part) for each, part in parts if part != each.default}
    if isinstance(value, datetime):
        return value.isoformat()
    return [*value] if isinstance(value, tuple) else value


def _search(stored: Any) -> Search:  # noqa: ANN401 - JSON
    return Search(
        left=_texts(stored["left"]),
        more=bool(stored["more"]),
        late=bool(stored["late"]),
        searched=int(stored["searched"]),
        after=str(stored.get("after", "")),
    )


def _registration(stored: Memory) -> Registration:
    return Registration(
        cluster=str(stored["cluster"]),
        instance=str(stored["instance"]),
        others=_texts(stored["others"]),
        done=_texts(stored.get("done", [])),
        active_at=_moment(stored["active_at"]) if "active_at" in stored else None,
        sent_at=_moment(stored["sent_at"]) if "sent_at" in stored else None,
        confirmed=bool(stored.get("confirmed")),
        listing=_listing(stored["listing"]) if "listing" in stored else None,
        blocked=_blocked(stored["blocked"]) if "blocked" in stored else None,
    )


def _listing(stored: Any) -> Listing:  # noqa: ANN401 - JSON
    running, pending = stored["counts"]
    return Listing(
        at=_moment(stored["at"]),
        counts=(int(running), int(pending)),
        connected=bool(stored["connected"]),
        desired=str(stored["desired"]),
        tasks=_texts(stored["tasks"]),
        states={str(state): int(count) for state, count in stored["states"].items()},
        example=str(stored["example"]),
    )


def _blocked(stored: Any) -> Blocked:  # noqa: ANN401 - JSON
    running, pending, connected = stored["by"]
    return Blocked(by=(int(running), int(pending), bool(connected)), said=str(stored["said"]))


def _texts(stored: list[object]) -> tuple[str, ...]:
    return tuple(str(each) for each in stored)


def _moment(stored: str) -> datetime:
    return iso_time.parse(stored).astimezone(UTC)
