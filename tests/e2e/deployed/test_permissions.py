"""Each statement of each role is taken away in turn, and what needs it is refused: so none is superfluous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from botocore.exceptions import ClientError

from tests.e2e.deployed import exercises
from tests.e2e.deployed.roles import Statement, short, statements, taken_away
from tests.e2e.deployed.stack import A_SWEEP_S
from tests.e2e.polling import until
from usher_cdk.wheels import ROOT
from usher_simulator.autoscaling.notifications import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.deployed.stack import Stack

# What is refused without the statement, and what tries it.
TOLD: Final[dict[str, Callable[[Stack], None]]] = {
    "Hook: sqs:SendMessage on InboxQueue": exercises.hook,
    "Hook: sqs:GetQueueUrl on InboxQueue": exercises.hook,
    "Hook: sns:Publish on Topic": exercises.hook,
    "Intake: dynamodb:BatchGetItem on RecordsTable": exercises.intake,
    "Intake: sqs:SendMessage on WakeUpsQueue": exercises.intake,
    "Wake: dynamodb:BatchGetItem on RecordsTable": exercises.wake,
    "Wake: sqs:SendMessage on WakeUpsQueue": exercises.wake,
    "Wake: autoscaling:CompleteLifecycleAction on groups": exercises.wake,
    "Wake: autoscaling:DescribeScalingActivities on *": exercises.wake_adopted,
    "Sweep: dynamodb:BatchGetItem on RecordsTable": exercises.sweep,
    "Sweep: dynamodb:ConditionCheckItem on RecordsTable": exercises.sweep,
    "Sweep: dynamodb:Query on RecordsTable/index/actions": exercises.sweep,
    "Sweep: sqs:SendMessage on WakeUpsQueue": exercises.sweep,
    "Questions: dynamodb:GetItem on RecordsTable": exercises.questions,
    "Questions: sqs:SendMessage on WakeUpsQueue": exercises.questions,
    "Questions: lambda:InvokeFunction on slow-answer": exercises.questions,
    "Questions: ec2:DescribeInstances on *": exercises.questions,
    "Sweep: autoscaling:CompleteLifecycleAction on groups": exercises.sweep,
    "Sweep: autoscaling:DescribeScalingActivities on *": exercises.sweep_adopted,
    "Sweep: autoscaling:DescribeAutoScalingGroups on *": exercises.sweep,
    "Sweep: autoscaling:DescribeWarmPool on *": exercises.sweep_taking_back,
    "Sweep: autoscaling:PutLifecycleHook on groups": exercises.sweep,
    "Sweep: autoscaling:DeleteLifecycleHook on groups": exercises.sweep_taking_back,
    "Provision: dynamodb:BatchGetItem on RecordsTable": exercises.deploy,
    "Provision: dynamodb:ConditionCheckItem on RecordsTable": exercises.deploy,
    "Provision: autoscaling:DescribeScalingActivities on *": exercises.deploy_taking_back,
    "Provision: autoscaling:DescribeAutoScalingGroups on *": exercises.deploy,
    "Provision: autoscaling:DescribeWarmPool on *": exercises.deploy_taking_back,
    "Provision: autoscaling:PutLifecycleHook on groups": exercises.deploy,
    "Provision: autoscaling:DeleteLifecycleHook on groups": exercises.deploy_taking_back,
    "Provision: cloudformation:DescribeStacks on stack": exercises.deploy,
}

# What only the deletion of the stack needs, by which the emulator would delete everything else, too,
# where this is refused: so test_destroy.py looks whether it was used.
OF_THE_RELEASE: Final = (
    "Provision: dynamodb:Query on RecordsTable/index/actions",
    "Provision: sqs:SendMessage on WakeUpsQueue",
    "Provision: autoscaling:CompleteLifecycleAction on groups",
)

# What the account cannot tell: why, and the rule on the template that guards it.
_RULES: Final = "tests/infra/test_untold_statements.py"
_LOG: Final = ("the emulator writes the logs itself", _RULES, "test_a_function_writes_its_own_log")
_TRACE: Final = ("nobody writes traces", _RULES, "test_a_function_sends_its_traces")
_TAKE: Final = (
    "the event source mapping reads without asking",
    _RULES,
    "test_a_function_takes_messages_from_the_queues_of_its_event_sources",
)
_FAILED: Final = (
    "what failed for good is sent without asking",
    _RULES,
    "test_a_function_may_send_what_failed_where_it_is_to_go",
)
_SCHEDULE: Final = (
    "the schedule invokes without its role",
    "tests/infra/test_controller.py",
    "test_the_role_of_the_schedule_may_invoke_the_sweep_alone_for_this_account_alone",
)
_PASS: Final = (
    "simulated Auto Scaling does not ask who passes a role",
    "tests/infra/test_controller.py",
    "test_only_the_hook_role_may_be_passed_and_only_to_auto_scaling",
)
_APPLIED: Final = (
    "the emulator does not say which item a call writes",
    "tests/infra/test_controller.py",
    "test_no_function_may_write_the_file_that_people_apply",
)
_COUNT: Final = (
    "the sweep counts them in every tenth minute only",
    "tests/infra/test_controller.py",
    "test_the_sweep_counts_the_dead_letters_of_every_queue_that_has_them",
)
_FUNCTIONS: Final = ("Intake", "Wake", "Questions", "Sweep", "Provision")
UNTOLD: Final = {
    **{f"{function}: logs:CreateLogStream on *": _LOG for function in _FUNCTIONS},
    **{f"{function}: no dynamodb:PutItem on RecordsTable": _APPLIED for function in _FUNCTIONS},
    **{f"{function}: xray:PutTraceSegments on *": _TRACE for function in _FUNCTIONS if function != "Sweep"},
    "Intake: sqs:ReceiveMessage on InboxQueue": _TAKE,
    "Intake: sqs:ReceiveMessage on EventsQueue": _TAKE,
    "Wake: sqs:ReceiveMessage on WakeUpsQueue": _TAKE,
    "Questions: sqs:ReceiveMessage on QuestionsQueue": _TAKE,
    "Intake: sqs:SendMessage on InboxQueue": _FAILED,
    "Sweep: iam:PassRole on HookRole": _PASS,
    "Sweep: sqs:GetQueueAttributes on InboxDeadLetters": _COUNT,
    "Provision: iam:PassRole on HookRole": _PASS,
    "Schedule: lambda:InvokeFunction on SweepFunction": _SCHEDULE,
    "Schedule: sqs:SendMessage on ScheduleDeadLetters": _SCHEDULE,
}


@pytest.fixture(scope="module")
def found(stack: Stack) -> dict[str, Statement]:
    """The statements as deployed."""
    return statements(stack)


def test_so_far_no_role_was_refused_anything(stack: Stack, said: list[str]) -> None:
    """So the roles suffice, as deployed, for all that the tests before have done."""
    decided = stack.decided()
    assert {short(each.role) for each in decided} >= {
        "Hook",
        "Intake",
        "Wake",
        "Questions",
        "Sweep",
        "Provision",
    }
    assert {(short(each.role), each.action) for each in decided if each.decision != "Allow"} == set()
    assert said == []


def test_every_statement_is_accounted_for(found: dict[str, Statement]) -> None:
    assert sorted([*TOLD, *UNTOLD, *OF_THE_RELEASE]) == sorted(found)


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_guarded_by_a_rule_on_the_template(name: str) -> None:
    _, file, rule = UNTOLD[name]
    assert f"def {rule}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TOLD)
def test_without_its_statement_a_role_is_refused(
    stack: Stack, found: dict[str, Statement], name: str
) -> None:
    statement = found[name]

    def is_refused() -> bool:
        so_far = len(stack.decided())
        TOLD[name](stack)
        refused = [each for each in stack.decided(so_far) if each.decision == "Deny"]
        return any(statement.covers(each) for each in refused)

    with taken_away(stack, statement):
        until(is_refused, within_s=A_SWEEP_S, every_s=5)


@pytest.mark.parametrize("role", ["Wake", "Questions", "Sweep", "Provision"])
def test_a_role_may_not_put_a_hook_where_the_file_asks_for_none(
    stack: Stack, found: dict[str, Statement], role: str
) -> None:
    (name,) = {each.role for each in found.values() if short(each.role) == role}
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    auto_scaling = stack.account.client_as(arn, "autoscaling")
    with pytest.raises(ClientError, match="is not authorized to perform: autoscaling:PutLifecycleHook"):
        auto_scaling.put_lifecycle_hook(
            AutoScalingGroupName="stranger",
            LifecycleHookName="hold",
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        )
    assert stack.hooks("stranger") == []
