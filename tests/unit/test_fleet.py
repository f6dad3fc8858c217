"""`usher list --fleet`: all sites side by side, each failure beside the others' answers; all in memory."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Barrier, Event, get_ident
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from click.testing import CliRunner
from rich.console import Console
from rich.text import Text

from tests.factories import as_closed, at
from tests.memory_account import MemoryStack, refused
from usher_cli.account import Machine, Place
from usher_cli.fleet.asking import SIDE_BY_SIDE, SILENCE_MAX, ask
from usher_cli.fleet.fleet import opened
from usher_cli.listing import Selection
from usher_cli.main import main
from usher_cli.watch import WholeFleet, watch_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from click.testing import Result

    from usher_cli.account import Account
    from usher_cli.fleet.sites import FleetSite

SHOP: Final = "111122223333"
BILLS: Final = "444455556666"
IRELAND: Final = "eu-west-1"
OHIO: Final = "us-east-2"
FILE: Final = f"""\
version: 1
regions: [{IRELAND}, {OHIO}]
accounts:
  - {{id: "{SHOP}", name: shop}}
  - {{id: "{BILLS}"}}
"""
DENIED: Final = ClientError(
    {"Error": {"Code": "AccessDenied", "Message": "ann may not assume UsherOperator"}}, "AssumeRole"
)
NOT_PERMITTED: Final = (
    "Not permitted (AssumeRole: ann may not assume UsherOperator): "
    'docs/operations.md, "Permissions of the commands", lists what they need.'
)
NO_CONNECTION: Final = (
    'Connect timeout on endpoint URL: "https://cloudformation.example": '
    "check --region, --endpoint-url and the network."
)
SILENT: Final = ConnectTimeoutError(endpoint_url="https://cloudformation.example")


@dataclass
class MemoryFleet:
    """The file, and a deployed Usher in memory for each of its sites; `failing` cannot be opened."""

    folder: Path
    text: str = FILE
    stacks: dict[tuple[str, str], MemoryStack] = field(default_factory=dict)
    failing: dict[tuple[str, str], Exception] = field(default_factory=dict)
    before_opening: Callable[[], object] = lambda: None
    now: datetime = field(default_factory=lambda: at(0))

    def stack(self, account: str, region: str) -> MemoryStack:
        return self.stacks.setdefault((account, region), MemoryStack())

    def usher(self, *arguments: str, stdin: str | None = None, region: str | None = None) -> Result:
        file = self.folder / "fleet.yaml"
        file.write_text(self.text, encoding="utf-8")
        return CliRunner().invoke(
            main,
            [*arguments, "--fleet", str(file)],
            input=stdin,
            obj=self.machine(),
            env={"COLUMNS": "400", "AWS_REGION": region, "AWS_PROFILE": None},
        )

    def machine(self) -> Machine:
        return Machine(
            clock=lambda: self.now, new_id=lambda: "1", wait=lambda _: None, open_account=self.open
        )

    def open(self, place: Place, machine: Machine) -> Account:
        self.before_opening()
        site = (str(place.account), str(place.region))
        if site in self.failing:
            raise self.failing[site]
        return self.stack(*site).account(place, machine)


@pytest.fixture
def fleet(tmp_path: Path) -> MemoryFleet:
    """Two accounts in two Regions, with an action in three of the four."""
    made = MemoryFleet(folder=tmp_path)
    made.stack(SHOP, IRELAND).opened(id="a", instance_id="i-a", started_at=at(-60))
    made.stack(SHOP, OHIO).opened(id="b", instance_id="i-b", started_at=at(-600))
    made.stack(BILLS, IRELAND).opened(id="c", instance_id="i-c", started_at=at(-300))
    return made


def told(outcome: Result) -> Any:
    return json.loads(outcome.stdout)


def test_the_actions_of_all_sites_are_one_list_nearest_expiry_first(fleet: MemoryFleet) -> None:
    outcome = fleet.usher("list")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert [line.split()[:3] for line in outcome.stdout.splitlines()] == [
        ["ACCOUNT", "REGION", "INSTANCE"],
        ["shop", OHIO, "i-b"],
        [BILLS, IRELAND, "i-c"],
        ["shop", IRELAND, "i-a"],
    ]


def test_json_has_account_and_region_with_each_action_and_each_site(fleet: MemoryFleet) -> None:
    page = told(fleet.usher("list", "--json"))
    assert list(page) == ["at", "open", "more", "sites", "failed", "unreadable", "paused", "actions"]
    assert (page["open"], page["more"], page["failed"]) == (3, False, [])
    assert page["sites"][0] == {
        "account": SHOP,
        "account_name": "shop",
        "region": IRELAND,
        "stack": "Usher",
        "open": 1,
    }
    assert [site["open"] for site in page["sites"]] == [1, 1, 1, 0]
    alone = fleet.stack(SHOP, OHIO).json("list")["actions"][0]
    assert page["actions"][0] == {"account": SHOP, "account_name": "shop", "region": OHIO, **alone}


def test_what_fails_is_told_beside_the_answers_of_the_others(fleet: MemoryFleet) -> None:
    fleet.failing = {
        (SHOP, IRELAND): DENIED,
        (BILLS, IRELAND): SILENT,
        (BILLS, OHIO): RuntimeError("whatever\nit is"),
    }
    outcome = fleet.usher("list")
    assert outcome.exit_code == 1
    assert [line.split()[2] for line in outcome.stdout.splitlines()[1:]] == ["i-b"]
    assert outcome.stderr.splitlines() == [
        f"shop ({SHOP}) in {IRELAND} failed: {NOT_PERMITTED}",
        f"{BILLS} in {IRELAND} failed: {NO_CONNECTION}",
        f"{BILLS} in {OHIO} failed: RuntimeError: whatever it is",
    ]


def test_json_has_what_failed(fleet: MemoryFleet) -> None:
    fleet.failing = {(BILLS, OHIO): DENIED}
    outcome = fleet.usher("list", "--json")
    assert outcome.exit_code == 1
    (failed,) = told(outcome)["failed"]
    assert (failed["account"], failed["region"]) == (BILLS, OHIO)
    assert failed["why"].startswith("Not permitted (AssumeRole: ann")
    assert len(told(outcome)["sites"]) == 3


def test_where_all_fail_nothing_is_said_of_open_actions_but_what_failed(fleet: MemoryFleet) -> None:
    fleet.failing = {(account, region): DENIED for account in (SHOP, BILLS) for region in (IRELAND, OHIO)}
    outcome = fleet.usher("list")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert len(outcome.stderr.splitlines()) == 4
    assert "No action is open" not in outcome.stderr


def test_without_an_open_action_it_says_of_how_many_sites_it_knows_that(tmp_path: Path) -> None:
    outcome = MemoryFleet(folder=tmp_path).usher("list")
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr == "No action is open in 4 accounts and Regions.\n"


def test_the_limit_counts_for_the_merged_list(fleet: MemoryFleet) -> None:
    outcome = fleet.usher("list", "--limit", "2")
    assert [line.split()[2] for line in outcome.stdout.splitlines()[1:]] == ["i-b", "i-c"]
    assert outcome.stderr == "2 of 3 open actions shown; --limit 3 shows all.\n"
    assert told(fleet.usher("list", "--limit", "3", "--json"))["more"] is False


def test_what_cannot_be_read_is_told_with_its_site(fleet: MemoryFleet) -> None:
    fleet.stack(SHOP, OHIO).records.unreadable = frozenset({"b"})
    outcome = fleet.usher("list")
    assert outcome.exit_code == 1
    assert "Cannot read the record of open action b shop us-east-2: " in outcome.stderr
    page = told(fleet.usher("list", "--json"))
    assert page["unreadable"] == [{"account": SHOP, "account_name": "shop", "region": OHIO, "id": "b"}]


def test_a_pause_is_told_with_its_site(fleet: MemoryFleet) -> None:
    fleet.stack(BILLS, OHIO).records.pause("*", "ann: a bad launch")
    first = fleet.usher("list").stdout.splitlines()[0]
    assert first == f"{BILLS} {OHIO} PAUSED: all hooks, by ann: a bad launch"


# Which sites


@pytest.mark.parametrize(
    ("options", "instances"),
    [
        pytest.param(["--region", IRELAND], ["i-c", "i-a"], id="a Region"),
        pytest.param(["--account", SHOP], ["i-b", "i-a"], id="an account by its ID"),
        pytest.param(["--account", "shop", "--account", BILLS], ["i-b", "i-c", "i-a"], id="two accounts"),
        pytest.param(["--account", "shop", "--region", OHIO], ["i-b"], id="both"),
    ],
)
def test_a_part_of_the_fleet_can_be_chosen(
    fleet: MemoryFleet, options: list[str], instances: list[str]
) -> None:
    page = told(fleet.usher("list", "--json", *options))
    assert [action["instance_id"] for action in page["actions"]] == instances


def test_the_region_of_the_environment_chooses_nothing(fleet: MemoryFleet) -> None:
    assert told(fleet.usher("list", "--json", region=OHIO))["open"] == 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param(["--account", "tills"], "The fleet has no account tills: give the ID", id="no account"),
        pytest.param(["--region", "eu-north-1"], "The fleet has nothing in eu-north-1: give", id="no Region"),
        pytest.param(["--stack", "Usher"], "the fleet's file names the stack: leave --stack", id="a stack"),
        pytest.param(["--offline"], "--offline asks one account and Region: leave --fleet", id="offline"),
    ],
)
def test_what_does_not_go_with_a_fleet_is_wrong_usage(
    fleet: MemoryFleet, options: list[str], error: str
) -> None:
    outcome = fleet.usher("list", *options)
    assert outcome.exit_code == 2
    assert error in outcome.stderr


def test_accounts_are_chosen_of_a_fleet_alone() -> None:
    outcome = MemoryStack().usher("list", "--account", SHOP)
    assert outcome.exit_code == 2
    assert "--account chooses accounts of a fleet: give its file by --fleet" in outcome.stderr


def test_a_file_that_is_wrong_is_told_before_anything_is_asked(fleet: MemoryFleet) -> None:
    fleet.text = "version: 1\nregions: [eu-west-1]\n"
    assert refused(fleet.usher("list")).endswith(
        "must have accounts, organizational_units or both, got {'version': 1, 'regions': ['eu-west-1']}"
    )


# Side by side


def many(fleet: MemoryFleet, count: int) -> None:
    accounts = "".join(f'  - {{id: "{number:012}"}}\n' for number in range(count))
    fleet.text = f"version: 1\nregions: [{IRELAND}]\naccounts:\n{accounts}"


def test_as_many_sites_as_the_bound_allows_are_asked_at_once(fleet: MemoryFleet) -> None:
    """Each waits for all the others: were one asked later, the barrier's timeout would end this."""
    many(fleet, SIDE_BY_SIDE)
    together = Barrier(SIDE_BY_SIDE, timeout=60)
    fleet.before_opening = together.wait
    assert told(fleet.usher("list", "--json"))["failed"] == []


