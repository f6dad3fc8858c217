"""`usher status --fleet`: a line for each site; DynamoDB and CloudWatch are moto's, the rest is in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner

from tests.factories import at
from tests.unit.test_install import Cloud, cloud, installed
from tests.unit.test_status import VERSION, Lambda, rings
from tests.unit.test_status import installed as standing
from usher.aws.enrolled import EnrolledHooks
from usher.aws.file_versions import FileVersionsTable
from usher.core.compiled import compiled
from usher.core.file_versions import NO_VERSION, FileVersion, Schedule
from usher_cli.account import Trouble
from usher_cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from usher_cli.account import Place

__all__ = ["cloud", "installed", "standing"]  # fixtures

SHOP: Final = "111122223333"
BILLS: Final = "444455556666"
OF_FILE: Final[dict[str, Any]] = {
    "version": 1,
    "policies": {"p": {"until": []}},
    "hooks": [{"name": "gate", "group": "web", "transition": "launching", "policy": "p"}],
}
HOOKS: Final = json.dumps(OF_FILE)
HEADINGS: Final = "ACCOUNT REGION STACK CODE HOOKS FILE DRIFT RETIRING ALARMS"


def status(cloud: Cloud, folder: Path, *options: str, hooks: str | None = HOOKS) -> Result:
    """Of two accounts, one of which denies all."""
    file = folder / "fleet.yaml"
    accounts = f'[{{id: "{SHOP}", name: shop}}, {{id: "{BILLS}"}}]'
    file.write_text(f"version: 1\nregions: [us-east-1]\naccounts: {accounts}\n", encoding="utf-8")
    if hooks is not None:
        (folder / "hooks.yaml").write_text(hooks, encoding="utf-8")

    def open_client(place: Place, service: str) -> Any:
        if place.account == BILLS:
            raise Trouble("Not permitted.")
        return cloud.open_client(place, service)

    machine = replace(cloud.machine(), open_client=open_client)
    return CliRunner().invoke(main, ["status", "--fleet", str(file), *options], obj=machine)


def applied(cloud: Cloud, hooks: dict[str, Any]) -> None:
    """A version that counts already."""
    schedule = Schedule().then(1, at(-3600))
    version = FileVersion(
        number=1,
        file=compiled(hooks),
        applied_at=at(-3600),
        effective_at=schedule.starts[-1].at,
        by="ann",
        reason="first hooks",
    )
    EnrolledHooks(cloud.client("dynamodb"), "records", lambda: at(0), 50).put_in_force(NO_VERSION.in_force)
    FileVersionsTable(cloud.client("dynamodb"), "records").apply(version, schedule, Schedule())


def test_each_site_has_a_line_and_what_fails_is_told_beside_it(standing: Cloud, tmp_path: Path) -> None:
    applied(standing, OF_FILE)
    outcome = status(standing, tmp_path)
    assert outcome.exit_code == 1
    head, row = outcome.stdout.splitlines()
    assert " ".join(head.split()) == HEADINGS
    assert " ".join(row.split()) == f"shop us-east-1 CREATE_COMPLETE {VERSION} version 1 none 0 none"
    assert outcome.stderr == f"{BILLS} in us-east-1 failed: Not permitted.\n"


def test_where_all_stands_as_the_fleet_says_it_ends_with_0(standing: Cloud, tmp_path: Path) -> None:
    applied(standing, OF_FILE)
    assert status(standing, tmp_path, "--account", "shop").exit_code == 0


@pytest.mark.parametrize("hooks_applied", [None, {**OF_FILE, "hooks": []}], ids=["none yet", "another"])
def test_another_hooks_file_than_the_fleets_is_drift(
    standing: Cloud, tmp_path: Path, hooks_applied: dict[str, Any] | None
) -> None:
    if hooks_applied is not None:
        applied(standing, hooks_applied)
    outcome = status(standing, tmp_path, "--account", "shop")
    assert outcome.exit_code == 1
    assert "  hooks file  " in outcome.stdout.splitlines()[1]
    assert outcome.stdout.splitlines()[2] == (
        f"shop ({SHOP}) in us-east-1: hooks.yaml is not what was applied last: see `usher plan --fleet`."
    )


def test_without_a_hooks_file_beside_the_fleets_drift_is_unknown(standing: Cloud, tmp_path: Path) -> None:
    outcome = status(standing, tmp_path, "--account", "shop", hooks=None)
    assert outcome.exit_code == 0
    assert "  unknown  " in outcome.stdout.splitlines()[1]


def test_a_hooks_file_that_is_wrong_is_a_problem_with_its_line(standing: Cloud, tmp_path: Path) -> None:
    outcome = status(standing, tmp_path, "--account", "shop", hooks="version: 2\npolicies: {}\nhooks: []\n")
    assert outcome.exit_code == 1
    assert "hooks.yaml:1: version: must be 1, got 2" in outcome.stdout


def test_someone_who_changes_a_hook_is_drift_too(standing: Cloud, tmp_path: Path) -> None:
    applied(standing, OF_FILE)
    rings(standing, "Usher-WatchHookDrift01")
    outcome = status(standing, tmp_path, "--account", "shop")
    assert outcome.exit_code == 1
    assert outcome.stdout.splitlines()[1].split()[-3:] == ["hooks", "0", "Usher-WatchHookDrift01"]


def test_json_has_each_site_with_all_that_status_tells_of_it(standing: Cloud, tmp_path: Path) -> None:
    applied(standing, OF_FILE)
    standing.clients["lambda"] = Lambda("somebody changed it")
    outcome = status(standing, tmp_path, "--json")
    data = json.loads(outcome.stdout)
    assert data["failed"] == [
        {"account": BILLS, "account_name": None, "region": "us-east-1", "why": "Not permitted."}
    ]
    (site,) = data["sites"]
    alone = json.loads(standing.usher("status", "--json").stdout)
    assert site == {
        "account": SHOP, "account_name": "shop", **alone, "region": "us-east-1", "hooks_file_differs": False
    }  # fmt: skip
