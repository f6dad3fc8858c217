"""The stacks are destroyed: what waits is let go first, and no hook stays behind."""

from __future__ import annotations

from tests.e2e.deployed.stack import GROUPS, UPDATED_HOOKS, Stack
from usher.core.model import Outcome, Result


def test_destroying_usher_releases_what_waits_and_takes_its_hooks_away(stack: Stack) -> None:
    held = {}
    for group in ("inlet-sqs", "fleet-1"):
        stack.resize(group, 1)
        held[group] = stack.launched(group)
        stack.reaches(group, held[group], "InService")
        stack.resize(group, 0)
        assert stack.recorded(held[group], "out").is_open
        stack.reaches(group, held[group], "Terminating:Wait")
    stack.account.destroy(hooks=UPDATED_HOOKS)
    for group, instance in held.items():
        stack.goes(group, instance)
        action = stack.closed(instance, "out")
        assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)
        assert action.reason == "Usher is being removed"
    assert [hook for group in GROUPS for hook in stack.hooks(group)] == ["hold"]  # the stranger's own
    assert "Usher" not in stack.stacks()
