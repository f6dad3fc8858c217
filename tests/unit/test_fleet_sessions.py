"""A fleet on a loopback port: how it is reached, what it costs, and that a failure hides no other answer.

`make test-fleet` has twenty accounts in three Regions, and 2,000 open actions.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.credentials import RefreshableCredentials
from click.testing import CliRunner

from tests.factories import an_action, at
from tests.fleet_emulator import ROLE, Emulator, emulator
from tests.unit.test_account import KEYS, NOBODYS
from usher_cli.account import Machine, Place, Trouble
from usher_cli.fleet.file import Role
from usher_cli.fleet.sessions import Sessions
from usher_cli.fleet.sites import FleetSite
from usher_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3
    from click.testing import Result

    from usher.core.action import Action

ACCOUNTS: Final = [f"{number:012}" for number in range(1, int(os.environ.get("FLEET_ACCOUNTS", "4")) + 1)]
REGIONS: Final = ("eu-west-1", "us-east-1", "ap-south-1")
SITES: Final = [(account, region) for account in ACCOUNTS for region in REGIONS]
ACTIONS: Final = 100 * len(ACCOUNTS)
DOWN: Final = (SITES[3], SITES[-4])
DENIED: Final = SITES[-2]
NO_WAIT: Final = Machine(clock=lambda: at(0), new_id=lambda: "1", wait=lambda _: None)


@pytest.fixture(scope="module")
def all_sites() -> Iterator[Emulator]:
    """All sites, with the actions."""
    with emulator(Emulator()) as made:
        for number, (account, region) in enumerate(SITES):
            made.deploy(account, region, [action(each) for each in numbers_of(number)])
        yield made


def numbers_of(site: int) -> range:
    """Of the actions of the site of that number: one after the other has its share."""
    return range(site, ACTIONS, len(SITES))


def action(number: int) -> Action:
    """The higher its number, the sooner its expiry."""
    return an_action(id=f"action-{number:04}", token=None, started_at=at(-number))


@pytest.fixture
def cloud(all_sites: Emulator) -> Iterator[Emulator]:
    """The same, with nothing counted, and nothing down."""
    all_sites.calls.clear()
    yield all_sites
    all_sites.down.clear()
    all_sites.denied.clear()
    all_sites.not_trusting.clear()


def fleet_file(folder: Path, *, role: str = f"{{name: {ROLE}, external_id: tick-7}}") -> Path:
    listed = "".join(f'  - {{id: "{account}"}}\n' for account in ACCOUNTS)
    file = folder / "fleet.yaml"
    file.write_text(
        f"version: 1\nregions: [{', '.join(REGIONS)}]\nrole: {role}\naccounts:\n{listed}", encoding="utf-8"
    )
    return file


def usher(cloud: Emulator, *arguments: str) -> Result:
    env = {**NOBODYS, **KEYS, "AWS_ENDPOINT_URL": cloud.url, "AWS_MAX_ATTEMPTS": "1"}
    return CliRunner().invoke(main, arguments, obj=NO_WAIT, env=env)


def sites_called(cloud: Emulator) -> dict[tuple[str, str], Counter[str]]:
    """The calls of each site, by service; those of STS are of the account that asks."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for (account, region, service), number in cloud.calls.items():
        if service != "sts":
            found.setdefault((account, region), Counter())[service] += number
    return found


def assumed(cloud: Emulator) -> int:
    return sum(number for (_, _, service), number in cloud.calls.items() if service == "sts")


