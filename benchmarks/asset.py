"""The size of what is uploaded to Lambda, beside that of Powertools and what it needs."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZipFile

from benchmarks.figures import Figure
from usher.core.compiled import compiled
from usher_cdk.bundle import build, dependencies
from usher_cdk.wheels import ROOT
from usher_hooksfile.load import read

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 1.5  # times as large


def figures() -> Iterator[Figure]:
    """Bytes, zipped."""
    with TemporaryDirectory() as folder:
        asset = Path(folder, "asset")
        build(asset, compiled(read(ROOT / "hooks.yaml")))
        value, floor = zipped_bytes(asset), zipped_bytes(dependencies())
    how = "counted; floor: Powertools and what it needs, as their wheels have them"
    yield Figure(name="asset_bytes", value=value, floor=floor, bound=MOST, how=how)


def zipped_bytes(folder: Path) -> int:
    """The size of the files of a folder as a zip."""
    target = BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.writestr(str(path.relative_to(folder)), path.read_bytes())
    return len(target.getvalue())
