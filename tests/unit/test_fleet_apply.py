"""`usher plan` and `usher apply` with `--fleet`: nine sites in memory, with simulated Auto Scaling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.factories import at
from tests.memory_account import CALLER
from tests.unit.test_apply import Stack, a_file
from tests.unit.test_fleet import MemoryFleet
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNTS: Final = ("111111111111", "222222222222", "333333333333")
REGIONS: Final = ("eu-west-1", "us-east-1", "ap-south-1")
SITES: Final = [(account, region) for account in ACCOUNTS for region in REGIONS]
FOURTH: Final = SITES[3]
WHY: Final = ("--reason", "ticket 7")
YES: Final = (*WHY, "--yes")
DENIED: Final = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "TransactWriteItems")


@pytest.fixture
def fleet(tmp_path: Path) -> MemoryFleet:
    """Nine sites; a group `web` in each."""
    listed = "".join(f'  - {{id: "{account}"}}\n' for account in ACCOUNTS)
    made = MemoryFleet(
        folder=tmp_path, text=f"version: 1\nregions: [{', '.join(REGIONS)}]\naccounts:\n{listed}"
    )
    made.stacks |= {site: Stack("web") for site in SITES}
    (tmp_path / "hooks.yaml").write_text(a_file())
    return made


def newest(fleet: MemoryFleet) -> list[int]:
    """The version that was applied last, at each site."""
    return [fleet.stacks[site].versions.schedule().newest for site in SITES]


def states(stdout: str) -> list[str]:
    return [site["state"] for site in json.loads(stdout)["sites"]]


class Sts:
    """A client of STS that answers nobody, until it is mended."""

    is_mended = False

    def get_caller_identity(self) -> dict[str, str]:
        if not self.is_mended:
            raise DENIED
        return {"Arn": CALLER}


# plan


def test_a_plan_has_the_steps_of_all_sites_and_a_sentence_for_each(fleet: MemoryFleet) -> None:
    fleet.failing = {FOURTH: DENIED}
    outcome = fleet.usher("plan")
    assert outcome.exit_code == 1
    lines = outcome.stdout.splitlines()
    assert lines[0].split() == ["ACCOUNT", "REGION", "STEP", "GROUP", "HOOK", "REASON"]
    assert [tuple(line.split()[:5]) for line in lines[1:9]] == [
        (*site, "enrol", "web", "gate") for site in SITES if site != FOURTH
    ]
    assert lines[10] == ("111111111111 in eu-west-1: hooks.yaml selects 1 group. Hooks: 1 to enrol.")
    assert len(lines) == 18
    assert outcome.stderr.startswith(
        "222222222222 in eu-west-1 failed: Not permitted (TransactWriteItems: no)"
    )


def test_the_json_of_a_plan_has_that_of_each_site(fleet: MemoryFleet) -> None:
    page = json.loads(fleet.usher("plan", "--json").stdout)
    assert [(site["account"], site["region"], site["hooks"]) for site in page["sites"]] == [
        (*site, "hooks.yaml") for site in SITES
    ]
    assert page["sites"][0]["summary"]["enrol"] == 1
    assert page["failed"] == []


def test_each_site_has_its_own_hooks_file(fleet: MemoryFleet, tmp_path: Path) -> None:
    last = f'"{ACCOUNTS[-1]}"'
    fleet.text = fleet.text.replace(last, f"{last}, hooks: other.yaml")
    (tmp_path / "other.yaml").write_text(a_file("until: []", "other-*"))
    page = json.loads(fleet.usher("plan", "--json").stdout)
    assert [site["hooks"] for site in page["sites"]] == ["hooks.yaml"] * 6 + ["other.yaml"] * 3
    assert [site["summary"]["enrol"] for site in page["sites"]] == [1] * 6 + [0] * 3


# apply


def test_it_is_applied_at_one_site_after_the_other_and_said_what_stands_where(fleet: MemoryFleet) -> None:
    outcome = fleet.usher("apply", *YES)
    assert outcome.exit_code == 0, outcome.output
    assert newest(fleet) == [1] * 9
    lines = outcome.stdout.splitlines()
    assert lines[0].split() == ["ACCOUNT", "REGION", "STATE", "VERSION"]
    assert lines[1].split(maxsplit=4) == [
        "111111111111", "eu-west-1", "applied", "1", "takes effect at 2026-03-01T12:01:00Z",
    ]  # fmt: skip
    assert len(lines) == 10
    (version,) = fleet.stacks[FOURTH].versions.history(9)
    assert (version.by, version.reason) == (CALLER, "ticket 7")


def test_what_the_file_changes_is_shown_once_for_all_sites_that_it_changes_alike(
    fleet: MemoryFleet, tmp_path: Path
) -> None:
    assert "---" not in fleet.usher("apply", *YES).stderr, "the first version changes nothing"
    (tmp_path / "hooks.yaml").write_text(a_file("until: [{elapsed: 5m}]"))
    lines = fleet.usher("apply", "--reason", "ticket 8", stdin="n\n").stderr.splitlines()
    assert lines[:2] == ["111111111111 in eu-west-1 and 8 more:", "--- version 1"]
    assert lines.count("+  p: {until: [{elapsed: 5m}]}") == 1


def test_of_nine_sites_the_fourth_fails_and_a_second_run_goes_on_there_after_the_mend(
    fleet: MemoryFleet,
) -> None:
    sts = fleet.stacks[FOURTH].services["sts"] = Sts()
    outcome = fleet.usher("apply", *YES)
    assert outcome.exit_code == 1
    assert newest(fleet) == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert [line.split(maxsplit=2)[2] for line in outcome.stdout.splitlines()[1:]] == [
        *["applied    1        takes effect at 2026-03-01T12:01:00Z"] * 3,
        "failed     none",
        *["not tried  none"] * 5,
    ]
    failed, again = outcome.stderr.splitlines()[-2:]
    assert failed.startswith("222222222222 in eu-west-1 failed: Not permitted (TransactWriteItems: no)")
    assert again == "Mend that, and run the same command again: it goes on from there."

    sts.is_mended = True
    second = fleet.usher("apply", *WHY, stdin="y\n")
    assert second.exit_code == 0, second.output
    assert "Apply to 6 of 9 accounts and Regions? [y/N]: " in second.stderr
    assert newest(fleet) == [1] * 9
    assert [line.split(maxsplit=2)[2] for line in second.stdout.splitlines()[1:]] == [
        *["already there  1"] * 3,
        *["applied        1        takes effect at 2026-03-01T12:01:00Z"] * 6,
    ]
    third = fleet.usher("apply", *WHY, "--json")
    assert (third.exit_code, states(third.stdout)) == (0, ["already there"] * 9)


@pytest.mark.parametrize("fails", ["cannot be asked", "refuses the file"])
def test_where_one_site_cannot_take_it_nothing_is_applied_anywhere(fleet: MemoryFleet, fails: str) -> None:
    if fails == "cannot be asked":
        fleet.failing = {FOURTH: DENIED}
    else:
        fleet.stacks[FOURTH].status = "UPDATE_IN_PROGRESS"
    outcome = fleet.usher("apply", *YES)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert newest(fleet) == [0] * 9
    headline, failed = outcome.stderr.splitlines()[-2:]
    assert headline == "Nothing was applied, because not all accounts and Regions can take it:"
    assert failed.startswith("222222222222 in eu-west-1 failed: ")


def test_a_request_whose_answer_was_lost_is_looked_up(fleet: MemoryFleet) -> None:
    versions = fleet.stacks[FOURTH].versions
    apply = versions.apply

    def lost(*given: Any, **more: Any) -> None:
        apply(*given, **more)
        raise Unavailable("no answer")

    versions.apply = lost  # type: ignore[method-assign]
    outcome = fleet.usher("apply", *YES, "--json")
    assert outcome.exit_code == 1
    assert states(outcome.stdout) == ["applied"] * 4 + ["not tried"] * 5
    assert json.loads(outcome.stdout)["sites"][3] == {
        "account": FOURTH[0],
        "account_name": None,
        "region": FOURTH[1],
        "state": "applied",
        "version": 1,
        "effective_at": None,
        "why": "no answer: try again.",
    }


def test_an_interrupted_run_says_where_it_was_applied(fleet: MemoryFleet) -> None:
    """By Ctrl-C, at the fourth."""

    class Interrupted(Sts):
        def get_caller_identity(self) -> dict[str, str]:
            raise KeyboardInterrupt

    fleet.stacks[FOURTH].services["sts"] = Interrupted()
    outcome = fleet.usher("apply", *YES, "--json")
    assert outcome.exit_code == 1
    assert states(outcome.stdout) == ["applied"] * 3 + ["failed"] + ["not tried"] * 5
    assert "222222222222 in eu-west-1 failed: interrupted." in outcome.stderr.splitlines()


def test_a_site_that_falls_silent_meanwhile_is_unknown(fleet: MemoryFleet) -> None:
    stack = fleet.stacks[FOURTH]

    class Silent(Sts):
        def get_caller_identity(self) -> dict[str, str]:
            stack.versions.schedule = silent  # type: ignore[method-assign]
            raise DENIED

    def silent() -> Any:
        raise Unavailable("no answer")

    stack.services["sts"] = Silent()
    outcome = fleet.usher("apply", *YES, "--json")
    assert states(outcome.stdout)[3:5] == ["unknown", "not tried"]
    assert json.loads(outcome.stdout)["sites"][3]["version"] is None


def test_a_no_applies_nothing_anywhere(fleet: MemoryFleet) -> None:
    outcome = fleet.usher("apply", *WHY, stdin="n\n")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert newest(fleet) == [0] * 9


@pytest.mark.parametrize(
    "options", [["hooks.yaml"], ["--rollback"], ["--wait"], ["--ahead"], ["--own-group", "web"]], ids=str
)
def test_what_is_for_one_site_is_refused(fleet: MemoryFleet, options: list[str]) -> None:
    outcome = fleet.usher("apply", *YES, *options)
    assert outcome.exit_code == 2
    assert "leave " in outcome.stderr
    assert newest(fleet) == [0] * 9


def test_the_hooks_of_all_sites_are_put_by_their_sweeps(fleet: MemoryFleet) -> None:
    fleet.usher("apply", *YES)
    for site in SITES:
        stack = fleet.stacks[site]
        assert isinstance(stack, Stack)
        stack.now = at(61)
        stack.sweep()
        assert stack.hooks_on("web") == ["gate"]
