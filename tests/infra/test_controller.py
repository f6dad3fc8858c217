"""The template of the controller, and that it agrees with the code that runs on it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

from tests.infra.stacks import (
    DEPLOYMENTS,
    OTHER_SETTINGS,
    actions,
    deployment,
    hook,
    hooks_data,
    listed,
    resources,
    statements,
    template_of,
    templates,
)
from usher.aws import table


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return templates("default")["Usher"]


def raw(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in template["Resources"].values() if each["Type"] == kind]


def test_the_table_has_the_keys_that_the_records_are_written_with(template: dict[str, Any]) -> None:
    (made,) = resources(template, "AWS::DynamoDB::Table").values()
    wanted = table.definition("records")
    assert made["KeySchema"] == wanted["KeySchema"]
    by_name = {each["AttributeName"]: each for each in made["AttributeDefinitions"]}
    assert by_name == {each["AttributeName"]: each for each in wanted["AttributeDefinitions"]}
    for index, wanted_index in zip(
        made["GlobalSecondaryIndexes"], wanted["GlobalSecondaryIndexes"], strict=True
    ):
        assert (index["IndexName"], index["KeySchema"]) == (
            wanted_index["IndexName"],
            wanted_index["KeySchema"],
        )
        assert index["Projection"]["NonKeyAttributes"] == list(wanted_index["Projection"]["NonKeyAttributes"])
    assert made["TimeToLiveSpecification"] == {"AttributeName": table.TTL_ATTRIBUTE, "Enabled": True}


def test_the_ids_of_what_holds_data_never_change(template: dict[str, Any]) -> None:
    """Another logical id is another table, and an empty one."""
    kinds = ("AWS::DynamoDB::Table", "AWS::SQS::Queue")
    ids = {name for kind in kinds for name in resources(template, kind)}
    assert ids == {
        "RecordsTableC9B7A30B",
        "EventsDeadLetters8A90034E",
        "EventsQueue7396B467",
        "InboxDeadLettersFE4330BC",
        "InboxQueue96F60793",
        "ScheduleDeadLetters4CA0E1C2",
        "WakeUpsDeadLetters603E8A91",
        "WakeUpsQueue2CC32346",
        "QuestionsQueueC060FC59",
        "QuestionsQueueDeadLettersE853E360",
    }


def test_what_holds_data_outlives_its_stack_and_only_hints_go(template: dict[str, Any]) -> None:
    """Notifications not yet read and dead letters stay; a wake-up is a hint, the record is the truth.

    The table can be put back to any second besides.
    """
    (made,) = resources(template, "AWS::DynamoDB::Table").values()
    assert made["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    kinds = ("AWS::DynamoDB::Table", "AWS::SQS::Queue")
    found = template["Resources"].items()
    fates = {
        name: (each["DeletionPolicy"], each["UpdateReplacePolicy"])
        for name, each in found
        if each["Type"] in kinds
    }
    hints = ("WakeUpsQueue2CC32346", "QuestionsQueueC060FC59")
    assert [fates.pop(name) for name in hints] == [("Delete", "Delete")] * 2
    assert fates.pop("EventsQueue7396B467") == ("Delete", "Delete")
    assert len(fates) == 7
    assert set(fates.values()) == {("Retain", "Retain")}


def test_every_queue_has_dead_letters_or_is_for_them_and_redrive_outlasts_an_outage(
    template: dict[str, Any],
) -> None:
    queues = resources(template, "AWS::SQS::Queue")
    with_redrive = {name: queue for name, queue in queues.items() if "RedrivePolicy" in queue}
    assert {name for name in queues if "DeadLetters" not in name} == set(with_redrive)
    for queue in with_redrive.values():
        receives = queue["RedrivePolicy"]["maxReceiveCount"]
        assert receives * queue["VisibilityTimeout"] >= 6 * 3600
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())


def test_a_message_stays_invisible_for_a_multiple_of_the_functions_timeout(template: dict[str, Any]) -> None:
    """Six, as AWS advises; of intake three, so that after an outage a signal is heard within a minute."""
    functions = resources(template, "AWS::Lambda::Function")
    queues = resources(template, "AWS::SQS::Queue")
    mappings = resources(template, "AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 4
    for mapping in mappings:
        name = mapping["FunctionName"]["Ref"]
        timeout = functions[name]["Timeout"]
        visibility = queues[mapping["EventSourceArn"]["Fn::GetAtt"][0]]["VisibilityTimeout"]
        assert visibility == (3 if name.startswith("Intake") else 6) * timeout
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_only_what_sends_to_its_own_queue_may_feed_itself(template: dict[str, Any]) -> None:
    functions = resources(template, "AWS::Lambda::Function").values()
    loops = {each["Handler"]: each["RecursiveLoop"] for each in functions}
    assert [loops.pop(f"{name}.handler") for name in ("wake", "questions")] == ["Allow", "Allow"]
    assert set(loops.values()) == {"Terminate"}


def test_every_function_but_the_sweep_is_traced_and_its_log_is_kept_for_a_time(
    template: dict[str, Any],
) -> None:
    """The sweep runs each minute: of so few runs X-Ray takes each, and each is paid for."""
    functions = resources(template, "AWS::Lambda::Function").values()
    groups = resources(template, "AWS::Logs::LogGroup")
    for each in functions:
        traced = each["Handler"] != "sweep.handler"
        assert each.get("TracingConfig") == ({"Mode": "Active"} if traced else None)
        assert (each["Runtime"], each["Architectures"]) == ("python3.13", ["arm64"])
        assert groups[each["LoggingConfig"]["LogGroup"]["Ref"]]["RetentionInDays"] == 30


# Where IAM offers no resource (aws-facts 4, and X-Ray's own reference).
WITHOUT_RESOURCE = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLifecycleHooks",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeWarmPool",
    "ec2:DescribeInstances",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}


def test_a_star_stands_only_where_iam_offers_no_resource(template: dict[str, Any]) -> None:
    for statement in statements(template):
        if "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= WITHOUT_RESOURCE
        assert not any("*" in action for action in listed(statement["Action"]))


def groups_of(template: dict[str, Any], action: str) -> set[str]:
    found = set()
    for statement in statements(template):
        if action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                found.add(json.dumps(resource).rsplit("autoScalingGroupName/", 1)[1].rstrip('"]}'))
    return found


def test_what_is_open_or_on_its_way_out_outlasts_the_file(template: dict[str, Any]) -> None:
    """A deploy that took these rights away would leave open actions to their default results."""
    for action in ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat", "DeleteLifecycleHook"):
        assert groups_of(template, f"autoscaling:{action}") == {"*"}


def test_hooks_are_put_on_configured_groups_only(template: dict[str, Any]) -> None:
    assert groups_of(template, "autoscaling:PutLifecycleHook") == {"web-prod", "jobs-*"}
    assert {name.split("Role")[0] for name in roles_that_may(template, "autoscaling:PutLifecycleHook")} == {
        "Sweep",
        "Provision",
    }


def test_groups_by_tags_are_granted_by_their_tags() -> None:
    template = templates("all four ways in")["Usher"]
    granted = [
        each for each in statements(template) if "autoscaling:PutLifecycleHook" in listed(each["Action"])
    ]
    on_any_group = [each for each in granted if "autoScalingGroupName/*" in json.dumps(each["Resource"])]
    assert len(on_any_group) == 2
    for each in on_any_group:
        assert each["Condition"] == {"StringEquals": {"aws:ResourceTag/team": "web"}}


def test_only_the_hook_role_may_be_passed_and_only_to_auto_scaling(template: dict[str, Any]) -> None:
    for passing in [each for each in statements(template) if each["Action"] == "iam:PassRole"]:
        assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "autoscaling.amazonaws.com"}}
        assert passing["Resource"]["Fn::GetAtt"][0].startswith("HookRole")


def test_auto_scaling_may_send_to_the_inbox_for_this_account_only(template: dict[str, Any]) -> None:
    roles = resources(template, "AWS::IAM::Role")
    (role,) = [each for name, each in roles.items() if name.startswith("HookRole")]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "autoscaling.amazonaws.com"}
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}
    may = actions(statements(template, "HookRole"))
    assert may == {"sqs:SendMessage", "sqs:GetQueueUrl", "sns:Publish"}


def test_one_rule_for_each_kind_of_event_brings_those_of_this_account_and_region_to_a_queue_of_their_own(
    template: dict[str, Any],
) -> None:
    rules = resources(template, "AWS::Events::Rule").values()
    here = {"account": [{"Ref": "AWS::AccountId"}], "region": [{"Ref": "AWS::Region"}]}
    assert all(each["EventPattern"].items() >= here.items() for each in rules)
    kinds = {kind for each in rules for kind in each["EventPattern"]["detail-type"]}
    assert kinds == {
        "EC2 Instance-launch Lifecycle Action",
        "EC2 Instance-terminate Lifecycle Action",
        "EC2 Instance Launch Successful",
        "EC2 Instance Launch Unsuccessful",
        "EC2 Instance Terminate Successful",
        "EC2 Instance Terminate Unsuccessful",
        "EC2 Instance State-change Notification",
        "Usher Signal",
    }
    (ends,) = [each["EventPattern"]["detail"] for each in rules if "detail" in each["EventPattern"]]
    assert ends == {"state": ["shutting-down", "stopped", "terminated"]}
    targets = [target for each in rules for target in each["Targets"]]
    assert all(target["Arn"]["Fn::GetAtt"][0].startswith("EventsQueue") for target in targets)
    letters = {target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for target in targets}
    assert all(name.startswith("EventsDeadLetters") for name in letters)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_nothing_may_be_reached_by_everyone_nor_by_a_service_for_everyone(name: str) -> None:
    """A service's principal alone would let every account's rules, topics and alarms in."""
    template = templates(name)["Usher"]
    allowed = 0
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for policy in resources(template, kind).values():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    allowed += 1
                    assert statement["Principal"].keys() == {"Service"}
                    assert "aws:SourceArn" in str(statement["Condition"])
    assert allowed >= 3
    for permission in resources(template, "AWS::Lambda::Permission").values():
        assert "AWSServiceRoleForAutoScaling" in str(permission["Principal"])


@pytest.mark.parametrize("queue", ["EventsQueue", "EventsDeadLetters"])
def test_what_the_rules_of_the_stack_bring_is_let_in_and_no_other_rules(
    template: dict[str, Any], queue: str
) -> None:
    """Whoever may make a rule in the account could put any body into the queue."""
    policies = resources(template, "AWS::SQS::QueuePolicy").items()
    (policy,) = [each for name, each in policies if name.startswith(f"{queue}Policy")]
    (statement,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
    assert (statement["Principal"], statement["Action"]) == (
        {"Service": "events.amazonaws.com"},
        "sqs:SendMessage",
    )
    sources = {source["Fn::GetAtt"][0] for source in statement["Condition"]["ArnEquals"]["aws:SourceArn"]}
    assert sources == set(resources(template, "AWS::Events::Rule"))


def test_only_the_topic_of_hooks_may_send_to_the_inbox(template: dict[str, Any]) -> None:
    policies = resources(template, "AWS::SQS::QueuePolicy").items()
    (policy,) = [each for name, each in policies if name.startswith("InboxQueuePolicy")]
    (statement,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}


def test_the_inbox_is_subscribed_to_the_topic_of_hooks() -> None:
    template = templates("all four ways in")["Usher"]
    (subscription,) = resources(template, "AWS::SNS::Subscription").values()
    assert subscription["Endpoint"]["Fn::GetAtt"][0].startswith("InboxQueue")
    assert subscription["Protocol"] == "sqs"
    letters = subscription["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    assert letters.startswith("InboxDeadLetters")


def test_alarms_may_publish_to_their_topic(template: dict[str, Any]) -> None:
    """A topic that gets a policy of its own loses the one by which CloudWatch could."""
    policies = resources(template, "AWS::SNS::TopicPolicy").items()
    (policy,) = [each for name, each in policies if name.startswith("Watch")]
    allowed = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
    (statement,) = allowed
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"


def test_a_failing_sweep_is_not_tried_again_and_leaves_no_letter(template: dict[str, Any]) -> None:
    """Scheduler invokes asynchronously, and Lambda would try twice more on its own, minutes late.

    Its dead letters are the runs that it could not hand over; of those that fail SweepErrors tells.
    """
    (invoke,) = resources(template, "AWS::Lambda::EventInvokeConfig").values()
    assert invoke["FunctionName"]["Ref"].startswith("SweepFunction")
    assert invoke["MaximumRetryAttempts"] == 0
    assert invoke.get("DestinationConfig") is None


def test_the_role_of_the_schedule_may_invoke_the_sweep_alone_for_this_account_alone(
    template: dict[str, Any],
) -> None:
    roles = resources(template, "AWS::IAM::Role")
    (role,) = [each for name, each in roles.items() if name.startswith("ScheduleRole")]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert set(trust["Condition"]["StringEquals"]) == {"aws:SourceAccount", "aws:SourceArn"}
    found = statements(template, "ScheduleRole")
    granted = {each["Action"]: each["Resource"]["Fn::GetAtt"][0] for each in found}
    assert granted["lambda:InvokeFunction"].startswith("SweepFunction")
    assert granted["sqs:SendMessage"].startswith("ScheduleDeadLetters")


def test_what_waits_is_released_before_anything_else_of_the_stack_goes(template: dict[str, Any]) -> None:
    """CloudFormation deletes in the opposite order of dependence.

    Where a hook's target is gone, Auto Scaling applies the default result at once (aws-facts 2.6).
    """
    (hooks,) = raw(template, "Custom::UsherHooks")
    others = {name for name, each in template["Resources"].items() if each["Type"] != "Custom::UsherHooks"}
    assert others - {"CDKMetadata"} <= set(hooks["DependsOn"])


def test_silence_and_every_promise_has_its_alarm(template: dict[str, Any]) -> None:
    alarms = resources(template, "AWS::CloudWatch::Alarm")
    names = {name.removeprefix("Watch")[:-8] for name in alarms}
    assert names == {
        "DeadLetters", "IntakeErrors", "WakeErrors", "QuestionsErrors", "SweepErrors", "WakeThrottles",
        "Failures", "Lost", "BeatsWithoutTable", "Refused", "OverdueLooks", "SilentGroups", "HookDrift",
        "LimitReached", "RetainedInstances", "OverBudget", "NoSweep", "OldMessage", "OldEvent", "WakeStorm",
    }  # fmt: skip
    (silent,) = [each for name, each in alarms.items() if "NoSweep" in name]
    assert silent["TreatMissingData"] == "breaching"
    assert all(each["AlarmActions"] for each in alarms.values())


def test_no_function_may_call_cloudwatch_so_none_waits_for_it(template: dict[str, Any]) -> None:
    """Metrics are lines of the log, which Lambda takes."""
    may = actions(statements(template))
    assert may
    assert not [action for action in may if action.startswith("cloudwatch:")]


def roles_that_may(template: dict[str, Any], action: str) -> set[str]:
    """The functions by whose role `action` is allowed."""
    return {
        role["Ref"].removesuffix("Role")
        for policy in resources(template, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        for role in policy["Roles"]
        if action in listed(statement["Action"])
    }


def writes(template: dict[str, Any], effect: str) -> dict[str, set[str]]:
    """By role: what of the table's items it is allowed to write, or denied where the file is applied."""
    found: dict[str, set[str]] = defaultdict(set)
    for policy in resources(template, "AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = {action for action in listed(statement["Action"]) if re.match(_WRITES, action)}
            applied = {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": ["CONFIGURATION"]}}
            if statement["Effect"] == effect and (effect == "Allow" or statement.get("Condition") == applied):
                for role in policy["Roles"]:
                    found[role["Ref"]] |= actions
    return {role: actions for role, actions in found.items() if actions}


_WRITES: Final = r"dynamodb:(Put|Update|Delete|BatchWrite|PartiQL(?!Select)|\*)"


@pytest.mark.parametrize("from_table", [False, True], ids=["compiled in", "applied"])
def test_no_function_may_write_the_file_that_people_apply(*, from_table: bool) -> None:
    """Whoever writes it has documents run. All that a role may write it is denied there."""
    template = template_of(deployment(hooks_from_table=from_table))
    allowed = writes(template, "Allow")
    assert len(allowed) == 5, "intake, wake, questions, sweep, provision"
    assert writes(template, "Deny") == allowed
    for policy in resources(template, "AWS::IAM::ManagedPolicy").values():
        assert "dynamodb:" not in json.dumps(policy)


def test_functions_and_deploys_know_that_the_file_is_applied() -> None:
    template = template_of(deployment(hooks_from_table=True))
    (provisioned,) = resources(template, "Custom::UsherHooks").values()
    assert (provisioned["HooksFrom"], "File" in provisioned) == ("table", False)
    functions = resources(template, "AWS::Lambda::Function").values()
    assert {each["Environment"]["Variables"]["USHER_HOOKS_FROM"] for each in functions} == {"table"}


def test_what_conditions_and_rules_ask_the_questions_may_ask_alone_and_only_then(
    template: dict[str, Any],
) -> None:
    """Fault 24: what beats and completes, as promise 3 needs, shares nothing with what may be slow."""
    rules = [{"when": {"tags": {"role": "db"}}, "use": "p"}, {"use": "p"}]
    checks = {"policies": {"p": {"until": [{"instance_status": "ok"}]}}}
    by = {
        "ec2:DescribeInstances": template_of(deployment(hooks_data(hook(policy=rules)))),
        "ec2:DescribeInstanceStatus": template_of(deployment(hooks_data(hook()) | checks)),
    }
    for action, asking in by.items():
        may = roles_that_may(asking, action)
        for other in (template, *(each for each in by.values() if each is not asking)):
            more = may - roles_that_may(other, action)
            assert {name.split("Role")[0] for name in more} == {"Questions"}
    assert roles_that_may(template, "ec2:DescribeInstanceStatus") == set()


def test_concurrency_is_reserved_for_wake_alone_and_only_where_it_is_asked_for(
    template: dict[str, Any],
) -> None:
    reserving = template_of(OTHER_SETTINGS)

    def reserved(of: dict[str, Any]) -> dict[str, int]:
        functions = resources(of, "AWS::Lambda::Function").values()
        key = "ReservedConcurrentExecutions"
        return {each["Handler"]: each[key] for each in functions if key in each}

    assert (reserved(template), reserved(reserving)) == ({}, {"wake.handler": 60})


def test_events_out_need_a_stream_and_a_function_and_cost_nothing_while_they_are_off(
    template: dict[str, Any],
) -> None:
    announcing = templates("events out")["Usher"]
    (table,) = resources(announcing, "AWS::DynamoDB::Table").values()
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    (role,) = roles_that_may(announcing, "events:PutEvents")
    assert role.startswith("AnnounceRole")
    assert "AnnouncementsLate" in " ".join(resources(announcing, "AWS::CloudWatch::Alarm"))
    (table,) = resources(template, "AWS::DynamoDB::Table").values()
    assert "StreamSpecification" not in table
    assert roles_that_may(template, "events:PutEvents") == set()


def test_only_stored_states_reach_the_function_that_announces_them() -> None:
    announcing = templates("events out")["Usher"]
    (stream,) = (
        each
        for each in resources(announcing, "AWS::Lambda::EventSourceMapping").values()
        if "StartingPosition" in each
    )
    assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    (found,) = stream["FilterCriteria"]["Filters"]
    assert json.loads(found["Pattern"]) == {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"sk": {"S": ["STATE", "RETAINED"]}}},
    }


