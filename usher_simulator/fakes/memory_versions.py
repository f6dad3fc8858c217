"""The versions of the hooks file in memory, under the same contract as those in DynamoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.core.file_versions import FileVersion, Schedule
from usher.ports.errors import Moved, NotInForce
from usher.ports.file_versions import VersionUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.ports.hooks import HooksFile


class MemoryVersions:
    """Implements usher.ports.file_versions.VersionHistory. `in_force` tells which file counts."""

    def __init__(self, in_force: HooksFile) -> None:
        self._in_force = in_force
        self._schedule = Schedule()
        self.versions: dict[int, FileVersion] = {}

    def schedule(self) -> Schedule:
        """See usher.ports.file_versions.FileVersions."""
        return self._schedule

    def version(self, number: int) -> FileVersion:
        """See usher.ports.file_versions.FileVersions."""
        if number not in self.versions:
            raise VersionUnreadable(f"there is no version {number}")
        return self.versions[number]

    def history(self, most: int) -> Sequence[FileVersion]:
        """See usher.ports.file_versions.VersionHistory."""
        return [self.versions[number] for number in sorted(self.versions, reverse=True)[:most]]

    def apply(self, version: FileVersion, schedule: Schedule, over: Schedule, *, ahead: bool = False) -> None:
        """See usher.ports.file_versions.VersionHistory."""
        file = self._in_force.in_force()
        if not ahead and (file is None or file.version is None or file.is_closing):
            raise NotInForce
        if over.newest != self._schedule.newest or version.number in self.versions:
            raise Moved
        self.versions[version.number] = version
        self._schedule = schedule
