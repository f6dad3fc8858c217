"""Writes what this release stores, as a file that every later release must read.

`python -m tests.contract.freeze 2026-11-29` makes tests/contract/frozen/2026-11-29.json: a table's items, and
what they say. A file that is there is never written again: what was stored stays stored.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from moto import mock_aws

from tests.factories import a_policy, a_signal, an_action, an_activity_end, at, hook_terms
from usher.aws import table as dynamodb
from usher.aws.enrolled import EnrolledHooks
from usher.aws.file_versions import FileVersionsTable
from usher.aws.records import RecordTable
from usher.core import configuration, questions
from usher.core.action import Code, OperatorNote, Outcome, Phase, Result, Status, Transition
from usher.core.compiled import compiled
from usher.core.file_versions import NO_VERSION, FileVersion
from usher.core.finding import ConditionStatus, Finding, Findings
from usher.core.hook_items import Enrolled, FileInForce, Former, HookSettings
from usher.core.hook_timeouts import Described
from usher.core.limits import Limits
from usher.core.notifications import TestNotice
from usher.ports.records import ALL_HOOKS, Raw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.action import Action
    from usher.core.compiled import Compiled

FROZEN: Final = Path(__file__).with_name("frozen")
TABLE: Final = "usher"
NOW: Final = at(400)
INSTANCE: Final = an_action().instance_id
EVERY_CONDITION: Final = (
    {"elapsed": "90s"},
    {"signal": "jobs-finished"},
    {"any": [{"ecs": "drained"}, {"targets": {"groups": ["web"], "state": "drained"}}]},
    {"not": {"instance_status": "ok"}},
    {"command": {"document": "AWS-RunShellScript"}, "then": {"function": "ready"}},
)


def a_client() -> DynamoDBClient:
    """A client of an empty table, inside of mock_aws."""
    client: DynamoDBClient = boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    client.create_table(**dynamodb.definition(TABLE))
    return client


def actions() -> Iterator[Action]:
    """One of each phase and outcome, with all that a record can hold."""
    whole = hook_terms(limits=Limits(abandon_per_hour=5, complete_per_minute=20), limited_with="workers-*")
    policy = a_policy(EVERY_CONDITION, give_up_after="45m", stalled_after="10m")
    yield an_action(
        id="open",
        token="1" * 36,
        hook=whole,
        policy=policy,
        evaluate_at=at(500),
        heartbeats=2,
        beaten_at=at(300),
        received_by=("sqs", "eventbridge"),
        signals=(a_signal(message="3 of 7"),),
        signals_since=at(-60),
        progress_at=at(60),
        booked_at=at(480),
        operator_hold=OperatorNote(who="arn:me", at=at(10), reason="looks into it"),
        extended_to=at(7200),
        timeout_assumed=True,
    )
    yield an_action(
        id="waits-for-its-turn",
        token="6" * 36,
        hook=replace(whole, limits=Limits(at_once=1)),
        metadata='{"role": "db"}',
        began_at=at(70),
        backup_at=at(505),
        if_launch_failed=a_policy([], name="let-go"),
        evaluate_at=at(515),
    )
    yield an_action(
        id="adopted", token=None, activity_id="activity-1", limit_at=at(170_000), evaluate_at=at(510)
    )
    yield an_action(
        id="completing",
        token="2" * 36,
        phase=Phase.COMPLETING,
        result=Result.CONTINUE,
        reason="done",
        completes_sent=(at(200),),
        operator_result_by=OperatorNote(who="arn:her", at=at(20), reason="enough"),
        operator_result=Result.CONTINUE,
        let_through=True,
        evaluate_at=at(520),
    )
    for token, outcome, result, detail in (
        ("3" * 36, Outcome.COMPLETED, Result.ABANDON, "EC2 Instance Terminate Successful"),
        ("4" * 36, Outcome.ENDED_ELSEWHERE, None, "the instance waits in the hook again"),
        ("5" * 36, Outcome.DEFAULTED, None, "EC2 Instance Terminate Successful: as asked"),
    ):
        yield an_action(
            id=str(outcome),
            token=token,
            phase=Phase.CLOSED,
            outcome=outcome,
            result=result,
            reason="as it was",
            activity_end=an_activity_end(detail=detail, is_event=detail.startswith("EC2")),
            instance_ended_at=at(240),
            evaluate_at=None,
            closed_at=at(300),
        )


def fill(client: DynamoDBClient) -> None:
    """Store one of everything."""
    records = RecordTable(client, TABLE, lambda: NOW)
    for action in actions():
        lines = action.noted(at(0), "notified", "by sqs").noted(at(1), "wait", "no signal")
        records.open(lines, Raw(received_at=at(1), body=json.dumps({"of": action.id})))
    opened = next(actions())
    stored = records.load(opened.id) or opened
    beaten = replace(stored, version=2, evaluation_id="look-2").noted(at(2), "heartbeat", "waits")
    beaten = beaten.noted(
        at(3), "answer", "RecordLifecycleActionHeartbeat: accepted", Code.HEARTBEAT_ACCEPTED
    )
    limit = "held by the limit of 5 ABANDON per hour; wants ABANDON: failed"
    records.save(beaten.noted(at(4), "wait", limit, Code.HELD_BY_LIMIT))
    found = tuple(
        Finding(
            condition=probe.name,
            status=ConditionStatus.PENDING,
            detail="not yet",
            asked_at=at(100),
            ask_again_at=at(130),
            confirmed_once=True,
            memory={"cluster": "jobs"},
        )
        for probe in questions.due(replace(opened, operator_hold=None), at(100))
    )
    noted = Findings(turn=0, found=found, ask_at=at(430), sweep_at=at(700)).noted(at(100), "found", "pending")
    records.keep_findings(opened, replace(noted, turn=1))
    for status in Status:
        records.keep_signal(a_signal(event_id=f"event-{status}", status=status))
    records.keep_signal(a_signal(event_id="by-token", instance_id=None, token="1" * 36))
    records.keep_move_end(an_activity_end())
    records.keep_instance_end("i-00000000000000009", at(240))
    records.keep_instance_state(INSTANCE, at(390), is_stopped=True)
    records.keep_test(TestNotice(group="workers-1", request_id="request-1", at=at(-100)))
    records.keep_heard("workers-1", at(1))
    records.keep_described("workers-1", Described(at=at(1), timeouts={"usher-drain": timedelta(minutes=5)}))
    records.keep_foreign_waits("workers-1", [(INSTANCE, "usher-drain", "Terminating:Wait")])
    records.keep_retained("workers-1", {INSTANCE: at(5)})
    records.keep_release(INSTANCE, OperatorNote(who="arn:me", at=at(30), reason="its disks are saved"))
    records.pause(ALL_HOOKS, "arn:me: throttled")
    _enrol(client)


def _enrol(client: DynamoDBClient) -> None:
    items = EnrolledHooks(client, TABLE, lambda: NOW, 50)
    data = {
        "version": 1,
        "policies": {"park": {"until": []}},
        "hooks": [{"name": "gate", "group": "web-*", "transition": "launching", "policy": "park"}],
    }
    settings = HookSettings(
        transition=Transition.LAUNCHING,
        heartbeat_timeout=timedelta(minutes=5),
        default_result=Result.ABANDON,
        target_arn="arn:inbox",
        role_arn="arn:role",
        metadata="owner=web",
    )
    wanted = Enrolled(
        group="web-1",
        group_arn="arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:1:autoScalingGroupName/web-1",
        hook="gate",
        settings=settings,
        source=configuration.source_of(configuration.parse(data).hooks[0]),
        before=replace(settings, heartbeat_timeout=timedelta(seconds=30)),
        put_at=at(1),
        seen_at=at(2),
        former=(Former(heartbeat_timeout=timedelta(minutes=1), until=at(0)),),
    )
    items.keep(wanted)
    items.keep(replace(wanted, hook="old-gate").retired(at(3), at(63)))
    _apply(client, compiled(data, ["own-1"]))
    items.put_in_force(FileInForce(digest="d" * 64, own_groups=("own-1",)))
    items.take(NOW)


def _apply(client: DynamoDBClient, file: Compiled) -> None:
    """A version of the hooks file, applied at run time."""
    EnrolledHooks(client, TABLE, lambda: NOW).put_in_force(NO_VERSION.in_force)
    versions = FileVersionsTable(client, TABLE)
    over = versions.schedule()
    version = FileVersion(
        number=1,
        file=file,
        applied_at=at(0),
        effective_at=at(60),
        by="arn:me",
        reason="ticket 7",
        written="# why\nversion: 1\n",
    )
    versions.apply(version, over.then(1, at(0)), over)


def told(client: DynamoDBClient) -> dict[str, Any]:
    """What a release reads, in words that do not change with its classes."""
    records, items = RecordTable(client, TABLE, lambda: NOW), EnrolledHooks(client, TABLE, lambda: NOW, 50)
    stored = [action for action in map(records.load, [one.id for one in actions()]) if action is not None]
    evidence = records.evidence(stored[0])
    findings = records.findings("open")
    file, versions = items.in_force(), FileVersionsTable(client, TABLE)
    retained = records.retained("workers-1") or {}
    return {
        "actions": [_action_in_words(action) for action in stored],
        "codes": {action.id: [line.code for line in records.timeline(action.id)] for action in stored},
        "events": sorted(one.id for one in stored if one.activity_end and one.activity_end.is_event),
        "lines": {action.id: [line.event for line in records.timeline(action.id)] for action in stored},
        "raws": {action.id: [raw.body for raw in records.raws(action.id)] for action in stored},
        "of_instance": sorted(action.id for action in records.of_instance(INSTANCE)),
        "due": sorted(row.action_id for row in records.due(at(600))),
        "unasked": sorted(row.action_id for row in records.unasked(at(701))),
        "found": [(one.condition, str(one.status), one.confirmed_once) for one in findings.found]
        if findings
        else None,
        "signals": sorted((one.name, str(one.status)) for one in evidence.signals),
        "stopped": evidence.stopped_at is not None,
        "paused": evidence.paused,
        "tests": [test.request_id for test in records.tests("workers-1")],
        "reaches_us": records.reaches_us("workers-1"),
        "described": _described(records),
        "tried": {group: sorted(map(list, tried)) for group, tried in records.foreign_waits().items()},
        "items": sorted(
            (one.hook, one.group, str(one.state), len(one.former), one.own_hook.name)
            for one in items.enrolled()
        ),
        "in_force": (file.digest, list(file.own_groups), file.is_closing) if file else None,
        "left": items.left(NOW),
        "retained": {instance: since.isoformat() for instance, since in retained.items()},
        "released_by": evidence.release and evidence.release.who,
        "versions": [
            (one.number, one.file.digest, one.by, one.reason, one.written) for one in versions.history(5)
        ],
        "turns": {
            action.id: (action.hook.limits.at_once, action.began_at and action.began_at.isoformat())
            for action in stored
        },
        "metadata": {action.id: action.metadata for action in stored},
    }


def _described(records: RecordTable) -> dict[str, float]:
    described = records.described("workers-1")
    timeouts = described.timeouts if described else {}
    return {name: timeout.total_seconds() for name, timeout in timeouts.items()}


def _action_in_words(action: Action) -> dict[str, Any]:
    return {
        "id": action.id,
        "token": action.token,
        "version": action.version,
        "phase": str(action.phase),
        "outcome": action.outcome and str(action.outcome),
        "result": action.result and str(action.result),
        "policy": action.policy.name,
        "conditions": len(action.policy.leaves),
        "heartbeat_timeout_s": action.hook.heartbeat_timeout.total_seconds(),
        "abandon_per_hour": action.hook.limits.abandon_per_hour,
        "expires_at": action.expires_at.isoformat(),
        "ends_at": action.ends_at.isoformat(),
        "give_up_at": action.give_up_at.isoformat(),
        "held_by": action.operator_hold and action.operator_hold.who,
        "ordered_by": action.operator_result_by and action.operator_result_by.who,
        "let_through": action.let_through,
    }


def load(client: DynamoDBClient, items: list[dict[str, Any]]) -> None:
    """Put frozen items into a table."""
    for item in items:
        client.put_item(TableName=TABLE, Item={name: _thawed(value) for name, value in item.items()})


def _thawed(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": base64.b64decode(value["B"])} if "B" in value else value


def _frozen(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value


def main(name: str) -> int:
    """Freeze this release; 2 where that name is taken."""
    path = FROZEN / f"{name}.json"
    if path.exists():
        sys.stderr.write(f"{path.name} is frozen already: choose another name\n")
        return 2
    with mock_aws():
        client = a_client()
        fill(client)
        scanned = client.scan(TableName=TABLE)["Items"]
        items = [{key: _frozen(dict(value)) for key, value in item.items()} for item in scanned]
        items.sort(key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
        data = {"told": told(client), "items": items}
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
