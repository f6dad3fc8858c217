"""`fleet.yaml`: what is taken, what is refused and on which line, and the sites that it lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft7Validator

from tests.bare_clone import ROOT
from tests.unit.test_messages_of_any_shape import places
from tests.unit.test_schema import with_value
from usher.core.field import ConfigurationRefused
from usher_cli.account import Place, Trouble
from usher_cli.fleet import file
from usher_cli.fleet.file import Role
from usher_cli.fleet.sites import FleetSite, sites_of
from usher_cli.main import main
from usher_hooksfile.schema import written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP: Final = "111122223333"
BILLS: Final = "444455556666"
WHOLE: Final = f"""\
version: 1
regions: [eu-west-1, us-east-1]
role: {{name: UsherOperator, external_id: tick-7, session_name: ann}}
stack: Usher
hooks: hooks.yaml
endpoint_url: http://localhost:4566
accounts:
  - id: "{SHOP}"
    name: shop
  - id: "{BILLS}"
    regions: [eu-central-1]
    role: {{name: teams/Bills}}
    stack: Usher-bills
    hooks: bills/hooks.yaml
    endpoint_url: http://localhost:4567
  - {{id: "777788889999", profile: own}}
organizational_units:
  - id: ou-ab12-34cd56ef
    leave_out: ["{BILLS}"]
    regions: [eu-west-1]
    role: {{name: UsherOperator}}
    stack: Usher
    hooks: hooks.yaml
    endpoint_url: http://localhost:4566
