"""cfn-lint finds nothing in any template; checkov has an environment of its own, by `make lint-templates`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tests.infra.renew_golden import FOLDER
from tests.infra.stacks import templates

ROOT = Path(__file__).parents[2]
ACKNOWLEDGED = {
    "W3005": "The CDK writes out that a function needs its role, besides the policy that it must name.",
}


def test_cfn_lint_finds_nothing_but_what_is_acknowledged_and_nothing_is_in_vain(tmp_path: Path) -> None:
    for kind in ("default", "a customer key", "events out", "the demo"):
        for name, template in templates(kind).items():
            if "Resources" in template:  # else no hook stands apart, and the CDK deploys no empty stack
                (tmp_path / f"{name} of {kind}.json").write_text(json.dumps(template))
    files = sorted([*tmp_path.iterdir(), FOLDER / "Install.json"])
    passed = stamp_of(files)
    if passed.exists():
        return
    said = lint(*files)

    assert [line for line in said if not any(f":{rule}:" in line for rule in ACKNOWLEDGED)] == []
    assert [rule for rule in ACKNOWLEDGED if not any(f":{rule}:" in line for line in said)] == []
    passed.parent.mkdir(exist_ok=True)
    passed.touch()


def stamp_of(files: list[Path]) -> Path:
    """Stands once these templates have passed, with the packages of today and this very test."""
    digest = hashlib.sha256()
    for file in (ROOT / "requirements" / "dev.txt", Path(__file__), *files):
        digest.update(file.name.encode() + file.read_bytes())
    return ROOT / "build" / f".cfn-lint-{digest.hexdigest()[:16]}"


def lint(*files: Path) -> list[str]:
    """What cfn-lint says, a line for each finding."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "parseable", "--"]
    done = subprocess.run([*command, *files], check=False, capture_output=True, text=True)  # noqa: S603 - ours
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]
