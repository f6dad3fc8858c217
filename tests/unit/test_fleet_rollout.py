"""The rollout of docs/fleet.md as far as moto goes: an organization, StackSets, and a fleet of its units.

moto deploys no template as large as Usher's own, which tests/e2e deploys into a local account. So the
StackSet here has what of it the commands look up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
import yaml
from click.testing import CliRunner
from moto import mock_aws

from tests.bare_clone import ROOT
from tests.factories import an_action, at
from tests.unit.test_account import CREDENTIALS, KEYS, NOBODYS
from usher.aws import table
from usher.aws.records import RecordTable
from usher.ports.records import Raw
from usher_cli.account import Machine
from usher_cli.install.policies import Names, reader
from usher_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

EXAMPLES: Final = ROOT / "docs" / "examples" / "fleet"
REGIONS: Final = ("eu-west-1", "us-east-1")
ORGANIZATION: Final = {"ParameterKey": "OrganizationId", "ParameterValue": "o-abcdefghij"}


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their arguments."""


def _argument(loader: _Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else None


_Loader.add_multi_constructor("!", _argument)


def example(name: str) -> Any:
    return yaml.load((EXAMPLES / name).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader


def client(service: str, region: str = REGIONS[0], account: str | None = None) -> Any:
    keys = dict(CREDENTIALS)
    if account is not None:
        role = f"arn:aws:iam::{account}:role/UsherOperator"
        told = client("sts").assume_role(RoleArn=role, RoleSessionName="setup")["Credentials"]
        keys = {
            "aws_access_key_id": told["AccessKeyId"],
            "aws_secret_access_key": told["SecretAccessKey"],
            "aws_session_token": told["SessionToken"],
        }
    return boto3.client(service, region_name=region, **keys)


class Organization:
    """Two accounts: one in the unit of production, one in a unit of that."""

    def __init__(self) -> None:
        self._api = client("organizations")
        self._api.create_organization(FeatureSet="ALL")
        self.root = self._api.list_roots()["Roots"][0]["Id"]
        self.unit = self._unit(self.root, "production")
        self.shop = self._account("shop", self.unit)
        self.bills = self._account("bills", self._unit(self.unit, "finance"))

    def _unit(self, parent: str, name: str) -> str:
        made = self._api.create_organizational_unit(ParentId=parent, Name=name)
        return str(made["OrganizationalUnit"]["Id"])

    def _account(self, name: str, unit: str) -> str:
        made = self._api.create_account(AccountName=name, Email=f"{name}@example.com")
        number = str(made["CreateAccountStatus"]["AccountId"])
        self._api.move_account(AccountId=number, SourceParentId=self.root, DestinationParentId=unit)
        return number


@pytest.fixture
def organization() -> Iterator[Organization]:
    with mock_aws():
        yield Organization()


def template() -> str:
    """What of Usher's own the commands look up."""
    definition = dict(table.definition("none"))
    del definition["TableName"]
    return json.dumps(
        {
            "Parameters": {"CodeBucket": {"Type": "String"}, "CodeKey": {"Type": "String"}},
            "Resources": {"Records": {"Type": "AWS::DynamoDB::Table", "Properties": definition}},
            "Outputs": {"TableName": {"Value": {"Ref": "Records"}}},
        }
    )


def parameters(bucket: str) -> list[dict[str, str]]:
    given = {"CodeBucket": bucket, "CodeKey": "usher/0.1.0/functions.zip"}
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]


def rolled_out(*accounts: str) -> None:
    """The stacks, with such names as AWS gives to those of a StackSet; moto gives them others."""
    for number, account in enumerate(accounts):
        for region in REGIONS:
            client("cloudformation", region, account).create_stack(
                StackName=f"StackSet-Usher-0{number}d3c2b1-{region}",
                TemplateBody=template(),
                Parameters=parameters(f"usher-fleet-{region}"),
            )


def usher(
    folder: Path, organization: Organization, *arguments: str, stack: str = "StackSet-Usher-*"
) -> Result:
    file = folder / "fleet.yaml"
    file.write_text(
        f"version: 1\nregions: [{', '.join(REGIONS)}]\nrole: {{name: UsherOperator}}\nstack: {stack}\n"
        f"organizational_units:\n  - id: {organization.unit}\n",
        encoding="utf-8",
    )
    machine = Machine(clock=lambda: at(0), new_id=lambda: "1", wait=lambda _: None)
    return CliRunner().invoke(main, [*arguments, "--fleet", str(file)], obj=machine, env={**NOBODYS, **KEYS})


def test_the_stacks_of_a_stack_set_are_found_in_the_accounts_of_a_unit(
    organization: Organization, tmp_path: Path
) -> None:
    rolled_out(organization.shop, organization.bills)
    (stack,) = client("cloudformation", REGIONS[1], organization.bills).describe_stacks()["Stacks"]
    dynamodb = client("dynamodb", REGIONS[1], organization.bills)
    RecordTable(dynamodb, stack["Outputs"][0]["OutputValue"], lambda: at(0)).open(
        an_action(), Raw(received_at=at(0), body="{}")
    )

    outcome = usher(tmp_path, organization, "list", "--json")

    assert (outcome.exit_code, outcome.exception) == (0, None), outcome.output
    page = json.loads(outcome.stdout)
    assert {(site["account_name"], site["region"]) for site in page["sites"]} == {
        (name, region) for name in ("shop", "bills") for region in REGIONS
    }
    assert [(action["account_name"], action["region"]) for action in page["actions"]] == [
        ("bills", REGIONS[1])
    ]


def test_a_name_that_fits_no_stack_is_told(organization: Organization, tmp_path: Path) -> None:
    rolled_out(organization.shop)
    outcome = usher(tmp_path, organization, "list", stack="'StackSet-Other-*'")
    assert outcome.exit_code == 1
    assert "one stack StackSet-Other-* in us-east-1, and there is none." in outcome.stderr


def test_two_stacks_that_fit_are_told(organization: Organization, tmp_path: Path) -> None:
    rolled_out(organization.shop)
    client("cloudformation", REGIONS[0], organization.shop).create_stack(
        StackName="StackSet-Usher-old",
        TemplateBody=json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}),
    )
    outcome = usher(tmp_path, organization, "list", "--account", "shop")
    assert outcome.exit_code == 1
    assert (
        "There must be one stack StackSet-Usher-* in eu-west-1, and there is StackSet-Usher-"
        in outcome.stderr
    )


