"""Versions of the hooks file as texts, and as what `--json` prints."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from usher.core import iso_time
from usher.core.configuration import ConfigurationRefused
from usher_hooksfile.write import as_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.compiled import Compiled
    from usher.core.file_versions import FileVersion, Schedule


def status(version: FileVersion, schedule: Schedule, now: datetime) -> str:
    """Whether a version is in effect, is to take effect, or was."""
    if version.effective_at > now:
        return "pending"
    return "in effect" if schedule.in_effect(now)[:1] == (version.number,) else "past"


def as_data(version: FileVersion, schedule: Schedule, now: datetime) -> dict[str, Any]:
    """A version without its file."""
    return {
        "version": version.number,
        "status": status(version, schedule, now),
        "applied_at": iso_time.to_milliseconds(version.applied_at),
        "effective_at": iso_time.to_milliseconds(version.effective_at),
        "by": version.by,
        "reason": version.reason,
        "previous": version.previous or None,
        "digest": version.file.digest,
        "hooks": _hooks(version.file),
    }


def _hooks(file: Compiled) -> int | None:
    try:
        return len(file.configuration.hooks)
    except ConfigurationRefused:
        return None  # of a later release


def difference(old: tuple[str, Compiled], new: tuple[str, Compiled]) -> Sequence[str]:
    """The lines of a unified diff of two named files."""
    before, after = (as_yaml(file.file).splitlines() for _, file in (old, new))
    return list(difflib.unified_diff(before, after, fromfile=old[0], tofile=new[0], lineterm=""))
