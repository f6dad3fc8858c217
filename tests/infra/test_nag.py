"""cdk-nag's packs find nothing that is not acknowledged, and nothing is acknowledged in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cdk_nag
import pytest

from tests.infra.stacks import DEPLOYMENTS, app_of, deployment, hook, hooks_data
from usher_cdk.nag_suppressions import acknowledge, acknowledgements

if TYPE_CHECKING:
    import aws_cdk as cdk

    from usher_cdk.configuration import Deployment


def findings(app: cdk.App) -> set[tuple[str, str]]:
    """Rule and resource of each, by the packs AwsSolutions, Serverless and NIST 800-53 R5."""
    packs = (cdk_nag.AwsSolutionsChecks(), cdk_nag.ServerlessChecks(), cdk_nag.NIST80053R5Checks())
    found = [violation for pack in packs for violation in pack.validate_scope(app).violations]
    return {
        (each.rule_name, str(place.construct_path)) for each in found for place in each.violating_resources
    }


@pytest.mark.parametrize("of", DEPLOYMENTS.values(), ids=DEPLOYMENTS.keys())
def test_every_finding_is_acknowledged_with_a_reason_and_none_in_vain(of: Deployment) -> None:
    app = app_of(of)
    given = [(each.rule, each.path) for each in acknowledgements(of)]

    assert findings(app) == set(given)
    assert len(set(given)) == len(given)
    assert all(len(each.reason.split()) >= 8 for each in acknowledgements(of))

    acknowledge(app, of)

    assert findings(app) == set()


def test_groups_of_any_name_can_be_deployed() -> None:
    """cdk-nag reads brackets and blanks in the id of a rule as its own; then it is only not acknowledged."""
    groups = ("a b", "web[", "web(1)", "a}b", "é", "web?")
    of = deployment(hooks_data(*(hook(group=each) for each in groups)))
    app = app_of(of)

    acknowledge(app, of)

    assert {place for _, place in findings(app)} <= {
        f"Usher/{name}/Role/DefaultPolicy/Resource" for name in ("Wake", "Sweep", "Provision")
    }
