"""Versions of the hooks file as texts, and as what `--json` prints."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from usher.core import iso_time
from usher.core.field import ConfigurationRefused
from usher_cli.printable import shown
from usher_hooksfile.write import as_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.compiled import Compiled
    from usher.core.file_versions import FileVersion, Schedule

_MOST_LINES: Final = 100


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A file with a name for people. `written`: with its comments, where they are known."""

    name: str
    file: Compiled
    written: str | None


def difference(old: Named, new: Named) -> Sequence[str]:
    """The lines of a unified diff: of what people wrote where that is known of both."""
    if old.written is None or new.written is None:
        before, after = as_yaml(old.file.file), as_yaml(new.file.file)
    else:
        before, after = old.written, new.written
    lines = before.splitlines(), after.splitlines()
    return list(difflib.unified_diff(*lines, fromfile=old.name, tofile=new.name, lineterm=""))


def print_change(lines: Sequence[str]) -> None:
    """A difference before a question, on stderr: not so long that the question scrolls it away."""
    if not lines:
        return
    print_difference(lines[:_MOST_LINES], stderr=True)
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES
        click.echo(f"{more} lines more: compare `usher config show` with the file.", err=True)
    click.echo(err=True)


def print_difference(lines: Sequence[str], *, stderr: bool = False) -> None:
    """What was added in green, what was removed in red."""
    for line in lines:
        click.secho(shown(line), fg={"+": "green", "-": "red", "@": "cyan"}.get(line[0]), err=stderr)
