"""CloudFormation in memory, as far as `usher install` and its like call it; how each change ends is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_NOTHING: Final = "The submitted information didn't contain changes. Submit different information."


def refused(operation: str, code: str, message: str) -> ClientError:
    """An error as botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class MemoryCloudFormation:
    """One stack. `ends` is how the next change of it ends: a status, and why where it fails."""

    region: str = "us-east-1"
    ends: tuple[str, str] | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)  # of the next change set
    outputs: dict[str, str] = field(default_factory=dict)  # once it stands
    stack: dict[str, Any] | None = None
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    looks_before_it_begins: int = 0
    on_execute: Callable[[], None] = lambda: None
    _asked: dict[str, Any] = field(default_factory=dict)
    _is_to_do: bool = False

    @property
    def meta(self) -> Any:
        """Of a client."""
        return type("Meta", (), {"region_name": self.region})

    def stands(self, status: str = "CREATE_COMPLETE", **parameters: str) -> None:
        """There is such a stack."""
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        told = [{"OutputKey": name, "OutputValue": value} for name, value in self.outputs.items()]
        named = {"StackName": "Usher", "StackId": "arn:stack/Usher/1", "StackStatus": status}
        self.stack = {**named, "Parameters": given, "Outputs": told}

    def told(self, operation: str) -> dict[str, Any]:
        """What the last call of an operation was given."""
        return next(given for name, given in reversed(self.calls) if name == operation)

    def describe_stacks(self, **given: Any) -> dict[str, Any]:
        """As the API has it; what was executed is done at this look, or later."""
        self.calls.append(("describe_stacks", given))
        if self._is_to_do:
            self.looks_before_it_begins -= 1
            if self.looks_before_it_begins < 0:
                self._is_to_do = False
                self._execute()
        if self.stack is None:
            message = f"Stack with id {given['StackName']} does not exist"
            raise refused("DescribeStacks", "ValidationError", message)
        return {"Stacks": [self.stack]}

    def create_change_set(self, **given: Any) -> dict[str, Any]:
        """Also makes the stack that is to be."""
        self.calls.append(("create_change_set", given))
        self._asked = given
        if self.stack is None:
            self.stands("REVIEW_IN_PROGRESS")
        return {"Id": "arn:changeSet/1", "StackId": "arn:stack/Usher/1"}

    def describe_change_set(self, **given: Any) -> dict[str, Any]:
        """With no changes it fails, as AWS has it."""
        self.calls.append(("describe_change_set", given))
        if not self.changes:
            return {"Status": "FAILED", "StatusReason": _NOTHING}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": each} for each in self.changes]}

    def delete_change_set(self, **given: Any) -> None:
        """It is gone."""
        self.calls.append(("delete_change_set", given))

    def execute_change_set(self, **given: Any) -> None:
        """Ends as told."""
        self.calls.append(("execute_change_set", given))
        self.on_execute()
        self._is_to_do = True

    def _execute(self) -> None:
        is_new = self._asked["ChangeSetType"] == "CREATE"
        status, why = self.ends or ("CREATE_COMPLETE" if is_new else "UPDATE_COMPLETE", "")
        before = {each["ParameterKey"]: each["ParameterValue"] for each in (self.stack or {})["Parameters"]}
        asked = self._asked["Parameters"]
        now = {one["ParameterKey"]: one["ParameterValue"] for one in asked if "ParameterValue" in one}
        if why:
            self._happens("IntakeFunction", "AWS::Lambda::Function", "CREATE_FAILED", why)
            self._happens("Topic", "AWS::SNS::Topic", "CREATE_FAILED", "Resource creation cancelled")
        self._happens("Usher", "AWS::CloudFormation::Stack", status, "")
        self.stands(status, **({} if why else before | now))

    def delete_stack(self, **given: Any) -> None:
        """Ends as told."""
        self.calls.append(("delete_stack", given))
        status, why = self.ends or ("DELETE_COMPLETE", "")
        if status.startswith("DELETE") and why:
            self._happens("Provisioned", "Custom::UsherHooks", "DELETE_FAILED", why)
            self._happens("Usher", "AWS::CloudFormation::Stack", status, "")
            self.stands(status, **self.parameters)
        else:
            self.stack = None

    @property
    def parameters(self) -> dict[str, str]:
        """Of the stack."""
        told = (self.stack or {}).get("Parameters", [])
        return {each["ParameterKey"]: each["ParameterValue"] for each in told}

    def get_template(self, **given: Any) -> dict[str, Any]:
        """Of two resources: one is kept."""
        self.calls.append(("get_template", given))
        kept = {"DeletionPolicy": "RetainExceptOnCreate"}
        return {"TemplateBody": {"Resources": {"RecordsTable": kept, "WakeFunction": {}}}}

    def get_paginator(self, operation: str) -> Any:
        """One page of each."""
        return type("Paginator", (), {"paginate": lambda _self, **given: self._pages(operation, given)})()

    def _pages(self, operation: str, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
        resources = [
            ("RecordsTable", "AWS::DynamoDB::Table", "records"),
            ("WakeFunction", "AWS::Lambda::Function", "wake"),
            ("WatchNoSweep", "AWS::CloudWatch::Alarm", "no-sweep"),
            ("WatchHookDrift", "AWS::CloudWatch::Alarm", "Usher-WatchHookDrift01"),
        ]
        self.calls.append((operation, given))
        match operation:
            case "describe_change_set":
                yield self.describe_change_set(**given)
            case "describe_stack_events":
                yield {"StackEvents": self.events[::-1]}
            case "list_stack_resources":
                named = ("LogicalResourceId", "ResourceType", "PhysicalResourceId")
                yield {"StackResourceSummaries": [dict(zip(named, each, strict=True)) for each in resources]}

    def _happens(self, name: str, kind: str, status: str, why: str) -> None:
        self.events.append(
            {
                "EventId": str(len(self.events)),
                "Timestamp": AT,
                "LogicalResourceId": name,
                "PhysicalResourceId": "arn:stack/Usher/1" if name == "Usher" else name,
                "ResourceType": kind,
                "ResourceStatus": status,
                "ResourceStatusReason": why,
            }
        )