def test_no_more_sites_than_the_bound_allows_are_asked_at_once(fleet: MemoryFleet) -> None:
    threads: set[int] = set()
    many(fleet, 3 * SIDE_BY_SIDE)
    fleet.before_opening = lambda: threads.add(get_ident())
    assert len(told(fleet.usher("list", "--json"))["sites"]) == 3 * SIDE_BY_SIDE
    assert 1 <= len(threads) <= SIDE_BY_SIDE


def test_the_order_is_that_of_the_file_whoever_answers_first(fleet: MemoryFleet) -> None:
    many(fleet, 40)
    accounts = [site["account"] for site in told(fleet.usher("list", "--json"))["sites"]]
    assert accounts == [f"{number:012}" for number in range(40)]


def test_two_with_the_same_expiry_are_in_the_order_of_accounts(fleet: MemoryFleet) -> None:
    for account in (BILLS, SHOP):
        fleet.stack(account, OHIO).opened(
            id="same", token="s" * 36, instance_id=f"i-{account}", started_at=at(0) - timedelta(minutes=20)
        )
    actions = told(fleet.usher("list", "--json"))["actions"]
    assert [action["account"] for action in actions[:2]] == [SHOP, BILLS]


class NeverLong(SimpleQueue[Any]):
    """The silence that is allowed ends when `answering` sites have answered."""

    def __init__(self, answering: int) -> None:
        self.left = answering

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        assert (block, timeout) == (True, SILENCE_MAX)
        if self.left == 0:
            raise Empty
        self.left -= 1
        return super().get()


