"""Usher as it is deployed in a local account, in the words of the tests."""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.e2e.polling import PATIENCE_S, until
from tests.factories import a_policy, an_action, hook_terms
from usher.aws.enrolled import EnrolledHooks
from usher.aws.records import RecordTable
from usher.core.action import Result
from usher.provision import FILE
from usher.wiring.machine import new_id, now
from usher_local.account import TRAIL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from usher.core.action import Action
    from usher_local.account import Account

FOLDER: Final = Path(__file__).parent
HOOKS: Final = str(FOLDER / "hooks.yaml")
UPDATED_HOOKS: Final = str(FOLDER / "hooks-updated.yaml")
WAYS: Final = ("sqs", "sns", "eventbridge", "lambda")
INLETS: Final = tuple(f"inlet-{way}" for way in WAYS)
OVERDUE: Final = "overdue"  # the id of an action whose evaluation is overdue, and that no wake-up wakes
A_SWEEP_S: Final = 130  # the schedule runs every 60 to 70 s, and each second minute counts
GROUPS: Final = (*INLETS, "patient", "asking", "in-flight", "fleet-1", "stranger")
_ONE_HOOK: Final = ("patient", "asking", "in-flight")
TESTED: Final = dict.fromkeys(_ONE_HOOK, 1) | {"inlet-sqs": 2, "inlet-sns": 2, "inlet-lambda": 2}
"""How many hooks of a group sent a test message when they were made: those with a target."""
NO_FAILURES: Final[dict[str, list[str]]] = {"batchItemFailures": []}
_OF_A_SCHEDULE: Final = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
_LAUNCH_TEMPLATE: Final = {"LaunchTemplateId": "lt-00000000000000001"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """One decision of IAM's: a line of the account's trail."""

    principal: str
    action: str
    resource: str
    decision: str

    @property
    def role(self) -> str:
        """The role that was assumed; empty for whoever is none."""
        found = re.search(r":assumed-role/([^/]+)/", self.principal)
        return found[1] if found else ""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Usher in an account, and what tests do to it and ask of it."""

    account: Account
    table: str
    inbox_url: str
    inbox_arn: str

    @classmethod
    def of(cls, account: Account, outputs: Mapping[str, str]) -> Stack:
        """As a deploy left it."""
        return cls(
            account=account,
            table=outputs["TableName"],
            inbox_url=outputs["InboxUrl"],
            inbox_arn=outputs["InboxArn"],
        )

    @cached_property
    def auto_scaling(self) -> Any:
        return self.account.client("autoscaling")

    @cached_property
    def sqs(self) -> Any:
        return self.account.client("sqs")

    @cached_property
    def iam(self) -> Any:
        return self.account.client("iam")

    @cached_property
    def lambda_(self) -> Any:
        return self.account.client("lambda")

    @cached_property
    def records(self) -> RecordTable:
        return RecordTable(self.account.client("dynamodb"), self.table, now)

    @cached_property
    def items(self) -> EnrolledHooks:
        """Those of the hooks."""
        return EnrolledHooks(self.account.client("dynamodb"), self.table, now)

    @cached_property
    def id(self) -> str:
        """Of the CloudFormation stack."""
        (found,) = self.account.client("cloudformation").describe_stacks(StackName="Usher")["Stacks"]
        return str(found["StackId"])

    @property
    def file(self) -> str:
        """The compiled hooks file, as it stands in the template."""
        cloudformation = self.account.client("cloudformation")
        body = cloudformation.get_template(StackName="Usher")["TemplateBody"]
        template = json.loads(body) if isinstance(body, str) else body
        (resource,) = [
            each for each in template["Resources"].values() if each["Type"] == "Custom::UsherHooks"
        ]
        return str(resource["Properties"][FILE])

    # -- groups and instances

    def resize(self, group: str, size: int) -> None:
        self.auto_scaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=size)

    def groups(self) -> list[str]:
        """Their names."""
        pages = self.auto_scaling.get_paginator("describe_auto_scaling_groups").paginate()
        return [group["AutoScalingGroupName"] for page in pages for group in page["AutoScalingGroups"]]

    def instances(self, group: str) -> dict[str, str]:
        """Their lifecycle states."""
        return {each["InstanceId"]: each["LifecycleState"] for each in self._group(group)["Instances"]}

    def _group(self, name: str) -> dict[str, Any]:
        asked = self.auto_scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        (found,) = asked["AutoScalingGroups"]
        return dict(found)

    def launched(self, group: str, but: Collection[str] = ()) -> str:
        """An instance of a group, once there is one."""
        return until(lambda: next((each for each in self.instances(group) if each not in but), ""))

    def launch(self, group: str) -> str:
        """One more, once it is recorded: several at once would start a function's environment for each."""
        known = self.instances(group)
        self.resize(group, self._group(group)["DesiredCapacity"] + 1)  # one that was lost is replaced
        instance = self.launched(group, but=known)
        until(lambda: [*self.records.of_instance(instance)])
        return instance

    def reaches(self, group: str, instance: str, state: str) -> None:
        """Soon, by a wake-up; where that is delayed or fails, by a sweep."""
        until(lambda: self.instances(group).get(instance) == state, within_s=A_SWEEP_S)

    def in_service(self, group: str, size: int) -> list[str]:
        """The instances of a group, once so many are in service.

        A hook of 30 seconds leaves its heartbeat ten, and a machine that stands still for as long loses an
        instance. Auto Scaling replaces it: what holds in time is for simulated time to show.
        """

        def found() -> list[str]:
            return [each for each, state in self.instances(group).items() if state == "InService"]

        until(lambda: len(found()) == size, within_s=5 * PATIENCE_S)
        return found()

    def goes(self, group: str, instance: str) -> None:
        """Likewise."""
        until(lambda: instance not in self.instances(group), within_s=A_SWEEP_S)

    def hooks(self, group: str) -> list[str]:
        found = self.auto_scaling.describe_lifecycle_hooks(AutoScalingGroupName=group)["LifecycleHooks"]
        return sorted(hook["LifecycleHookName"] for hook in found)

    # -- actions

    def actions(self, instance: str, hook: str) -> list[Action]:
        return [action for action in self.records.of_instance(instance) if action.hook.name == hook]

    def recorded(self, instance: str, hook: str) -> Action:
        """The only action of an instance and hook, once it is recorded."""
        (action,) = until(lambda: self.actions(instance, hook))
        return action

    def closed(self, instance: str, hook: str) -> Action:
        """Likewise, once it is closed: by a wake-up, or by a sweep."""
        until(lambda: not self.recorded(instance, hook).is_open, within_s=A_SWEEP_S)
        return self.recorded(instance, hook)

    def timeline(self, action: Action) -> list[str]:
        return [f"{line.event} {line.detail}" for line in self.records.timeline(action.id)]

    def tested(self) -> dict[str, int]:
        """As TESTED, what is recorded."""
        return {group: len(self.records.tests(group)) for group in TESTED}

    def signal(self, instance: str, name: str, status: str = "done") -> None:
        detail = {"InstanceId": instance, "Signal": name, "Status": status}
        entry = {"Source": "usher.signal", "DetailType": "Usher Signal", "Detail": json.dumps(detail)}
        answer = self.account.client("events").put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0

    # -- queues and functions

    def put(self, *bodies: str) -> None:
        """Messages into the inbox, as one batch."""
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        answer = self.sqs.send_message_batch(QueueUrl=self.inbox_url, Entries=entries)
        assert answer.get("Failed", []) == []

    def queue(self, name: str) -> str:
        """The URL of the queue whose name has this in it."""
        urls: list[str] = self.sqs.list_queues()["QueueUrls"]
        return next(url for url in urls if f"Usher-{name}" in url)

    def letters(self, name: str) -> Iterator[Mapping[str, Any]]:
        """What lies in a queue; each message is taken out."""
        url = self.queue(name)
        while found := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", []):
            for each in found:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
                yield each

    def function(self, name: str) -> str:
        """The full name of one of the functions."""
        functions = self.lambda_.list_functions()["Functions"]
        names: list[str] = [each["FunctionName"] for each in functions]
        return next(each for each in names if f"Usher-{name}Function" in each)

    def invoke(self, name: str, event: object) -> Any:
        """What a function answers; its error, where it fails."""
        answer = self.lambda_.invoke(FunctionName=self.function(name), Payload=json.dumps(event))
        return json.load(answer["Payload"])

    def swept(self) -> bool:
        """Whether a run of the sweep succeeded."""
        return "errorMessage" not in self.invoke("Sweep", {"passes": True})

    def stops_sweeping(self) -> None:
        """The schedule invokes nothing any more."""
        scheduler = self.account.client("scheduler")
        for each in scheduler.list_schedules()["Schedules"]:
            known = scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
            kept = {name: known[name] for name in _OF_A_SCHEDULE}
            scheduler.update_schedule(**kept, State="DISABLED")

    def stacks(self) -> list[str]:
        found = self.account.client("cloudformation").describe_stacks()["Stacks"]
        return [each["StackName"] for each in found if each["StackStatus"] != "DELETE_COMPLETE"]

    # -- permissions

    def decided(self, since: int = 0) -> Sequence[Decided]:
        """What IAM decided, but for the first `since` decisions."""
        trail = self.account.logs / TRAIL
        lines = trail.read_text(encoding="utf-8").split("\n")[since:-1] if trail.exists() else []
        return [Decided(**json.loads(line)) for line in lines]


def make_group(account: Account, name: str) -> None:
    """An empty one; the fleet's and one other have a warm pool, which stays empty."""
    auto_scaling = account.client("autoscaling")
    auto_scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=10,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate=_LAUNCH_TEMPLATE,
    )
    if name.startswith("fleet-") or name == "in-flight":
        auto_scaling.put_warm_pool(AutoScalingGroupName=name, MaxGroupPreparedCapacity=0)


