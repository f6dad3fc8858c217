"""Makes what a release consists of: wheel, source distribution, zip, template, SBOM, checksums.

`python infra/make_dist.py FOLDER`. The same commit gives the same bytes, with the same Python and packages.
With `--any-python`, as the tests have it, the functions' own Python may be missing: then nothing is compiled.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import uuid
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from usher_cdk import release
from usher_cdk.bundle import RuntimeMissing
from usher_cdk.wheels import RELEASED_TEMPLATE, RELEASED_ZIP, ROOT, WheelsMissing

NAME: Final = "usher-hooks"
_BUILT_FROM: Final = (
    *("LICENSE", "MANIFEST.in", "README.md", "app.py", "cdk.json", "pyproject.toml", "setup.py"),
    *("functions", "infra", "requirements"),
    *("usher_cli", "usher_hooksfile", "usher_local", "usher_simulator"),
)
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_EARLIEST_S: Final = 315_532_800  # 1980, the first time that a zip knows


def make(folder: Path, epoch_s: int, *, strict: bool = True) -> list[Path]:
    """The files of a release, in `folder`; `epoch_s` is the time that they tell.

    `strict` is that of release.write. Raises what that does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        clone, parts = Path(temporary) / "clone", Path(temporary) / "clone" / "release"
        copy_source(clone)
        release.write(parts, strict=strict)
        source = _source_distribution(clone, folder, epoch_s)
        wheel = _wheel(source, folder, epoch_s)
        made = [
            _copied(parts / RELEASED_ZIP.name, folder / f"usher-functions-{version(NAME)}.zip"),
            _copied(parts / RELEASED_TEMPLATE.name, folder / f"usher-{version(NAME)}.template.json"),
        ]
    bill = folder / f"usher-{version(NAME)}.cdx.json"
    bill.write_text(json.dumps(bill_of_materials(made[0].read_bytes()), indent=1) + "\n", encoding="utf-8")
    files = sorted([*made, source, wheel, bill])
    sums = folder / "SHA256SUMS"
    sums.write_text(
        "".join(f"{_sha256(file.read_bytes())}  {file.name}\n" for file in files), encoding="utf-8"
    )
    return [*files, sums]


def copy_source(folder: Path) -> None:
    """Copy what a build reads into `folder`: it leaves things behind."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    folder.mkdir(exist_ok=True)
    for name in _BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    for each in folder.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)  # whatever the umask here is


def _source_distribution(clone: Path, folder: Path, epoch_s: int) -> Path:
    with TemporaryDirectory() as temporary:
        _build("build_sdist", clone, Path(temporary), epoch_s)
        (made,) = Path(temporary).iterdir()
        target = folder / made.name
        target.write_bytes(_same_tar(made.read_bytes(), epoch_s))
    return target


def _same_tar(data: bytes, epoch_s: int) -> bytes:
    """The archive, with no trace of who packed it and when."""
    made = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as before,
        gzip.GzipFile(fileobj=made, mode="wb", filename="", mtime=epoch_s) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as after,
    ):
        for member in sorted(before.getmembers(), key=lambda one: one.name):
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.mtime = member.type, member.size, epoch_s
            plain.mode = 0o755 if member.isdir() else 0o644
            after.addfile(plain, before.extractfile(member) if member.isfile() else None)
    return made.getvalue()


def _wheel(source: Path, folder: Path, epoch_s: int) -> Path:
    """Built from the source distribution, so that both hold the same."""
    with TemporaryDirectory() as temporary:
        with tarfile.open(source) as archive:
            archive.extractall(temporary, filter="data")
        (unpacked,) = Path(temporary).iterdir()
        before = set(folder.glob("*.whl"))
        _build("build_wheel", unpacked, folder.absolute(), epoch_s)
    (made,) = set(folder.glob("*.whl")) - before
    return made


def _build(what: str, sources: Path, target: Path, epoch_s: int) -> None:
    program = f"import sys; from setuptools.build_meta import {what}; {what}(sys.argv[1])"
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", program, str(target)],
        cwd=sources,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch_s)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stdout}{done.stderr}")


def bill_of_materials(functions: bytes) -> dict[str, Any]:
    """What the functions' zip is made of, in CycloneDX 1.6: a release and what it brings along."""
    pinned = _PINNED.findall((ROOT / "requirements" / "functions.txt").read_text(encoding="utf-8"))
    components = [_component(name, number) for name, number in sorted(pinned)]
    usher = _component(NAME, version(NAME), type="application") | {
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "hashes": [{"alg": "SHA-256", "content": _sha256(functions)}],
    }
    depends_on = [each["bom-ref"] for each in components]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, _sha256(functions))}",
        "version": 1,
        "metadata": {"component": usher},
        "components": components,
        "dependencies": [
            {"ref": usher["bom-ref"], "dependsOn": depends_on},
            *({"ref": each, "dependsOn": []} for each in depends_on),
        ],
    }


def _component(name: str, number: str, type: str = "library") -> dict[str, Any]:  # noqa: A002 - CycloneDX's
    purl = f"pkg:pypi/{name.lower()}@{number}"
    return {"type": type, "bom-ref": purl, "name": name, "version": number, "purl": purl}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _copied(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


def _time_of_the_commit_s() -> int:
    """SOURCE_DATE_EPOCH, or when the commit was made."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    if told is None:
        asked = ["git", "log", "-1", "--format=%ct"]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
        told = done.stdout.strip() or str(_EARLIEST_S)
    return max(int(told), _EARLIEST_S)


def main() -> int:
    """Make a release in a folder, whatever was there; 2 where that cannot be."""
    parser = argparse.ArgumentParser(description="Makes what a release consists of.")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--any-python", action="store_true", help="compile nothing without the functions' own"
    )
    asked = parser.parse_args()
    folder: Path = asked.folder
    os.umask(0o022)  # it would show in the wheel
    shutil.rmtree(folder, ignore_errors=True)
    try:
        made = make(folder, _time_of_the_commit_s(), strict=not asked.any_python)
    except (RuntimeMissing, WheelsMissing) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{folder.name}/{file.name}  {file.stat().st_size:,} bytes\n" for file in made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