def test_a_site_that_stays_silent_fails_and_hides_no_other_answer(fleet: MemoryFleet) -> None:
    """As one whose `credential_process` hangs; its late answer changes nothing."""
    (fleet.folder / "fleet.yaml").write_text(fleet.text, encoding="utf-8")
    sites = opened(fleet.machine(), fleet.folder / "fleet.yaml", Place(), (), None).sites
    told_of_all = Event()

    def question(site: FleetSite) -> str:
        if site is sites[1]:
            told_of_all.wait()
        return str(site)

    answers = ask(sites, question, quiet=True, answers=NeverLong(len(sites) - 1))
    told_of_all.set()
    assert [site for site, _ in answers.told] == [sites[0], *sites[2:]]
    (failed,) = answers.failed
    assert str(failed) == (
        f"shop ({SHOP}) in {OHIO} failed: No answer, and none of any other site for 3 minutes: "
        "check the credentials of each site that is silent, then try again."
    )


# watch


def watched(fleet: MemoryFleet, meanwhile: Callable[[int], object], *options: str) -> Result:
    """Three looks; `meanwhile` is told after which."""
    looks: list[int] = []

    def wait(_: timedelta) -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt
        meanwhile(len(looks))

    file = fleet.folder / "fleet.yaml"
    file.write_text(fleet.text, encoding="utf-8")
    return CliRunner().invoke(
        main, ["watch", "--fleet", str(file), *options], obj=replace(fleet.machine(), wait=wait)
    )


