"""What the SAM CLI's own library makes of the template of `make sam`: `make test-sam` has both ready."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from usher_cli.sam import OF_THE_SAMPLES

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build" / "samcli" / "bin" / "python"
TEMPLATE = ROOT / "build" / "sam" / "Usher.template.json"
NAMES = ["announce", "intake", "provision", "questions", "sweep", "wake"]
HOST = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def sam_says(*arguments: str) -> dict[str, Any]:
    said = subprocess.run(  # noqa: S603 - our own script
        [PYTHON, Path(__file__).with_name("says.py"), TEMPLATE, *arguments],
        check=True,
        capture_output=True,
        env={},
        cwd="/",  # the template is found from any folder
    )
    found: dict[str, Any] = json.loads(said.stdout)
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return sam_says()


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_found_by_its_short_name_and_runs_on_this_machine(
    name: str, found: dict[str, Any]
) -> None:
    function = found[name]
    assert (function["handler"], function["runtime"], function["architecture"]) == (
        f"{name}.handler",
        "python3.13",
        HOST,
    )


@pytest.mark.parametrize("name", NAMES)
def test_its_code_is_the_built_asset_with_the_hooks_of_the_samples(name: str, found: dict[str, Any]) -> None:
    code = Path(found[name]["code"])
    assert (code / f"{name}.py").is_file()
    assert (code / "aws_lambda_powertools").is_dir()
    hooks = json.loads((code / "hooks.json").read_text())["file"]["hooks"]
    assert [hook["name"] for hook in hooks] == ["usher-gate", "usher-drain"]


def test_an_env_file_by_short_names_reaches_every_variable_that_the_template_declares(tmp_path: Path) -> None:
    file = tmp_path / "env.json"
    file.write_text(json.dumps({name: {"USHER_TABLE": "records", "OTHER": "x"} for name in NAMES}))
    found = sam_says(str(file))
    told = {name: found[name]["environment"] for name in NAMES if name != "announce"}
    assert {one["USHER_TABLE"] for one in told.values()} == {"records"}
    assert not any("OTHER" in one for one in told.values())


def test_without_one_references_are_logical_ids(found: dict[str, Any]) -> None:
    """So that nobody takes them for names."""
    environment = found["intake"]["environment"]
    assert environment["USHER_TABLE"].startswith("RecordsTable")
    assert environment["USHER_ACCOUNT"] == "123456789012"


@pytest.mark.skipif(shutil.which("jq") is None, reason="the command of docs/sam.md needs jq")
def test_the_event_that_the_docs_generate_is_of_the_account_in_the_env_file(tmp_path: Path) -> None:
    """Else it would be ignored, as a message from elsewhere."""
    command = re.search(
        r"\$ (sam local generate-event .*?)\| sam", (ROOT / "docs" / "sam.md").read_text(), re.DOTALL
    )
    assert command
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.check_output(  # noqa: S602 - of our own docs, for a shell
        command[1].strip().removesuffix("\\"),
        shell=True,
        cwd=ROOT,
        env={"PATH": path, "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0"},
    )
    (record,) = json.loads(said)["Records"]
    message = json.loads(record["body"])
    assert message["AccountId"] == OF_THE_SAMPLES
    assert message["LifecycleHookName"] == "usher-drain"