"""
SCHEMA: Final = Draft7Validator(file.schema())


def read(path: Path, text: str) -> list[FleetSite]:
    """Its sites; Organizations knows no account."""
    path.joinpath("fleet.yaml").write_text(text, encoding="utf-8")
    return list(sites_of(file.read(path / "fleet.yaml"), path, Place(), lambda: Organizations({})))


class Organizations:
    """Accounts and units by their parent, in pages of one."""

    def __init__(self, below: dict[str, list[dict[str, Any]]]) -> None:
        self._below = below

    def get_paginator(self, operation: str) -> Any:
        class Paginator:
            def paginate(_, ParentId: str, **more: str) -> Iterator[dict[str, Any]]:  # noqa: N805, N803
                assert more == ({"ChildType": "ORGANIZATIONAL_UNIT"} if operation == "list_children" else {})
                for each in self._below.get(ParentId, []):
                    if ("Name" in each) is (operation == "list_accounts_for_parent"):
                        yield {"Accounts": [each], "Children": [each]}
                yield {"Accounts": [], "Children": []}

        return Paginator()


def test_each_account_is_a_site_in_each_region_and_an_entry_overrides_the_file(tmp_path: Path) -> None:
    sites = read(tmp_path, WHOLE.partition("organizational_units")[0])
    assert [(site.account, site.region) for site in sites] == [
        (SHOP, "eu-west-1"),
        (SHOP, "us-east-1"),
        (BILLS, "eu-central-1"),
        ("777788889999", "eu-west-1"),
        ("777788889999", "us-east-1"),
    ]
    shop, _, bills, own, _ = sites
    assert shop == FleetSite(
        place=Place(region="eu-west-1", endpoint_url="http://localhost:4566", account=SHOP),
        name="shop",
        role=Role(name="UsherOperator", external_id="tick-7", session_name="ann"),
        hooks=tmp_path / "hooks.yaml",
    )
    assert (bills.role, bills.place.stack) == (Role(name="teams/Bills"), "Usher-bills")
    assert bills.hooks == tmp_path / "bills" / "hooks.yaml"
    assert (own.role, own.place.profile) == (None, "own")
    assert [str(shop), str(bills)] == [f"shop ({SHOP}) in eu-west-1", f"{BILLS} in eu-central-1"]


def of_units(tmp_path: Path, below: dict[str, list[dict[str, Any]]], *, more: str = "") -> list[FleetSite]:
    path = tmp_path / "fleet.yaml"
    path.write_text(f"version: 1\nregions: [eu-west-1]\norganizational_units:\n  - id: r-ab12\n{more}")
    return list(sites_of(file.read(path), tmp_path, Place(), lambda: Organizations(below)))


def account(number: str, name: str, **state: str) -> dict[str, Any]:
    return {"Id": number, "Name": name, **(state or {"State": "ACTIVE"})}


def test_a_unit_stands_for_its_active_accounts_and_those_of_the_units_in_it(tmp_path: Path) -> None:
    below = {
        "r-ab12": [account(BILLS, "bills"), {"Id": "ou-1"}, {"Id": "ou-2"}],
        "ou-1": [account("777788889999", "closed", State="SUSPENDED"), {"Id": "ou-3"}],
        "ou-2": [account("000000000000", "left out", Status="ACTIVE")],
        "ou-3": [account(SHOP, "shop", Status="ACTIVE")],
    }
    sites = of_units(tmp_path, below, more='    leave_out: ["000000000000"]\n')
    assert [(site.account, site.name) for site in sites] == [(SHOP, "shop"), (BILLS, "bills")]


def test_what_is_listed_counts_before_what_its_unit_says(tmp_path: Path) -> None:
    below = {"r-ab12": [account(SHOP, "shop"), account(BILLS, "bills")]}
    listed = f'accounts: [{{id: "{SHOP}", regions: [us-east-1]}}]\n'
    sites = of_units(tmp_path, below, more=listed)
    assert [(site.account, site.region) for site in sites] == [(SHOP, "us-east-1"), (BILLS, "eu-west-1")]


def test_a_unit_without_accounts_is_an_error_and_no_empty_answer(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="unit r-ab12 has no active account: check its ID"):
        of_units(tmp_path, {"r-ab12": [account(SHOP, "closed", State="SUSPENDED")]})


ROLE: Final = "role: {name: R}"
ACCOUNTS: Final = f'accounts: [{{id: "{SHOP}"}}]'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "is empty: it must have version", id="an empty file"),
        pytest.param("version: 2", "1: version: must be 1, got 2", id="another version"),
        pytest.param("version: 1", "must have accounts, organizational_units or both", id="no accounts"),
        pytest.param(f"version: 1\n{ACCOUNTS}", "2: accounts[0]: must have regions, here or", id="no Region"),
        pytest.param(
            f"version: 1\nregions: [Ireland]\n{ACCOUNTS}",
            "2: regions[0]: must be a Region such as eu-west-1, got 'Ireland'",
            id="no name of a Region",
        ),
        pytest.param(
            f"version: 1\nregions: [eu-west-1, eu-west-1]\n{ACCOUNTS}",
            "2: regions[1]: must not appear twice, got 'eu-west-1'",
            id="a Region twice",
        ),
        pytest.param(
            "version: 1\nregions: [eu-west-1]\naccounts: [{id: 111122223333}]",
            "3: accounts[0].id: must be an account ID of twelve digits, in quotes where it looks like",
            id="an account that is a number",
        ),
        pytest.param(
            f'version: 1\nregions: [eu-west-1]\naccounts: [{{id: "{SHOP}"}}, {{id: "{SHOP}"}}]',
            f"3: accounts[1]: must not list {SHOP} in eu-west-1 a second time",
            id="a site twice",
        ),
        pytest.param(
            f'version: 1\nregions: [eu-west-1]\naccounts: [{{id: "{SHOP}", profile: p, {ROLE}}}]',
            "3: accounts[0].profile: must not stand beside role: a profile brings its own",
            id="profile and role",
        ),
        pytest.param(
            f"version: 1\nregions: [eu-west-1]\nrole: {{}}\n{ACCOUNTS}",
            "3: role: must have name",
            id="a role without a name",
        ),
        pytest.param(
            "version: 1\nregions: [eu-west-1]\norganizational_units: [{id: production}]",
            "3: organizational_units[0].id: must be the ID of an organizational unit or of the root",
            id="a unit by name",
        ),
        pytest.param(
            f"version: 1\nregions: [eu-west-1]\nstack: '*'\n{ACCOUNTS}",
            "3: stack: must be the name of a stack, or the beginning of one and *",
            id="the end of a name",
        ),
        pytest.param(
            f"version: 1\nregion: eu-west-1\n{ACCOUNTS}", "2: region: is not a known key", id="a typo"
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(Trouble) as refused:
        read(tmp_path, text)
    assert told in refused.value.message
    assert "\n" not in refused.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"nowhere\.yaml: cannot be read: No such file"):
        file.read(tmp_path / "nowhere.yaml")


# The schema


def parser_takes(data: Any) -> bool:
    try:
        file.parse(data)
    except ConfigurationRefused:
        return False
    return True


def test_every_key_of_the_schema_stands_in_the_whole_file_of_these_tests() -> None:
    Draft7Validator.check_schema(file.schema())
    data = yaml.safe_load(WHOLE)
    assert (parser_takes(data), SCHEMA.is_valid(data)) == (True, True)
    keys = {key for path in places(data) for key in path if isinstance(key, str)}
    assert keys == {
        key for path in places(file.schema()) if path[-2:-1] == ("properties",) for key in path[-1:]
    }


@pytest.mark.parametrize(
    "value", [None, 7, True, "", " x", "é\x01", [], {}, [7], ["x", "x"], {"x": 1}, {"id": SHOP}], ids=repr
)
def test_whatever_the_parser_takes_the_schema_takes_too(value: Any) -> None:
    whole = yaml.safe_load(WHOLE)
    tried = [with_value(path, value, whole) for path in ((), *places(whole))]
    assert [data for data in tried if parser_takes(data) and not SCHEMA.is_valid(data)] == []
    assert any(not SCHEMA.is_valid(data) for data in tried)


def test_the_copy_in_the_docs_is_what_usher_schema_prints() -> None:
    printed = CliRunner().invoke(main, ["schema", "--fleet"])
    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout == written(file.schema())
    assert printed.stdout == (ROOT / "docs" / "fleet.schema.json").read_text(encoding="utf-8")
    assert json.loads(printed.stdout)["title"] == "Usher's fleet.yaml"
