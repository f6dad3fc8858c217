"""An account with Usher deployed in it, for all tests of a process, in an order of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.deployed.stack import (
    GROUPS,
    HOOKS,
    INLETS,
    NO_FAILURES,
    OVERDUE,
    TESTED,
    Stack,
    an_action_due,
    an_sqs_event,
    make_group,
    make_slow_function,
)
from tests.e2e.polling import until
from usher_local.account import Setup, open_account
from usher_local.cdk import CdkFailed
from usher_local.emulator import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher_local.account import Account

# A deployment takes its time, so there is one. What changes it comes late, and what takes long begins early.
_ORDER: Final = (
    "test_queues",
    "test_loop",
    "test_update",
    "test_long_waits",
    "test_permissions",
    "test_destroy",
    "test_deploys",
    "test_faults",
    "test_installation",
)

os.environ["CDK_VALIDATION"] = "false"  # read when the CDK's kernel starts: tests/infra checks templates


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In that order, however they are named or given; tests of other folders keep their places."""
    places = [place for place, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ours = sorted((items[place] for place in places), key=lambda item: _ORDER.index(item.path.stem))
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def said() -> list[str]:
    """What simulated Auto Scaling could not deliver."""
    return []


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Iterator[Account]:
    """An account, bootstrapped."""
    logs = tmp_path_factory.mktemp("account")
    setup = Setup(auth=True, logs=logs, say=said.append)
    try:
        with open_account(setup) as opened:
            opened.bootstrap()
            yield opened
    except (Unavailable, CdkFailed) as error:  # it says what is missing, and how to get it
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def stack(account: Account) -> Stack:
    """Usher, deployed; an instance launches in every inlet, and in those groups that take long."""
    for group in GROUPS:
        make_group(account, group)
    make_slow_function(account)
    deployed = Stack.of(account, account.deploy(hooks=HOOKS)["Usher"])
    _begin(deployed)
    return deployed


def _begin(deployed: Stack) -> None:
    """Cold starts first, so that no hook has to wait for them."""
    until(lambda: deployed.tested() == TESTED)
    wake_up = an_sqs_event('{"action_id": "nobody", "version": 1}')
    assert deployed.invoke("Wake", wake_up) == NO_FAILURES
    assert deployed.swept()
    for group in (*INLETS, "patient", *["asking"] * 3):
        deployed.launch(group)
    deployed.records.open(an_action_due(OVERDUE, "in-flight"), None)
