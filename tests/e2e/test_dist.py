"""What `make dist` makes: the same bytes each time, and all that a release needs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tarfile
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from tests.e2e.conftest import EPOCH_S, make_dist
from tests.infra.renew_golden import FOLDER, as_golden
from tests.infra.test_asset import contents
from usher.core.compiled import compiled
from usher_cdk import release
from usher_cdk.bundle import RuntimeMissing, build
from usher_cdk.python import Python

if TYPE_CHECKING:
    from pathlib import Path

VERSION = r"\d+\.\d+\.\d+"


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_it_makes_all_parts_of_a_release_and_their_checksums(dist: Path) -> None:
    names = sorted(re.sub(VERSION, "VERSION", file.name) for file in dist.iterdir())
    assert names == [
        "SHA256SUMS",
        "usher-VERSION.cdx.json",
        "usher-VERSION.template.json",
        "usher-functions-VERSION.zip",
        "usher_hooks-VERSION-py3-none-any.whl",
        "usher_hooks-VERSION.tar.gz",
    ]
    sums = dict(line.split("  ")[::-1] for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert sums == {file.name: digest(file) for file in dist.iterdir() if file.name != "SHA256SUMS"}


def test_a_second_time_gives_the_same_bytes_also_to_somebody_else(dist: Path, tmp_path: Path) -> None:
    """Neither the umask, nor the folder, nor the hour shows."""
    before = os.umask(0o077)
    try:
        again = make_dist(tmp_path / "again")
    finally:
        os.umask(before)
    assert (again / "SHA256SUMS").read_text() == (dist / "SHA256SUMS").read_text()


def test_the_zip_is_the_asset_of_an_empty_hooks_file(dist: Path, tmp_path: Path) -> None:
    build(tmp_path / "asset", compiled({"version": 1, "policies": {}, "hooks": []}))
    with ZipFile(only(dist, "usher-functions-*.zip")) as made:
        assert {name: made.read(name) for name in made.namelist()} == contents(tmp_path / "asset")
        assert {entry.external_attr >> 16 & 0o777 for entry in made.infolist()} == {0o644}


def test_without_the_functions_own_python_a_release_is_refused_and_one_for_tests_is_not(
    tmp_path: Path,
) -> None:
    other = Python(path=sys.executable, version="3.12")
    with pytest.raises(RuntimeMissing):
        release.write(tmp_path / "release", python=other)
    release.write(tmp_path / "tests", strict=False, python=other)


def test_wheel_and_source_distribution_bring_zip_and_template(dist: Path) -> None:
    zipped, template = (
        only(dist, "usher-functions-*.zip").read_bytes(),
        only(dist, "*.template.json").read_bytes(),
    )
    assert as_golden(json.loads(template)) == (FOLDER / "Install.json").read_text(), "if meant: make golden"
    with ZipFile(only(dist, "*.whl")) as wheel:
        assert wheel.read("usher_cdk/repository/release/functions.zip") == zipped
        assert wheel.read("usher_cdk/repository/release/template.json") == template
    with tarfile.open(only(dist, "*.tar.gz")) as source:
        members = {member.name.partition("/")[2]: member for member in source.getmembers()}
        inner = source.extractfile(members["release/functions.zip"])
        assert inner is not None
        assert inner.read() == zipped
        assert {member.mtime for member in members.values()} == {EPOCH_S}


def test_cloudformation_and_lambda_take_them(dist: Path) -> None:
    """1 MB of a template, and 50 MB of a zip, 250 MB unpacked (CloudFormation's and Lambda's quotas)."""
    template = only(dist, "*.template.json")
    assert template.stat().st_size <= 1_000_000
    assert len(json.loads(template.read_text())["Resources"]) <= 500
    with ZipFile(only(dist, "usher-functions-*.zip")) as made:
        assert sum(entry.file_size for entry in made.infolist()) <= 250_000_000
    assert only(dist, "usher-functions-*.zip").stat().st_size <= 50_000_000


@pytest.fixture(scope="module")
def bill(dist: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(only(dist, "*.cdx.json").read_text())
    return made


def test_the_bill_of_materials_names_what_the_zip_holds_and_no_more(dist: Path, bill: dict[str, Any]) -> None:
    with ZipFile(only(dist, "usher-functions-*.zip")) as made:
        told = [made.read(name).decode() for name in made.namelist() if name.endswith(".dist-info/METADATA")]
    held = {(plain(field("Name", each)), field("Version", each)) for each in told}
    named = {(each["name"], each["version"]) for each in bill["components"]}
    assert {(plain(name), number) for name, number in named} == held
    assert bill["metadata"]["component"]["hashes"] == [
        {"alg": "SHA-256", "content": digest(only(dist, "usher-functions-*.zip"))}
    ]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def field(name: str, metadata: str) -> str:
    """Of the metadata of a distribution."""
    (value, *_) = re.findall(rf"^{name}: (.*)$", metadata, re.MULTILINE)
    return str(value)


def test_the_bill_of_materials_is_cyclonedx(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    references = {each["bom-ref"] for each in (*bill["components"], bill["metadata"]["component"])}
    assert {each["ref"] for each in bill["dependencies"]} == references
    assert all(each["purl"].startswith("pkg:pypi/") for each in bill["components"])
