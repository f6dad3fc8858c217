"""How the enrolment goes from one applied version of the hooks file to the next, and from a compiled one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.simulation.enrolment_scene import a_file, a_hook
from tests.simulation.hooks_scene import Account
from usher.core.compiled import InEffect
from usher.core.file_versions import NO_VERSION
from usher.core.hook_items import FileInForce
from usher.passes.enrolment import LAST_CALLS_S
from usher.ports.errors import Unavailable
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.one_by_one import OneByOne

if TYPE_CHECKING:
    from usher.core.compiled import Compiled
    from usher.passes.enrolment import Enrolment

GATE: Final = a_hook(name="gate", group="web", transition="launching", policy="hold")
DRAIN: Final = a_hook(name="drain", group="web")
BOTH: Final = a_file(GATE, DRAIN)
ONE: Final = a_file(GATE)


def version(file: Compiled, number: int) -> InEffect:
    return InEffect(file=file, version=number)


def a_pass(account: Account, of: InEffect) -> Enrolment:
    """As the functions make it that have this version in effect."""
    return replace(account.enrolment_of(of.file), file=of.in_force)


def run(account: Account, of: InEffect) -> list[str]:
    before = len(account.recorder.enrolments)
    a_pass(account, of).run()
    return account.told(before)


def is_retiring(account: Account) -> dict[str, bool]:
    return {item.hook: item.is_retiring for item in account.records.enrolled()}


@pytest.fixture
def account() -> Account:
    account = Account()
    account.create("web")
    account.records.put_in_force(NO_VERSION.in_force)
    return account


def test_a_pass_of_the_version_in_effect_puts_it_in_force_and_enrols(account: Account) -> None:
    assert run(account, NO_VERSION) == []
    assert run(account, version(ONE, 1)) == ["switched /", "put web/gate"]
    assert account.records.in_force() == version(ONE, 1).in_force
    assert run(account, version(BOTH, 2)) == ["switched /", "put web/drain"]
    assert sorted(account.live_hooks("web")) == ["drain", "gate"]


def test_a_pass_with_an_older_version_changes_nothing_and_calls_nothing(account: Account) -> None:
    run(account, version(BOTH, 2))
    account.asked.clear()
    assert run(account, version(ONE, 1)) == ["put off /"]
    assert account.asked == []
    assert account.records.in_force() == version(BOTH, 2).in_force


def test_a_pass_that_has_begun_by_the_version_before_stores_nothing_more(account: Account) -> None:
    """The two are on their way at once: the later one puts its file in force in between."""
    run(account, version(ONE, 1))
    older, groups = a_pass(account, version(BOTH, 2)), account.groups

    class Between:
        def __getattr__(self, name: str) -> Any:
            if name == "hooks_of":
                account.records.switch(version(ONE, 3).in_force)
            return getattr(groups, name)

    before = len(account.recorder.enrolments)
    replace(older, groups=Between()).run()
    assert account.told(before) == ["switched /", "put off /"]
    assert sorted(account.live_hooks("web")) == ["gate"]


def test_what_the_version_before_was_about_to_put_is_waited_for(account: Account) -> None:
    began_at = account.clock()
    run(account, version(ONE, 1))
    assert (account.clock() - began_at).total_seconds() >= LAST_CALLS_S
    again_at = account.clock()
    assert run(account, version(ONE, 2)) == ["switched /"], (
        "a rollback to the very same file waits for nothing"
    )
    assert (account.clock() - again_at).total_seconds() < LAST_CALLS_S


def test_a_switch_whose_answer_was_lost_is_waited_for_all_the_same(account: Account) -> None:
    """A repeated store is refused by the first one: the switch is this pass's own all the same."""
    run(account, version(ONE, 1))
    began_at, a_try = account.clock(), a_pass(account, version(BOTH, 2))
    records = account.records

    class AnswerLost:
        def __getattr__(self, name: str) -> Any:
            return getattr(records, name)

        def switch(self, file: FileInForce) -> bool:
            return records.switch(file) and records.switch(file)

    replace(a_try, records=AnswerLost()).run()
    assert (account.clock() - began_at).total_seconds() >= LAST_CALLS_S


@pytest.mark.parametrize(
    "counts",
    [FileInForce(digest="compiled in"), replace(NO_VERSION.in_force, is_closing=True)],
    ids=["compiled in", "Usher goes"],
)
def test_no_pass_puts_a_version_in_force_over_what_a_deploy_says(
    account: Account, counts: FileInForce
) -> None:
    account.records.put_in_force(counts)
    assert run(account, version(ONE, 1)) == ["put off /"]
    assert (account.records.in_force(), account.live_hooks("web")) == (counts, {})


