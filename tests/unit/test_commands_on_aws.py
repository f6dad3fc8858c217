"""Each command on an account, once against moto: the calls that the tests in memory replace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.factories import at
from tests.unit.test_account import Deployed, client, cloud, deployed
from tests.unit.test_redrive import TEST
from usher.aws import table
from usher.aws.enrolled import EnrolledHooks
from usher.core import messages, notifications
from usher.core.action import Outcome, Phase, Result, Signal
from usher.core.file_versions import NO_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

__all__ = ["cloud", "deployed"]  # fixtures

INSTANCE = "i-0f0e0d0c0b0a09080"
CALLER = "arn:aws:sts::123456789012:user/moto"
WHY = ["--reason", "ticket 7"]


def test_list_and_show_read_the_table(deployed: Deployed) -> None:
    deployed.opened()
    (listed,) = deployed.json("list")["actions"]
    (shown,) = deployed.json("show", INSTANCE)["actions"]
    assert listed.items() <= shown.items()


def test_watch_follows_the_table(deployed: Deployed) -> None:
    deployed.opened()
    outcome = deployed.usher("watch")
    assert (outcome.exit_code, len(outcome.stdout.splitlines())) == (0, 1)


def test_export_reads_the_table(deployed: Deployed) -> None:
    deployed.records.keep_test(notifications.TestNotice(group="workers-1", request_id="r", at=at(0)))
    outcome = deployed.usher("export", "--from", "1h")
    assert (outcome.exit_code, len(outcome.stdout.splitlines())) == (0, 1)


def test_history_report_and_audit_read_closed_actions(deployed: Deployed, tmp_path: Path) -> None:
    end = {
        "phase": Phase.CLOSED,
        "evaluate_at": None,
        "closed_at": at(-60),
        "outcome": Outcome.ENDED_ELSEWHERE,
    }
    deployed.opened(**end, reason="ended elsewhere: by hand")
    (listed,) = deployed.json("history")["actions"]
    assert (listed["instance_id"], listed["reason"]) == (INSTANCE, "ended elsewhere: by hand")

    page = tmp_path / "page.html"
    assert deployed.usher("report", "--output", str(page)).exit_code == 0
    assert INSTANCE in page.read_text(encoding="utf-8")

    outcome = deployed.usher("audit", "--json")
    audited = json.loads(outcome.stdout)
    assert (outcome.exit_code, audited["actions"]) == (1, 1)  # it has no line at all
    assert {verdict["promise"] for verdict in audited["broken"]} == {"explained"}


def test_hold_and_complete_change_the_record_and_send_a_wake_up(deployed: Deployed) -> None:
    deployed.opened(evaluate_at=at(1000))
    deployed.json("hold", INSTANCE, *WHY)
    deployed.json("hold", INSTANCE, "--off", *WHY)
    deployed.json("complete", INSTANCE, "--result", "ABANDON", "--yes", *WHY)
    action = deployed.loaded()
    assert (action.operator_hold, action.operator_result) == (None, Result.ABANDON)
    assert action.operator_result_by is not None
    assert action.operator_result_by.who == CALLER
    assert [body["action_id"] for body in deployed.messages("WakeUpsUrl")] == ["action-1"] * 3


def test_extend_changes_the_record(deployed: Deployed) -> None:
    deployed.opened()
    deployed.json("extend", INSTANCE, "--to", "2026-03-03T11:55:00Z", *WHY)
    assert deployed.loaded().extended_to == at(48 * 3600 - 300)


def test_signal_puts_an_event_that_the_bus_delivers(deployed: Deployed) -> None:
    deployed.opened()
    outcome = deployed.json("signal", INSTANCE, "jobs-finished", *WHY)
    (event,) = deployed.messages("InboxUrl")
    signal = messages.read(event)
    assert isinstance(signal, Signal)
    assert (signal.event_id, signal.message) == (outcome["event_id"], f"{CALLER}: ticket 7")


def test_pause_and_resume_change_the_table(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deployed.opened(evaluate_at=at(1000))
    deployed.json("pause", "--hook", "usher-drain", "--yes", *WHY)
    assert list(deployed.records.pauses()) == ["usher-drain"]
    assert deployed.json("resume", "--hook", "usher-drain")["woken"] == 1
    assert (deployed.records.pauses(), deployed.loaded().evaluate_at) == ({}, at(0))


def test_apply_and_config_write_and_read_the_table(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "version: 1\npolicies:\n  p: {until: []}\nhooks:\n"
    text += "  - {name: gate, group: jobs-*, transition: launching, policy: p}\n"
    (tmp_path / "hooks.yaml").write_text(text)
    assert "has its hooks file compiled in" in deployed.usher("apply", *WHY, "--yes").stderr
    EnrolledHooks(client("dynamodb"), deployed.outputs["TableName"], lambda: at(0)).put_in_force(
        NO_VERSION.in_force
    )
    assert deployed.json("apply", "--yes", *WHY)["by"] == CALLER
    (version,) = deployed.json("config", "history")
    assert (version["version"], version["reason"], version["hooks"]) == (1, "ticket 7", 1)
    assert deployed.json("config", "show", "1")["file"]["hooks"][0]["group"] == "jobs-*"
    assert deployed.json("config", "diff")["new"] == 1


QUEUES = ("Inbox", "Events", "WakeUps", "Questions")


def with_dead_letters() -> str:
    """A template of Usher's queues, and of its table."""
    definition = {key: value for key, value in table.definition("none").items() if key != "TableName"}
    resources: dict[str, Any] = {"Records": {"Type": "AWS::DynamoDB::Table", "Properties": definition}}
    for name in QUEUES:
        resources[f"{name}Dead"] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}-dead"}}
        redrive = {"deadLetterTargetArn": {"Fn::GetAtt": [f"{name}Dead", "Arn"]}, "maxReceiveCount": 60}
        properties = {"QueueName": name, "RedrivePolicy": redrive}
        resources[name] = {"Type": "AWS::SQS::Queue", "Properties": properties}
    outputs = {f"{name}Url": {"Value": {"Ref": name}} for name in QUEUES}
    outputs["TableName"] = {"Value": {"Ref": "Records"}}
    return json.dumps({"Resources": resources, "Outputs": outputs})


def test_redrive_sends_a_dead_letter_back_to_its_queue(deployed: Deployed) -> None:
    client("cloudformation").create_stack(StackName="WithDeadLetters", TemplateBody=with_dead_letters())
    urls = {name: client("sqs").get_queue_url(QueueName=name)["QueueUrl"] for name in ("Inbox", "Inbox-dead")}
    client("sqs").send_message(QueueUrl=urls["Inbox-dead"], MessageBody=TEST)
    deployed.stack = "WithDeadLetters"
    (letter,) = deployed.json("redrive", "--all", "--send", "--yes")
    assert (letter["status"], letter["done"]) == ("current", "sent")
    (received,) = client("sqs").receive_message(QueueUrl=urls["Inbox"])["Messages"]
    assert received["Body"] == TEST
