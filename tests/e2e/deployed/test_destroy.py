"""The stacks are destroyed: what waits is let go first, and no hook stays behind but a stranger's."""

from __future__ import annotations

from datetime import timedelta

from tests.e2e.deployed.roles import Statement, statements
from tests.e2e.deployed.stack import GROUPS, UPDATED_HOOKS, Decided, Stack, an_action_due
from tests.e2e.deployed.test_permissions import OF_THE_RELEASE
from usher.core.action import Outcome, Result
from usher.wiring.machine import new_id, now


def test_destroying_usher_releases_what_waits_and_takes_its_hooks_away(stack: Stack) -> None:
    """It uses what only it may use, and is refused nothing."""
    stack.auto_scaling.put_lifecycle_hook(
        AutoScalingGroupName="stranger",
        LifecycleHookName="hold",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
    )
    held = {}
    for group in ("inlet-sqs", "fleet-1"):
        stack.resize(group, 1)
        held[group] = stack.launched(group)
        stack.reaches(group, held[group], "InService")
        stack.resize(group, 0)
        assert stack.recorded(held[group], "out").is_open
        stack.reaches(group, held[group], "Terminating:Wait")
    # Of no instance, so it is evaluated again. No sweep comes first, whose wake-ups would do for that.
    stack.stops_sweeping()
    later = now() + timedelta(minutes=10)
    stack.records.open(an_action_due(new_id(), "in-flight", age_s=20, evaluate_at=later), None)
    deployed, so_far = statements(stack), len(stack.decided())
    stack.account.destroy(hooks=UPDATED_HOOKS)
    for group, instance in held.items():
        stack.goes(group, instance)
        action = stack.closed(instance, "out")
        assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)
        assert action.reason == "Usher is being deleted"
    assert [hook for group in GROUPS for hook in stack.hooks(group)] == ["hold"]  # the stranger's own
    assert "Usher" not in stack.stacks()
    decided = [each for each in stack.decided(so_far) if each.role == deployed[OF_THE_RELEASE[0]].role]
    assert {each.action for each in decided if each.decision != "Allow"} == set()
    assert {name: _used(deployed, name, decided) for name in OF_THE_RELEASE} == dict.fromkeys(
        OF_THE_RELEASE, True
    )


def _used(deployed: dict[str, Statement], name: str, decided: list[Decided]) -> bool:
    """Whether a statement allowed something that no other one does."""
    others = [each for other, each in deployed.items() if other != name]
    return any(
        deployed[name].covers(each) and not any(other.covers(each) for other in others) for each in decided
    )
