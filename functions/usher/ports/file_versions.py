"""The versions of the hooks file that are applied at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.file_versions import FileVersion, Schedule


class VersionUnreadable(Exception):  # noqa: N818 - it reads as what happened
    """A version that another release wrote, or that is not what was applied; the text says which and why."""


class FileVersions(Protocol):
    """What the functions read."""

    def schedule(self) -> Schedule:
        """Which version is in effect when, as it is now. Raises Unavailable and VersionUnreadable."""
        ...

    def version(self, number: int) -> FileVersion:
        """A version. Raises Unavailable, and VersionUnreadable, also where there is none of that number."""
        ...


class VersionHistory(FileVersions, Protocol):
    """What the commands read and write besides."""

    def history(self, most: int) -> Sequence[FileVersion]:
        """The last `most` versions, the newest first. Raises as `version`."""
        ...

    def apply(self, version: FileVersion, schedule: Schedule, over: Schedule, *, ahead: bool = False) -> None:
        """Store a version, and the schedule that has it in place of `over`.

        Raises Moved where another schedule stands by now, and NotInForce where the deployment has its
        hooks file compiled in, or goes; stores nothing then. `ahead`: it has, and is about to go over.
        """
        ...