def test_a_rollback_retires_what_the_version_before_had_not(account: Account) -> None:
    run(account, version(ONE, 1))
    run(account, version(BOTH, 2))
    run(account, version(ONE, 3))
    assert is_retiring(account) == {"drain": True, "gate": False}


# Where it is not certain which version is in effect


def test_intake_holds_what_waits_and_opens_nothing(account: Account) -> None:
    message = {
        "LifecycleHookName": "gate",
        "AutoScalingGroupName": "web",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "EC2InstanceId": "i-0123456789abcdef0",
        "LifecycleActionToken": "11111111-2222-4333-8444-555555555555",
        "Time": account.clock().isoformat(),
    }
    sent: list[Any] = []

    class WakeUps(OneByOne):
        def send(self, *wake_up: Any) -> None:
            sent.append(wake_up)

    account.of_file(ONE)
    in_doubt = replace(account.intake, is_certain=False, wake_ups=WakeUps())
    with pytest.raises(Unavailable, match="not certain which version of the hooks file is in effect"):
        in_doubt.take(json.dumps(message), "sqs", is_first=True)
    assert len(sent) == 2, "as where the table is away"
    assert account.store.of_token(message["LifecycleActionToken"]) is None
    account.intake.take(json.dumps(message), "sqs")
    assert account.store.of_token(message["LifecycleActionToken"]) is not None


# Deploys


def deployed(account: Account, in_effect: InEffect, kind: str = "Update") -> tuple[str, str]:
    """What CloudFormation is answered where the stack says that versions are applied."""
    answer = account.provision(kind, properties={"HooksFrom": "table"}, in_effect=lambda: in_effect)
    return answer["Status"], answer["Reason"]


def test_a_new_deployment_has_no_version_yet_and_says_what_to_do() -> None:
    account = Account()
    account.records = MemoryEnrolledHooks(account.clock)
    status, reason = deployed(account, NO_VERSION, "Create")
    assert (status, reason) == (
        "SUCCESS",
        "no hooks file is applied yet: usher apply hooks.yaml --reason ...",
    )
    assert account.records.in_force() == NO_VERSION.in_force


def test_a_later_deploy_changes_nothing_of_what_is_in_force(account: Account) -> None:
    run(account, version(ONE, 1))
    assert deployed(account, version(BOTH, 2)) == (
        "SUCCESS",
        "version 2 of the hooks file is in effect; the sweep puts its hooks",
    )
    assert account.records.in_force() == version(ONE, 1).in_force, "the sweep goes on to the next"


def test_from_a_compiled_file_to_the_same_as_a_version_no_hook_is_touched() -> None:
    account = Account()
    account.create("web")
    account.provision("Create", BOTH)
    account.asked.clear()
    assert deployed(account, version(BOTH, 1))[0] == "SUCCESS"
    assert account.records.in_force() == version(BOTH, 1).in_force
    assert run(account, version(BOTH, 1)) == []
    assert "PutLifecycleHook" not in account.asked
    assert "DeleteLifecycleHook" not in account.asked


def test_from_a_compiled_file_to_no_version_at_all_fails_in_words_and_retires_nothing() -> None:
    account = Account()
    account.create("web")
    account.provision("Create", BOTH)
    before = account.records.in_force()
    status, reason = deployed(account, NO_VERSION)
    assert status == "FAILED"
    assert "usher apply hooks.yaml --ahead" in reason
    assert account.records.in_force() == before
    run(account, NO_VERSION)
    assert is_retiring(account) == {"drain": False, "gate": False}


def test_a_rollback_to_versions_fails_nothing_though_none_is_applied() -> None:
    account = Account()
    account.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    assert deployed(account, NO_VERSION)[0] == "SUCCESS"
    assert account.records.in_force() == NO_VERSION.in_force


def test_back_to_a_compiled_file_its_passes_count_and_those_of_versions_do_not(account: Account) -> None:
    run(account, version(BOTH, 1))
    account.status = "UPDATE_IN_PROGRESS"
    account.provision("Update", ONE)
    assert account.records.in_force() == FileInForce(digest=ONE.digest)
    assert run(account, version(BOTH, 2)) == ["put off /"]


def test_where_usher_goes_no_deploy_lets_versions_count(account: Account) -> None:
    account.records.put_in_force(replace(NO_VERSION.in_force, is_closing=True))
    status, reason = deployed(account, version(ONE, 1))
    assert (status, reason) == ("FAILED", "nothing is put: Usher is being deleted")
