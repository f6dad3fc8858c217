"""What the suites of the stores build, and what they read of a store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tests.factories import an_action, as_closed, at
from usher.core import notifications
from usher.ports.records import Raw

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.action import Action
    from usher.ports.records import Store

TOKEN: Final = an_action().token or ""
INSTANCE: Final = an_action().instance_id
LATER: Final = at(48 * 3600)


def a_raw(body: str = '{"Origin":"EC2"}', *, seconds: float = 1) -> Raw:
    return Raw(received_at=at(seconds), body=body)


def a_test(request_id: str, at: datetime, group: str = "workers-1") -> notifications.TestNotice:
    return notifications.TestNotice(group=group, request_id=request_id, at=at)


def opened(store: Store, **changes: Any) -> Action:
    return store.open(an_action(**changes), a_raw())


def after(action: Action, evaluation_id: str = "evaluation-2", **changes: Any) -> Action:
    return replace(action, version=action.version + 1, evaluation_id=evaluation_id, **changes)


def closed(action: Action) -> Action:
    return replace(action, **as_closed(300, reason=action.reason))


def loaded(store: Store, action_id: str = "action-1") -> Action:
    action = store.load(action_id)
    assert action is not None
    return action


def told(store: Store, action_id: str = "action-1") -> list[tuple[int, str, int]]:
    return [(entry.number, entry.detail, entry.count) for entry in store.timeline(action_id)]


def due_ids(store: Store, until: datetime) -> list[str]:
    return sorted(due.action_id for due in store.due(until))


def heard_ids(store: Store, action: Action) -> list[str]:
    return sorted(signal.event_id for signal in store.evidence(action).signals)


# DynamoDB only


def items(client: DynamoDBClient, table: str) -> list[dict[str, Any]]:
    return list(client.scan(TableName=table, ConsistentRead=True)["Items"])


def state_item(client: DynamoDBClient, table: str) -> dict[str, Any]:
    key = {"pk": {"S": "ACTION#action-1"}, "sk": {"S": "STATE"}}
    return dict(client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"])