# The StackSets and their templates


def test_each_region_of_a_stack_set_has_its_own_bucket(organization: Organization) -> None:
    api = client("cloudformation")
    api.create_stack_set(
        StackSetName="Usher",
        TemplateBody=template(),
        PermissionModel="SERVICE_MANAGED",
        AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": True},
        Parameters=parameters("usher-fleet-eu-west-1"),
    )
    for region in REGIONS:
        api.create_stack_instances(
            StackSetName="Usher",
            DeploymentTargets={"OrganizationalUnitIds": [organization.unit]},
            Regions=[region],
            ParameterOverrides=parameters(f"usher-fleet-{region}"),
        )
    for account in (organization.shop, organization.bills):
        for region in REGIONS:
            made = api.describe_stack_instance(
                StackSetName="Usher", StackInstanceAccount=account, StackInstanceRegion=region
            )["StackInstance"]
            assert made["ParameterOverrides"] == parameters(f"usher-fleet-{region}")
            assert len(client("dynamodb", region, account).list_tables()["TableNames"]) == 1


@pytest.mark.filterwarnings("ignore:Tried to parse AWS")  # policies, which moto has not
@pytest.mark.parametrize("name", ["code-bucket.yaml", "operators-bus.yaml"])
@mock_aws
def test_a_template_of_the_operators_account_can_be_deployed(name: str) -> None:
    api = client("cloudformation")
    body = (EXAMPLES / name).read_text(encoding="utf-8")
    api.create_stack(StackName="one", TemplateBody=body, Parameters=[ORGANIZATION])
    assert api.describe_stacks(StackName="one")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_the_role_can_be_deployed_by_a_stack_set_that_the_units_are_given(organization: Organization) -> None:
    api = client("cloudformation")
    given = {"OperatorsAccount": "999900001111", "OrganizationId": "o-abcdefghij", "ExternalId": "tick-7"}
    api.create_stack_set(
        StackSetName="UsherOperator",
        TemplateBody=(EXAMPLES / "operator-role.yaml").read_text(encoding="utf-8"),
        PermissionModel="SERVICE_MANAGED",
        AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": False},
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    api.create_stack_instances(
        StackSetName="UsherOperator",
        DeploymentTargets={"OrganizationalUnitIds": [organization.unit]},
        Regions=[REGIONS[0]],
    )
    role = client("iam", account=organization.shop).get_role(RoleName="UsherOperator")["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"]["StringEquals"]["sts:ExternalId"] == "tick-7"


def test_the_role_of_the_example_may_what_a_reader_may() -> None:
    (policy,) = example("operator-role.yaml")["Resources"]["Role"]["Properties"]["Policies"]
    given = {action for each in policy["PolicyDocument"]["Statement"] for action in listed(each["Action"])}
    needed = {action for each in reader(Names(stack="StackSet-Usher-*")) for action in listed(each["Action"])}
    assert given == needed


def listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def test_the_bucket_and_the_bus_are_open_to_the_organization_alone() -> None:
    bucket, _ = example("code-bucket.yaml")["Resources"]["Policy"]["Properties"]["PolicyDocument"][
        "Statement"
    ]
    bus = example("operators-bus.yaml")["Resources"]["Policy"]["Properties"]["Statement"]
    for statement, action in ((bucket, "s3:GetObject"), (bus, "events:PutEvents")):
        assert statement["Action"] == action
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "OrganizationId"}}