def test_all_sites_are_one_list_and_two_that_are_down_and_one_that_denies_hide_no_other(
    cloud: Emulator, tmp_path: Path
) -> None:
    """Each site costs the calls of a single `usher list`, and a role is assumed once per account."""
    file = str(fleet_file(tmp_path))
    account, region = SITES[0]
    assert usher(cloud, "list", "--fleet", file, "--account", account, "--region", region).exit_code == 0
    (alone,) = sites_called(cloud).values()
    cloud.calls.clear()
    cloud.down |= {*DOWN}
    cloud.denied |= {DENIED}
    without = [site for site in SITES if site not in cloud.down | cloud.denied]

    outcome = usher(cloud, "list", "--fleet", file, "--json")

    page = json.loads(outcome.stdout)
    assert [(site["account"], site["region"]) for site in page["sites"]] == without
    failing = [SITES.index(site) for site in SITES if site not in without]
    assert page["open"] == ACTIONS - sum(len(numbers_of(number)) for number in failing)
    nearest = [number for number in range(ACTIONS)[::-1] if SITES[number % len(SITES)] in without][:50]
    assert [action["id"] for action in page["actions"]] == [f"action-{number:04}" for number in nearest]
    assert outcome.exit_code == 1
    assert [line.partition(" failed: ")[0] for line in outcome.stderr.splitlines()] == [
        f"{account} in {region}" for account, region in (*DOWN, DENIED)
    ]
    assert outcome.stderr.count("Connection was closed before we received a valid response") == 2
    assert outcome.stderr.count("Not permitted (DescribeStacks: ann may not)") == 1
    called = sites_called(cloud)
    assert alone["cloudformation"] == 1
    assert [called[site] for site in without] == [alone] * (len(SITES) - 3)
    assert assumed(cloud) == len(ACCOUNTS) + 1  # and who the caller is, for the session's name


def small(cloud: Emulator, folder: Path, *options: str, **file: Any) -> Result:
    """A list of two accounts in one Region."""
    chosen = ("--account", ACCOUNTS[0], "--account", ACCOUNTS[1], "--region", REGIONS[0])
    return usher(cloud, "list", "--limit", "1", "--fleet", str(fleet_file(folder, **file)), *chosen, *options)


def test_an_account_that_does_not_trust_the_caller_is_told(cloud: Emulator, tmp_path: Path) -> None:
    cloud.not_trusting |= {ACCOUNTS[1]}
    outcome = small(cloud, tmp_path)
    assert (outcome.exit_code, len(outcome.stdout.splitlines())) == (1, 2)
    (line,) = outcome.stderr.splitlines()[1:]
    assert line.startswith(f"{ACCOUNTS[1]} in {REGIONS[0]} failed: Not permitted (AssumeRole: ann may not)")


# Credentials


def sessions(cloud: Emulator, over: Place | None = None) -> Sessions:
    """Those of a command, in an environment with keys and the emulator."""
    return Sessions(over or Place(endpoint_url=cloud.url))


