"""Deploys that take hooks out, rename them and bring them back, while instances wait: no wait ends by one.

In an account of its own. Its emulator runs the CDK's stacks in order, but cannot refuse what
CloudFormation refuses of exports in use; no export is taken away here (tests/infra/test_hooks.py).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from local_account.account import Setup, open_account
from local_account.cdk import CdkFailed
from tests.e2e.deployed.fault_proxy import FaultProxy
from tests.e2e.deployed.stack import Stack, make_group
from tests.e2e.polling import until
from usher.core.model import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUPS: Final = ("web", "api", "jobs-1", "own", "busy")
POLICIES: Final = {"patient": {"until": [{"signal": "go"}], "give_up_after": "10h"}}
WITHIN_S: Final = 150


def a_hook(name: str, group: str, transition: str = "launching") -> dict[str, Any]:
    hook = {"name": name, "group": group, "transition": transition, "heartbeat_timeout": "10m"}
    return {**hook, "policy": "patient"}


GATES: Final = [a_hook("gate", group) for group in ("web", "api", "own")]
JOBS: Final = [a_hook("hold", "jobs-*"), a_hook("out", "jobs-*", "terminating")]


class Deploys:
    """An account, and files deployed into it one after the other."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self._folder = folder
        self._number = 0

    def file(self, *hooks: dict[str, Any]) -> str:
        self._number += 1
        path = self._folder / f"hooks-{self._number}.yaml"
        path.write_text(json.dumps({"version": 1, "policies": POLICIES, "hooks": list(hooks)}))
        return str(path)

    def deploy(self, *hooks: dict[str, Any]) -> dict[str, str]:
        return self.stack.account.deploy(hooks=self.file(*hooks))["Usher"]

    def launch(self, group: str) -> str:
        known = self.stack.instances(group)
        self.stack.resize(group, len(known) + 1)
        instance = self.stack.launched(group, but=known)
        self.stack.reaches(group, instance, "Pending:Wait")
        until(lambda: [*self.stack.records.of_instance(instance)], within_s=60)
        return instance

    def ends_well(self, group: str, instance: str, hook: str) -> None:
        """It waits still, and its signal lets it go into service."""
        assert self.stack.instances(group)[instance] == "Pending:Wait"
        self.stack.signal(instance, "go")
        self.stack.reaches(group, instance, "InService")
        action = self.stack.closed(instance, hook)
        assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)
        assert action.reason == "done: signal go says done"

    def gone(self, group: str, *left: str) -> None:
        """Its hooks have gone but for these, by passes of the sweep 15 s apart and more."""
        until(
            lambda: self.stack.swept() and self.stack.hooks(group) == [*left], within_s=WITHIN_S, every_s=16
        )


@pytest.fixture(scope="module")
def deploys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploys]:
    logs = tmp_path_factory.mktemp("deploys")
    with open_account(Setup(auth=True, logs=logs)) as account:
        account.bootstrap()
        for group in GROUPS:
            make_group(account, group)
        folder = tmp_path_factory.mktemp("files")
        first = Deploys(
            Stack(account=account, proxy=FaultProxy(logs / "p"), table="", inbox_url="", inbox_arn=""), folder
        )
        outputs = first.deploy(*GATES, *JOBS)
        stack = Stack(
            account=account,
            proxy=FaultProxy(logs / "proxy.log"),
            table=outputs["TableName"],
            inbox_url=outputs["InboxUrl"],
            inbox_arn=outputs["InboxArn"],
        )
        yield Deploys(stack, folder)


def test_a_deploy_answers_when_the_hooks_that_it_names_stand(deploys: Deploys) -> None:
    assert [deploys.stack.hooks(group) for group in ("web", "api", "own")] == [["gate"]] * 3
    deploys.gone("jobs-1", "hold", "out")


def test_no_deploy_ends_a_wait_and_the_hooks_go_when_nobody_waits(deploys: Deploys) -> None:
    """One of the named hooks goes, one is renamed, one's name becomes a glob; then it comes back."""
    held = {group: deploys.launch(group) for group in ("web", "api", "jobs-1")}
    deploys.deploy(a_hook("new", "api"), a_hook("gate", "own*"), *JOBS)
    assert deploys.stack.hooks("api") == ["gate", "new"]
    assert deploys.stack.hooks("web") == ["gate"]
    late = deploys.launch("web")
    deploys.ends_well("web", held["web"], "gate")
    deploys.ends_well("web", late, "gate")
    deploys.ends_well("api", held["api"], "gate")
    deploys.ends_well("jobs-1", held["jobs-1"], "hold")
    deploys.gone("web")
    deploys.gone("api", "new")
    deploys.gone("own", "gate")


def test_a_deploy_that_fails_rolls_back_and_ends_no_wait(deploys: Deploys) -> None:
    held = deploys.launch("api")
    with pytest.raises(CdkFailed):
        deploys.deploy(a_hook("other", "nowhere"))
    assert deploys.stack.swept()
    deploys.ends_well("api", held, "new")
    assert deploys.stack.hooks("api") == ["new"]


def test_the_last_hook_taken_out_ends_no_wait(deploys: Deploys) -> None:
    held = deploys.launch("jobs-1")
    deploys.deploy()
    deploys.ends_well("jobs-1", held, "hold")
    deploys.gone("jobs-1")
