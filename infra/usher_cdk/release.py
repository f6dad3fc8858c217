"""What `usher install` uploads: the functions' zip, built once for everybody, and the template.

`make dist` puts it into a wheel; `python -m usher_cdk.release` builds it for a checkout.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from usher.core.compiled import compiled
from usher_cdk.bundle import RuntimeMissing, build
from usher_cdk.installable import installable
from usher_cdk.wheels import RELEASE, RELEASED_TEMPLATE, RELEASED_ZIP, WheelsMissing

if TYPE_CHECKING:
    from usher_cdk.python import Python

_NO_FILE: Final = compiled({"version": 1, "policies": {}, "hooks": []})


def write(folder: Path, *, strict: bool = True, python: Python | None = None) -> None:
    """Build both into `folder`, with `python` (the one that is found). Twice gives the same bytes.

    Without `strict` another Python than the functions' own will do, and then nothing is compiled. Raises
    WheelsMissing, and RuntimeMissing if `strict`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        asset = Path(temporary) / "asset"
        build(asset, _NO_FILE, strict=strict, python=python)
        zip_folder(asset, folder / RELEASED_ZIP.name)
    text = json.dumps(installable(), separators=(",", ":"))
    (folder / RELEASED_TEMPLATE.name).write_text(text, encoding="utf-8")


def zip_folder(folder: Path, target: Path) -> None:
    """A zip of the files in `folder` that depends on their names and contents alone."""
    with ZipFile(target, "w") as made:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = ZipInfo(file.relative_to(folder).as_posix())  # of 1980
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16  # readable by whoever Lambda runs it as
            made.writestr(entry, file.read_bytes(), compresslevel=9)


def main() -> int:
    """Build it where `usher install` of this checkout looks; 2 where that cannot be."""
    try:
        shutil.rmtree(RELEASE, ignore_errors=True)
        write(RELEASE)
    except (RuntimeMissing, WheelsMissing) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