_SLOW_ANSWER: Final = """
import datetime, time

def handler(event, context):
    time.sleep(7)
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(event["started_at"])
    return {"status": "done" if age.total_seconds() > 30 else "pending"}
"""


def make_slow_function(account: Account) -> None:
    """A user's own function, which takes its time, and says done half a minute after the start."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = account.client("iam").create_role(RoleName="slow-answer", AssumeRolePolicyDocument=document)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as code:
        code.writestr("slow.py", _SLOW_ANSWER)
    account.client("lambda").create_function(
        FunctionName="slow-answer",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="slow.handler",
        Timeout=20,
        Code={"ZipFile": packed.getvalue()},
    )


def an_sqs_event(*bodies: str) -> dict[str, Any]:
    """What Lambda's event source mapping invokes a function with."""
    records = [
        {
            "messageId": new_id(),
            "receiptHandle": "receipt",
            "body": body,
            "attributes": {},
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:queue",
            "awsRegion": "us-east-1",
        }
        for body in bodies
    ]
    return {"Records": records}


def a_notice(group: str, hook: str, instance: str, token: str, **changes: str) -> str:
    """A hook's own message, as Auto Scaling sends it to a queue."""
    body = {
        "Origin": "EC2",
        "Destination": "AutoScalingGroup",
        "LifecycleHookName": hook,
        "AccountId": "111122223333",
        "RequestId": new_id(),
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "AutoScalingGroupName": group,
        "Service": "AWS Auto Scaling",
        "Time": now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "EC2InstanceId": instance,
        "LifecycleActionToken": token,
    }
    return json.dumps(body | changes)


def an_action_due(action_id: str, group: str, *, age_s: int = 0, **changes: Any) -> Action:
    """One whose policy lets it go, due now; of an instance that is made up, but for `changes`."""
    began = now() - timedelta(seconds=age_s)
    terms = hook_terms(
        name="hold", group=group, heartbeat_timeout=timedelta(minutes=2), default_result=Result.CONTINUE
    )
    made_up = {"token": new_id(), "instance_id": f"i-{uuid.uuid5(uuid.NAMESPACE_OID, action_id).hex[:17]}"}
    times = {"started_at": began, "first_seen_at": began, "evaluate_at": began}
    return an_action(id=action_id, hook=terms, policy=a_policy([]), **{**made_up, **times, **changes})
