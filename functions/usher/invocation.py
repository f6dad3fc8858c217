"""How Lambda calls the functions: events in and out, the time that is left, and what a sweep runs besides."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
Row = TypeVar("Row")
Event: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[Event, Context | None], Event]"


class Work(Protocol):
    """`map`, or what does several things at once in the same order."""

    def __call__(self, do: Callable[[Row], T], rows: Iterable[Row], /) -> Iterable[T]:
        """What `do` makes of each."""
        ...


class Context(Protocol):
    """What the functions use of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""
        ...


class Pass(Protocol):
    """What a sweep does besides its evaluations, as far as the time goes, such as usher.passes.reconcile."""

    @property
    def name(self) -> str:
        """For whoever reads that it failed."""
        ...

    def run(self, has_time: Callable[[], bool]) -> None:
        """One pass."""
        ...


_LEAST_TIME_MS: Final = 15_000  # for an evaluation: three calls and two stores, each at its time-out


def has_time(context: Context | None) -> bool:
    """Whether there is time for one more evaluation, or call, before Lambda ends the invocation."""
    return context is None or context.get_remaining_time_in_millis() >= _LEAST_TIME_MS


def time_left(context: Context) -> timedelta:
    """Until Lambda ends the invocation."""
    return timedelta(milliseconds=context.get_remaining_time_in_millis())
