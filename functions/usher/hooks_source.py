"""The hooks file that an invocation works by, where versions of it are applied at run time.

Each invocation takes one version when it begins, and works by it to its end: no evaluation and no pass
mixes two.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.compiled import InEffect
from usher.core.field import ConfigurationRefused
from usher.core.file_versions import CACHED, NO_VERSION, NONE_YET
from usher.ports.errors import Unavailable
from usher.ports.file_versions import VersionUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.file_versions import Schedule
    from usher.invocation import Context, Event, Handler
    from usher.ports.file_versions import FileVersions
    from usher.ports.telemetry import Telemetry

_ASKED_AGAIN: Final = timedelta(seconds=5)  # where the table did not answer


@dataclass(kw_only=True)
class VersionsInEffect:
    """The version in effect at a moment, as this container knows it.

    What it has read is certain for as long as it is CACHED: what was applied meanwhile takes effect
    later. What is yet to take effect is read ahead.
    """

    versions: FileVersions
    telemetry: Telemetry
    _schedule: Schedule | None = None
    _certain_until: datetime | None = None
    _ask_at: datetime | None = None
    _files: dict[int, InEffect] = field(default_factory=lambda: {NONE_YET: NO_VERSION})

    def at(self, now: datetime) -> InEffect:
        """The file for an invocation that begins `now`.

        Where the table does not answer, the one that is known, which is then not certain. A version
        that this release cannot read is passed over for the one before, and told. Raises Unavailable
        where none is known: what came must come again.
        """
        try:
            return self._at(now)
        except Unavailable:  # a container that knows nothing can do nothing: it asks once more
            return self._at(now)

    def _at(self, now: datetime) -> InEffect:
        schedule = self._schedule_at(now)
        is_certain = self._certain_until is not None and now < self._certain_until
        for number in schedule.in_effect(now) or (NONE_YET,):
            try:
                file = self._file(number)
            except Unavailable as error:
                self.telemetry.trouble(f"version {number} of the hooks file could not be read", error)
                is_certain = False
                continue
            if file is not None:
                return file if is_certain else replace(file, is_certain=False)
        raise Unavailable("the hooks file in effect is not known: no version of it can be read")

    def _schedule_at(self, now: datetime) -> Schedule:
        """The schedule as it is now; where the table does not answer, as it is known."""
        known = self._schedule
        if known is not None and self._ask_at is not None and now < self._ask_at:
            return known
        try:
            self._schedule = self.versions.schedule()
        except (Unavailable, VersionUnreadable) as error:
            if known is None:
                raise Unavailable(f"the hooks file in effect is not known: {error}") from error
            self.telemetry.trouble("the schedule of hooks files could not be read", error)
            self._ask_at = now + _ASKED_AGAIN
            return known
        self._ask_at = self._certain_until = now + CACHED
        kept = {NONE_YET, *(start.number for start in self._schedule.starts)}
        self._files = {number: file for number, file in self._files.items() if number in kept}
        for start in self._schedule.pending(now):
            self._read_ahead(start.number)
        return self._schedule

    def _read_ahead(self, number: int) -> None:
        try:
            self._file(number)
        except Unavailable as error:
            self.telemetry.trouble(f"version {number} of the hooks file could not be read ahead", error)

    def _file(self, number: int) -> InEffect | None:
        """The file of a version; None where this release cannot read it. Raises Unavailable."""
        if number in self._files:
            return self._files[number]
        try:
            file = self.versions.version(number).file
            _ = file.configuration  # so that it is known to be sound
        except (VersionUnreadable, ConfigurationRefused) as error:
            self.telemetry.trouble(f"version {number} of the hooks file is passed over", error)
            return None
        self._files[number] = InEffect(file=file, version=number)
        return self._files[number]


@dataclass(kw_only=True)
class ByVersion:
    """A handler that is made anew for each version of the file, and used while it is in effect."""

    in_effect: Callable[[datetime], InEffect]
    make: Callable[[InEffect], Handler]
    clock: Callable[[], datetime]
    _made: tuple[InEffect, Handler] | None = None

    def __call__(self, event: Event, context: Context | None = None) -> Event:
        """Handle an event by the version that is in effect as it comes."""
        file = self.in_effect(self.clock())
        if self._made is None or self._made[0] is not file:
            self._made = file, self.make(file)
        return self._made[1](event, context)