def ended(fleet: MemoryFleet, account: str, region: str, action_id: str) -> None:
    stack = fleet.stack(account, region)
    action = stack.loaded(action_id)
    stack.records.save(replace(action, version=action.version + 1, evaluation_id="another", **as_closed(8)))


def test_watch_prints_a_line_with_the_site_for_each_change(fleet: MemoryFleet) -> None:
    outcome = watched(fleet, lambda look: ended(fleet, SHOP, OHIO, "b") if look == 1 else None)
    assert outcome.exit_code == 0
    assert [line.split()[1:6:2] for line in outcome.stdout.splitlines()] == [
        ["shop", "i-b", "waiting:"],
        [BILLS, "i-c", "waiting:"],
        ["shop", "i-a", "waiting:"],
        ["shop", "i-b", "completed"],
    ]
    assert outcome.stdout.splitlines()[3].split()[2] == OHIO


def test_a_site_that_falls_silent_is_told_once_and_its_actions_count_as_they_were(fleet: MemoryFleet) -> None:
    stack = fleet.stack(SHOP, OHIO)

    def meanwhile(_: int) -> None:
        stack.records.pauses = silent  # type: ignore[method-assign]

    def silent() -> Any:
        raise DENIED

    outcome = watched(fleet, meanwhile)
    assert len(outcome.stdout.splitlines()) == 3
    assert outcome.stderr.splitlines() == [f"shop us-east-2 failed: {NOT_PERMITTED}", ""]


def test_watch_prints_json_with_account_and_region(fleet: MemoryFleet) -> None:
    outcome = watched(fleet, lambda look: ended(fleet, SHOP, OHIO, "b") if look == 1 else None, "--json")
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [(line["account"], line["region"], line["id"], line["state"]) for line in lines] == [
        (SHOP, OHIO, "b", "waiting"),
        (BILLS, IRELAND, "c", "waiting"),
        (SHOP, IRELAND, "a", "waiting"),
        (SHOP, OHIO, "b", "completed"),
    ]


def test_a_terminal_shows_the_sites_and_what_failed(fleet: MemoryFleet) -> None:
    def pressed(_: timedelta) -> None:
        raise KeyboardInterrupt

    fleet.failing = {(BILLS, IRELAND): DENIED}
    (fleet.folder / "fleet.yaml").write_text(fleet.text, encoding="utf-8")
    machine = replace(fleet.machine(), wait=pressed)
    found = opened(machine, fleet.folder / "fleet.yaml", Place(), (), None)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, no_color=True, width=200, height=50, highlight=False)
    selection = Selection(group=None, hook=None, limit=50)
    with pytest.raises(KeyboardInterrupt):
        watch_table(WholeFleet(of=found, selection=selection), timedelta(seconds=5), console)
    drawn = [line.rstrip() for line in Text.from_ansi(screen.getvalue()).plain.splitlines()]
    assert f"{BILLS} {IRELAND} failed: {NOT_PERMITTED}" in drawn
    assert any("2 of 2 open in 3 accounts and Regions" in line for line in drawn)
    assert any(line.split()[:3] == ["shop", OHIO, "i-b"] for line in drawn)