def test_usher_puts_events_of_its_own_source_alone() -> None:
    announcing = templates("events out")["Usher"]
    (puts,) = (each for each in statements(announcing) if "events:PutEvents" in listed(each["Action"]))
    assert puts["Condition"] == {"StringEquals": {"events:source": "usher"}}
    assert puts["Resource"] != "*"


def test_the_sweep_counts_the_dead_letters_of_every_queue_that_has_them(template: dict[str, Any]) -> None:
    (sweep,) = (
        each
        for each in resources(template, "AWS::Lambda::Function").values()
        if each["Handler"] == "sweep.handler"
    )
    told = sweep["Environment"]["Variables"]["USHER_ALL_DEAD_LETTERS_URLS"]
    (may,) = (each for each in statements(template) if listed(each["Action"]) == ["sqs:GetQueueAttributes"])
    dead = {name for name in resources(template, "AWS::SQS::Queue") if "DeadLetters" in name}
    assert len(dead) == 5
    assert {each["Ref"] for each in told["Fn::Join"][1] if each != " "} == dead
    assert {each["Fn::GetAtt"][0] for each in may["Resource"]} == dead


def test_every_alarm_has_its_runbook() -> None:
    announcing = templates("events out")["Usher"]
    names = {name.removeprefix("Watch")[:-8] for name in resources(announcing, "AWS::CloudWatch::Alarm")}
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")} >= names


def test_the_dashboard_is_a_setting() -> None:
    with_it, without = templates("default")["Usher"], template_of(OTHER_SETTINGS)
    kind = "AWS::CloudWatch::Dashboard"

    assert [name for name in with_it["Resources"] if name not in without["Resources"]] == [
        name for name, each in with_it["Resources"].items() if each["Type"] == kind
    ]
    assert not [each for each in without["Resources"].values() if each["Type"] == kind]
