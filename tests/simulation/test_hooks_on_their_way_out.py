"""Hooks that leave the file, and come back: no wait ends by it, and the hooks go when nobody waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.simulation.enrolment_scene import INBOX, ROLE, Ended, a_file, a_hook
from tests.simulation.hooks_scene import CALLED, Account
from usher.core.action import Outcome
from usher.core.hook_items import FileInForce, HookState
from usher.passes.retirement import SENT_WITHIN
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher_simulator.autoscaling.query_protocol import Request

GATE: Final = a_hook(name="gate", group="web-*", transition="launching", policy="hold")
DRAIN: Final = a_hook(name="drain", group="web-*", policy="hold", default_result="CONTINUE")
ENDED_WELL: Final = {(CALLED, "CONTINUE")}


def tagged(account: Account, group: str, *tags: tuple[str, str]) -> None:
    settings = account.account.fleet.groups[group].settings
    settings["Tags"] = [{"Key": key, "Value": value} for key, value in tags]


def enrolled(*hooks: dict[str, Any], groups: Sequence[str] = ("web-1",)) -> Account:
    """Everything stands, and has stood for an hour."""
    account = Account(*hooks)
    account.create(*groups)
    account.run_passes(3)
    account.live(600)
    account.inbox.clear()
    return account


def launched(account: Account, group: str, size: int = 1) -> list[str]:
    """Instances that wait."""
    before = account.instances(group)
    account.resize(group, size)
    account.live(30)
    return [each for each in account.instances(group) if each not in before]


# A hook leaves the file


def test_what_waits_in_a_hook_that_leaves_the_file_is_finished_under_its_policy() -> None:
    account = enrolled(GATE)
    (early,) = launched(account, "web-1")
    account.update()
    account.resize("web-1", 2)
    account.live(20)
    (late,) = [each for each in account.instances("web-1") if each != early]
    assert [len(account.actions(each)) for each in (early, late)] == [1, 1], "its notice is taken in still"
    assert account.run_passes(20).count("removed web-1/gate") == 0
    assert [account.state(each) for each in (early, late)] == ["Pending:Wait"] * 2
    account.signal(early, late)
    account.live(10)
    assert account.ends(early, late) == {(CALLED, "CONTINUE"): 2}
    assert [action.reason for action in account.actions(late)] == ["done: signal go says done"]
    account.run_passes(3)
    assert account.live_hooks("web-1") == {}


def test_what_begins_a_minute_after_is_let_through_at_first_sight() -> None:
    account = enrolled(GATE)
    (early,) = launched(account, "web-1")
    account.update()
    account.live(61)
    (late,) = launched(account, "web-1", 2)
    assert account.state(late) == "InService"
    assert account.ends(late) == {(CALLED, "CONTINUE"): 1}
    (action,) = account.actions(late)
    assert (action.reason, action.let_through) == ("its hook is retiring", True)
    assert account.state(early) == "Pending:Wait"


def test_a_policy_that_only_observes_lets_nothing_through() -> None:
    account = enrolled()
    observed = {**GATE, "policy": "watch"}
    account.update(observed)
    account.run_passes(2)
    account.update()
    account.live(61)
    (late,) = launched(account, "web-1")
    assert account.state(late) == "Pending:Wait"
    (action,) = account.actions(late)
    assert not action.let_through


@pytest.mark.parametrize("hook", [GATE, DRAIN], ids=["launching", "terminating"])
def test_up_to_twenty_quiet_groups_are_rid_of_their_hooks_within_three_passes(hook: dict[str, Any]) -> None:
    names = [f"web-{number:02}" for number in range(20)]
    account = enrolled(hook, groups=names)
    account.update()
    account.run_passes(3)
    assert [account.live_hooks(name) for name in names] == [{}] * 20
    assert account.records.enrolled() == []


def test_a_warm_pool_counts_too() -> None:
    account = enrolled(DRAIN)
    account.client.put_warm_pool(
        AutoScalingGroupName="web-1", MinSize=1, InstanceReusePolicy={"ReuseOnScaleIn": True}
    )
    account.live(60)
    account.update()
    account.client.delete_warm_pool(AutoScalingGroupName="web-1", ForceDelete=True)
    account.live(30)
    waiting = [each for each in account.instances("web-1") if account.state(each).endswith(":Wait")]
    assert waiting
    account.run_passes(4)
    assert "drain" in account.live_hooks("web-1")
    assert account.ends(*waiting)["open", None] == len(waiting)


def test_a_hook_that_never_rests_stays_and_holds_nobody() -> None:
    account = enrolled(GATE)
    launched(account, "web-1")
    account.update()
    account.live(61)
    held = account.instances("web-1")
    for size in (2, 3, 4):
        (late,) = launched(account, "web-1", size)
        assert account.state(late) == "InService"
        assert "kept web-1/gate" in account.run_passes(1)
    assert [account.state(each) for each in held] == ["Pending:Wait"]


def test_a_lost_notice_is_adopted_under_the_terms_of_a_hook_that_left_the_file() -> None:
    account = enrolled(GATE)
    account.update()
    account.account.outside.targets[INBOX] = lambda _: None
    account.resize("web-1", 1)
    account.live(20)
    (early,) = account.instances("web-1")
    account.run_passes(2)
    assert account.state(early) == "Pending:Wait"
    (action,) = account.actions(early)
    assert (action.token, action.policy.name, action.let_through) == (None, "hold", False)
    account.resize("web-1", 2)
    account.live(20)
    (late,) = [each for each in account.instances("web-1") if each != early]
    account.run_passes(2)
    assert account.state(late) == "InService"
    account.signal(early)
    account.live(10)
    assert account.ends(early, late).keys() == ENDED_WELL


# Renames, narrower globs, groups of one's own, tags


def test_a_launch_that_enters_under_the_old_name_during_a_rename_is_finished_under_its_policy() -> None:
    """The new name stands only with the sweep, which comes two minutes later."""
    account = enrolled(GATE)
    account.update({**GATE, "name": "new"})
    account.live(70)
    (during,) = launched(account, "web-1")
    assert (account.state(during), account.actions(during)[0].hook.name) == ("Pending:Wait", "gate")
    account.run_passes(2)
    assert sorted(account.live_hooks("web-1")) == ["gate", "new"]
    assert account.state(during) == "Pending:Wait"
    account.signal(during)
    account.live(10)
    account.run_passes(3)
    assert sorted(account.live_hooks("web-1")) == ["new"]
    (after,) = launched(account, "web-1", 2)
    assert [action.hook.name for action in account.actions(after)] == ["new"]
    account.signal(after)
    account.live(10)
    assert account.ends(during, after).keys() == ENDED_WELL


def test_what_enters_both_names_is_held_by_the_new_one_alone() -> None:
    account = enrolled(GATE)
    account.update({**GATE, "name": "new"})
    account.run_passes(1)
    account.live(70)
    (both,) = launched(account, "web-1")
    by_hook = {action.hook.name: action for action in account.actions(both)}
    assert by_hook["gate"].outcome is Outcome.COMPLETED
    assert by_hook["new"].is_open
    assert account.state(both) == "Pending:Wait"


def test_a_replacement_that_someone_removes_is_put_again_before_anything_goes() -> None:
    account = enrolled(GATE)
    account.update({**GATE, "name": "new"})
    denied = ApiError("AccessDenied", "no", 403)
    account.faults = [lambda request: denied if request.operation == "PutLifecycleHook" else None]
    account.run_passes(5)
    assert sorted(account.live_hooks("web-1")) == ["gate"], "without a hook in its place it does not go"
    account.faults = []
    account.run_passes(3)
    assert sorted(account.live_hooks("web-1")) == ["new"]


def test_a_glob_that_becomes_narrower_lets_go_of_the_others_only() -> None:
    account = enrolled(GATE, groups=("web-1", "web-api"))
    first = launched(account, "web-1") + launched(account, "web-api")
    account.update({**GATE, "group": "web-a*"})
    account.run_passes(3)
    assert [account.state(each) for each in first] == ["Pending:Wait"] * 2
    account.signal(*first)
    account.live(10)
    account.run_passes(3)
    assert (account.live_hooks("web-1"), list(account.live_hooks("web-api"))) == ({}, ["gate"])
    assert account.ends(*first).keys() == ENDED_WELL


def test_a_group_that_comes_to_hold_its_own_hooks_keeps_them_and_what_waits() -> None:
    named = {**GATE, "group": "web-1"}
    account = enrolled(named)
    (waiting,) = launched(account, "web-1")
    account.update(named, own_groups=["web-1"])
    account.run_passes(3)
    assert list(account.live_hooks("web-1")) == ["gate"]
    assert account.records.enrolled() == []
    account.signal(waiting)
    account.live(10)
    assert account.ends(waiting).keys() == ENDED_WELL


def test_a_tag_that_goes_while_instances_wait_ends_no_wait() -> None:
    account = Account({**GATE, "group": {"tags": {"team": "web"}}})
    account.create("web-1", Tags=[{"Key": "team", "Value": "web"}])
    account.run_passes(2)
    (early,) = launched(account, "web-1")
    tagged(account, "web-1")
    account.run_passes(2)
    (during,) = launched(account, "web-1", 2)
    assert account.state(during) == "Pending:Wait"
    account.run_passes(3)
    (late,) = launched(account, "web-1", 3)
    assert account.state(late) == "InService"
    account.signal(early, during)
    account.live(10)
    account.run_passes(3)
    assert account.live_hooks("web-1") == {}
    assert account.ends(early, during, late).keys() == ENDED_WELL


def test_a_hook_of_that_name_on_a_group_without_the_tags_is_no_business_of_ours() -> None:
    """Promise 5, for tags."""
    account = enrolled({**GATE, "group": {"tags": {"team": "web"}}})
    account.put_by_hand(
        "web-1",
        "gate",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        NotificationTargetARN=INBOX,
        RoleARN=ROLE,
    )
    account.live(5)
    (theirs,) = launched(account, "web-1")
    account.run_passes(3)
    assert account.actions(theirs) == []
    assert account.ends(theirs) == {("open", None): 1}


# Brought back


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_a_hook_that_comes_back_before_it_went_stays_and_holds(passes: int) -> None:
    account = enrolled(GATE)
    (early,) = launched(account, "web-1")
    account.update()
    account.run_passes(passes)
    account.live(61)
    account.update(GATE)
    account.run_passes(1)
    (late,) = launched(account, "web-1", 2)
    assert [account.state(each) for each in (early, late)] == ["Pending:Wait"] * 2
    (item,) = account.records.enrolled()
    assert (item.state, item.quiet_at, item.let_through_from) == (HookState.WANTED, None, None)
    account.signal(early, late)
    account.live(10)
    assert account.ends(early, late).keys() == ENDED_WELL
    account.run_passes(5)
    assert list(account.live_hooks("web-1")) == ["gate"]


def test_nobody_takes_a_hook_back_while_its_delete_may_be_on_the_way() -> None:
    """A delete that was sent and not answered may be carried out late."""
    account = enrolled(GATE)
    account.update()
    account.run_passes(1)
    account.crash(after=False)
    deleting_at = account.record().deleting_at
    assert deleting_at is not None
    account.update(GATE)
    account.enrolment.run()
    assert account.record().state is HookState.RETIRING, "not yet"
    account.client.delete_lifecycle_hook(AutoScalingGroupName="web-1", LifecycleHookName="gate")
    account.run_passes(2)
    assert list(account.live_hooks("web-1")) == ["gate"]


# Crashes and races


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_crash_around_the_deletion_costs_a_repetition(*, after: bool) -> None:
    account = enrolled(GATE)
    account.update()
    account.run_passes(1)
    account.crash(after=after)
    told = account.run_passes(2)
    assert ("forgot web-1/gate" if after else "removed web-1/gate") in told
    assert (account.live_hooks("web-1"), account.records.enrolled()) == ({}, [])


@pytest.mark.parametrize("store", range(1, 7))
@pytest.mark.parametrize("applied", [False, True], ids=["not stored", "stored"])
def test_a_crash_at_any_store_of_a_rename_loses_nothing(store: int, *, applied: bool) -> None:
    """Of the items: retiring, the put twice, let through, the first read, the announcement."""
    account = enrolled(GATE)
    (waiting,) = launched(account, "web-1")
    account.update({**GATE, "name": "new"})
    account.signal(waiting)
    cut = CutOff(account, store, applied=applied)
    for _ in range(4):
        account.live(120)
        try:
            cut.enrolment.run()
        except Ended:
            break
    account.run_passes(4)
    assert sorted(account.live_hooks("web-1")) == ["new"]
    assert [item.hook for item in account.records.enrolled()] == ["new"]
    assert account.ends(waiting).keys() == ENDED_WELL


class CutOff:
    """The enrolment of an account, which is cut off at the store of that number."""

    def __init__(self, account: Account, number: int, *, applied: bool) -> None:
        left, records = [number], account.enrolment.records
        keep = records.keep

        def counted(record: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not applied:
                raise Ended
            kept = keep(record)
            if left[0] == 0:
                raise Ended
            return kept

        records.keep = counted  # type: ignore[method-assign]
        self.enrolment = replace(account.enrolment, records=records)


def during(account: Account, operation: str, number: int, do: Callable[[], None]) -> None:
    """Do something once, right before the simulated service answers a call."""
    left = [number]

    def fault(request: Request) -> None:
        if request.operation == operation:
            left[0] -= 1
            if left[0] == 0:
                do()

    account.faults = [fault]


def test_an_instance_that_is_on_its_way_between_the_looks_keeps_its_hook() -> None:
    account = enrolled(GATE)
    account.update()
    account.run_passes(1)
    account.live(118)
    account.resize("web-1", 1)
    account.clock.run_until(account.clock() + timedelta(seconds=2))  # no notice is taken in yet
    assert all(account.state(each).startswith("Pending") for each in account.instances("web-1"))
    before = len(account.recorder.enrolments)
    account.enrolment.run()
    assert account.told(before) == ["kept web-1/gate"]
    account.live(30)
    assert account.ends(*account.instances("web-1")).keys() == ENDED_WELL
    account.run_passes(3)
    assert account.live_hooks("web-1") == {}


@pytest.mark.parametrize("read", [1, 2, 3])
def test_an_instance_that_comes_during_the_pass_that_deletes_is_not_abandoned(read: int) -> None:
    """Right before the list of groups, the hooks of its group, the second look, and the delete."""
    account = enrolled(GATE)
    account.update()
    account.run_passes(1)
    account.live(120)
    operations = ["DescribeAutoScalingGroups", "DescribeLifecycleHooks", "DeleteLifecycleHook"]
    during(account, operations[read - 1], 1, lambda: account.resize("web-1", 1))
    account.enrolment.run()
    account.live(60)
    (comes,) = account.instances("web-1")
    assert account.state(comes) == "InService"
    assert account.ends(comes).keys() <= ENDED_WELL


def test_a_notice_that_is_quicker_than_the_live_state_keeps_the_hook() -> None:
    account = enrolled(GATE)
    launched(account, "web-1")
    account.update()
    account.account.service.lag = lambda: timedelta(minutes=30)
    assert account.run_passes(3).count("removed web-1/gate") == 0


def test_a_delete_that_would_come_late_is_not_sent() -> None:
    account = enrolled(GATE)
    account.update()
    account.run_passes(1)
    slow = SENT_WITHIN + timedelta(seconds=1)

    def delay(request: Request) -> None:
        if request.parameters.get("AutoScalingGroupNames"):
            account.clock.run_until(account.clock() + slow)

    account.faults = [delay]
    assert "kept web-1/gate" in account.run_passes(2)
    assert "gate" in account.live_hooks("web-1")
    account.faults = []
    account.run_passes(3)
    assert account.live_hooks("web-1") == {}


def test_two_passes_at_once_delete_once() -> None:
    account = enrolled(GATE)
    account.update()
    account.run_passes(1)
    account.live(120)
    during(account, "DescribeLifecycleHooks", 1, account.enrolment.run)
    account.enrolment.run()
    assert account.asked.count("DeleteLifecycleHook") == 1
    assert account.live_hooks("web-1") == {}


def test_a_deploy_during_a_pass_stops_it_before_its_next_item_or_put() -> None:
    account = enrolled(GATE, groups=("web-1", "web-2"))
    account.create("web-3", "web-4")
    during(account, "PutLifecycleHook", 1, lambda: account.records.put_in_force(FileInForce(digest="next")))
    told = account.run_passes(1)
    assert told[-1] == "put off /"
    assert account.asked.count("PutLifecycleHook") == 3, "two before, and the one that was under way"


def test_two_sweeps_of_two_files_side_by_side_do_not_work_against_each_other() -> None:
    account = enrolled(GATE)
    old = account.enrolment
    account.update({**GATE, "name": "new"})
    new = account.enrolment
    put = []
    for _ in range(6):
        for each in (old, new):
            account.enrolment = each
            put += [told for told in account.run_passes(1) if told.startswith(("put", "taken"))]
    assert put.count("put web-1/new") == 1
    assert not [told for told in put if told.endswith("gate")]
    assert sorted(account.live_hooks("web-1")) == ["new"]


def test_a_sweep_with_a_former_file_changes_nothing_at_any_call_of_the_one_whose_file_counts() -> None:
    """The former one wants a hook that goes now, and would take out the one that comes."""
    account = enrolled(GATE, DRAIN, groups=("web-1", "web-2"))
    (early,) = launched(account, "web-1")
    former = account.enrolment
    account.update({**GATE, "name": "new"})
    runs: list[tuple[list[str], bool]] = []

    def former_runs(_: Request) -> None:
        account.faults, faults = [], account.faults
        before, asked = account.records.enrolled(), len(account.asked)
        former.run()
        runs.append((account.asked[asked:], account.records.enrolled() == before))
        account.faults = faults

    account.faults = [former_runs]
    account.run_passes(3)
    account.signal(early)
    account.run_passes(3)

    assert len(runs) > 20
    assert [run for run in runs if run != ([], True)] == []
    assert [list(account.live_hooks(group)) for group in ("web-1", "web-2")] == [["new"], ["new"]]
    assert account.ends(early).keys() == ENDED_WELL


def test_a_pass_before_the_first_deploy_has_put_its_file_in_force_does_nothing() -> None:
    account = Account()
    account.create("web-1")
    account.enrolment = account.enrolment_of(a_file(GATE))
    account.asked.clear()
    assert account.run_passes(1) == ["put off /"]
    assert "DescribeLifecycleHooks" not in account.asked