def site(account: str, *, role: Role | None = None, profile: str | None = None, url: str = "") -> FleetSite:
    place = Place(account=account, region=REGIONS[0], profile=profile, endpoint_url=url)
    return FleetSite(place=place, name=None, role=role, hooks=Path("hooks.yaml"))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keys of the environment, and a configuration with a profile that asks for MFA."""
    for name, value in {**NOBODYS, **KEYS}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    config = tmp_path / "config"
    keys = "aws_access_key_id = a\naws_secret_access_key = b\n"
    config.write_text(
        f"[profile mfa]\nmfa_serial = arn:aws:iam::1:mfa/ann\n{keys}[profile own]\n{keys}", encoding="utf-8"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return config


def caller(session: boto3.Session, url: str) -> str:
    return str(session.client("sts", endpoint_url=url).get_caller_identity()["Arn"])


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("given", "name"), [(None, "moto"), ("ticket-7", "ticket-7")])
def test_the_session_has_the_callers_name_unless_another_is_given(
    cloud: Emulator, given: str | None, name: str
) -> None:
    """So CloudTrail, and `usher config history`, tell who it was."""
    made = sessions(cloud)
    of_fleet = site(ACCOUNTS[1], role=Role(name=f"teams/{ROLE}", session_name=given), url=cloud.url)
    made.prepare([of_fleet])
    found = made.of(of_fleet)
    assert found.region_name == REGIONS[0]
    assert caller(found, cloud.url).endswith(f"assumed-role/{ROLE}/{name}")


@pytest.mark.usefixtures("environment")
def test_the_sites_of_an_account_share_one_assumed_role_and_renew_it_themselves(cloud: Emulator) -> None:
    made = sessions(cloud)
    roles = [replace_region(site(ACCOUNTS[1], role=Role(name=ROLE), url=cloud.url), each) for each in REGIONS]
    made.prepare(roles)
    before = assumed(cloud)
    found = [made.of(each).get_credentials() for each in roles]
    assert len({each.get_frozen_credentials().access_key for each in found}) == 1
    assert assumed(cloud) == before + 1
    assert isinstance(found[0], RefreshableCredentials)


def replace_region(of: FleetSite, region: str) -> FleetSite:
    return replace(of, place=replace(of.place, region=region))


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("profile", "whose"),
    [
        (None, "Your credentials"),
        ("own", "The credentials of profile own"),
    ],
)
def test_credentials_of_another_account_are_told_and_not_used(
    cloud: Emulator, profile: str | None, whose: str
) -> None:
    with pytest.raises(Trouble) as refused:
        sessions(cloud).of(site(ACCOUNTS[0], profile=profile, url=cloud.url))
    assert refused.value.message == (
        f"{whose} are of account 123456789012: give this account a role, or another profile."
    )


@pytest.mark.usefixtures("environment")
def test_credentials_of_the_very_account_need_no_role(cloud: Emulator) -> None:
    found = sessions(cloud).of(site("123456789012", profile="own", url=cloud.url))
    assert found.get_credentials().access_key == "a"


@pytest.mark.usefixtures("environment")
def test_the_code_of_mfa_is_asked_for_once(cloud: Emulator, tmp_path: Path) -> None:
    file = str(fleet_file(tmp_path))
    env = {**NOBODYS, "AWS_CONFIG_FILE": os.environ["AWS_CONFIG_FILE"], "AWS_ENDPOINT_URL": cloud.url}
    outcome = CliRunner().invoke(
        main,
        ["list", "--fleet", file, "--profile", "mfa", "--region", REGIONS[0], "--limit", "1", "--json"],
        obj=NO_WAIT,
        env=env,
        input="123456\n",
    )
    assert (outcome.exit_code, outcome.exception) == (0, None), outcome.output
    assert outcome.stderr.count("MFA code of arn:aws:iam::1:mfa/ann") == 1
    assert len(json.loads(outcome.stdout)["sites"]) == len(ACCOUNTS)


def test_without_any_credentials_it_is_told_before_a_site_is_asked(cloud: Emulator, tmp_path: Path) -> None:
    file = str(fleet_file(tmp_path))
    outcome = CliRunner().invoke(main, ["list", "--fleet", file], obj=NO_WAIT, env=dict(NOBODYS))
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("Error: No AWS credentials were found: set them up")
    assert not cloud.calls


def profiles(cloud: Emulator, folder: Path, second: str) -> Result:
    """A list of two accounts, each with a profile, by a caller without credentials."""
    lines = []
    for account, name in zip(ACCOUNTS, ("one", "two"), strict=False):
        lines += [f"[{name}]", *(f"{key}={it}" for key, it in cloud.keys(account, REGIONS[0]).items())]
    credentials = folder / "credentials"
    credentials.write_text("\n".join(lines), encoding="utf-8")
    listed = zip(ACCOUNTS, ("one", second), strict=False)
    entries = "".join(f'  - {{id: "{account}", profile: {name}}}\n' for account, name in listed)
    file = folder / "fleet.yaml"
    file.write_text(f"version: 1\nregions: [{REGIONS[0]}]\naccounts:\n{entries}", encoding="utf-8")
    where = {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_ENDPOINT_URL": cloud.url}
    return CliRunner().invoke(
        main, ["list", "--fleet", str(file), "--json"], obj=NO_WAIT, env={**NOBODYS, **where}
    )


def test_where_each_account_has_a_profile_the_caller_needs_no_credentials(
    cloud: Emulator, tmp_path: Path
) -> None:
    outcome = profiles(cloud, tmp_path, "two")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert [each["account"] for each in json.loads(outcome.stdout)["sites"]] == ACCOUNTS[:2]


def test_a_profile_that_does_not_exist_fails_its_own_sites_alone(cloud: Emulator, tmp_path: Path) -> None:
    outcome = profiles(cloud, tmp_path, "misspelt")
    assert outcome.exit_code == 1, outcome.stderr
    assert [each["account"] for each in json.loads(outcome.stdout)["sites"]] == ACCOUNTS[:1]
    (line,) = outcome.stderr.splitlines()
    assert line.startswith(
        f"{ACCOUNTS[1]} in {REGIONS[0]} failed: The config profile (misspelt) could not be found"
    )
