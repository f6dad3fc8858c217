"""Where captured traffic lies: files, folders, standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from usher_cli.traffic.found import Unreadable
from usher_cli.traffic.shapes import take_apart
from usher_cli.traffic.times import log_moment
from usher_cli.traffic.values import HEAD_BYTES, Bad, is_traffic, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher_cli.traffic.found import Found

_BY_NAME: Final = (".json", ".jsonl")  # read whatever stands in them, so that what is wrong is told


def read(paths: tuple[str, ...]) -> Iterator[Found]:
    """Every message in the files and folders, in their order; `-` is standard input."""
    for path in paths:
        if path == "-":
            yield from read_content("-", sys.stdin.buffer.read())
            continue
        for file in files(Path(path)):
            yield from _read_file(file)


def files(path: Path) -> list[Path]:
    """The files that are read for this path: of a folder those that begin as traffic does."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and _counts(file))


def read_content(source: str, content: bytes) -> Iterator[Found]:
    """Every message in what `source` holds."""
    for value in values(content):
        place = f"{source}{value.place}"
        if isinstance(value, Bad):
            yield Unreadable(source=place, reason=value.reason)
            continue
        try:
            yield from list(take_apart(place, value.value, log_moment(value.logged_at)))
        except RecursionError:
            yield Unreadable(source=place, reason="captures are nested too deeply in one another")


def _counts(file: Path) -> bool:
    if file.suffix in _BY_NAME:
        return True
    try:
        with file.open("rb") as opened:
            return is_traffic(opened.read(HEAD_BYTES))
    except OSError:
        return False


def _read_file(file: Path) -> Iterator[Found]:
    try:
        content = file.read_bytes()
    except OSError as error:
        yield Unreadable(source=str(file), reason=f"cannot be read: {error.strerror}")
        return
    yield from read_content(str(file), content)
