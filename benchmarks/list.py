"""How long the first page of `usher list` takes, with 200 and with 2,000 open actions in moto.

Prints one JSON line for each, and one that compares them. A command's own start, of Python and its
imports, is measured apart, in a process of its own. Moto's index is slow, and runs in this process:
against AWS the same page is a stack described, two pages of an index, one batch of 50 records.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import boto3
from click.testing import CliRunner
from moto import mock_aws

from usher.aws import table
from usher.aws.records import RecordTable
from usher.core import configuration
from usher.core.action import Action, HookTerms, Result, Transition
from usher.ports.records import Raw
from usher_cli.account import Machine
from usher_cli.main import main as usher

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_REGION = "us-east-1"
_KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
_ENVIRONMENT = {name.upper(): value for name, value in _KEYS.items()}
_SMALL, _LARGE = 200, 2_000
_OF_A_BATCH = 25
_POLICY = configuration.parse(
    {"version": 1, "policies": {"drain": {"until": [{"ecs": "drained"}, {"signal": "done"}]}}, "hooks": []}
).policies["drain"]


def main() -> None:
    """Run the benchmark."""
    small, large = measure(_SMALL), measure(_LARGE)
    ratio = large["first_page_cpu_s"] / small["first_page_cpu_s"]
    compared = {"start_s": round(start_s(), 2), "ratio": round(ratio, 2)}
    print(json.dumps(small), json.dumps(large), json.dumps(compared), sep="\n")


def measure(count: int) -> dict[str, Any]:
    """The first page of so many actions: the time on the wall, and of the processor."""
    with deployed() as name:
        fill(name, count)
        machine = Machine(clock=lambda: _NOW, new_id=str, wait=str)
        begun, begun_cpu = perf_counter(), process_time()
        outcome = CliRunner().invoke(usher, ["list", "--region", _REGION], obj=machine, env=_ENVIRONMENT)
        took, took_cpu = perf_counter() - begun, process_time() - begun_cpu
    lines = len(outcome.stdout.splitlines()) - 1
    return {
        "actions": count,
        "shown": lines,
        "first_page_s": round(took, 2),
        "first_page_cpu_s": round(took_cpu, 2),
    }


@contextmanager
def deployed() -> Iterator[str]:
    """The stack, as far as the list needs it; the name of its table."""
    definition = dict(table.definition("none"))
    del definition["TableName"]
    template = {
        "Resources": {"Records": {"Type": "AWS::DynamoDB::Table", "Properties": definition}},
        "Outputs": {"TableName": {"Value": {"Ref": "Records"}}},
    }
    with mock_aws():
        client = boto3.client("cloudformation", region_name=_REGION, **_KEYS)
        client.create_stack(StackName="Usher", TemplateBody=json.dumps(template))
        (stack,) = client.describe_stacks(StackName="Usher")["Stacks"]
        yield stack["Outputs"][0]["OutputValue"]


class Batches:
    """A DynamoDB client that puts the items of transactions in batches: moto copies all before each."""

    def __init__(self, name: str) -> None:
        self._client = boto3.client("dynamodb", region_name=_REGION, **_KEYS)
        self._name = name
        self._items: list[Any] = []

    def transact_write_items(self, TransactItems: list[Any], **_: object) -> None:  # noqa: N803 - boto3's
        """Keep the items for the next batch."""
        self._items += [write["Put"]["Item"] for write in TransactItems if "Put" in write]

    def flush(self) -> None:
        """Write them."""
        for part in table.in_parts(self._items, _OF_A_BATCH):
            puts = [{"PutRequest": {"Item": item}} for item in part]
            self._client.batch_write_item(RequestItems={self._name: puts})


def fill(name: str, count: int) -> None:
    """Open so many actions, spread over 50 minutes."""
    batches: Any = Batches(name)
    records = RecordTable(batches, name, lambda: _NOW)
    for number in range(count):
        records.open(an_action(number), Raw(received_at=_NOW, body="{}"))
    batches.flush()


def an_action(number: int) -> Action:
    """One of many alike."""
    hook = HookTerms(
        name="web-drain",
        group=f"web-{number % 20}",
        transition=Transition.TERMINATING,
        heartbeat_timeout=timedelta(hours=1),
        default_result=Result.CONTINUE,
    )
    started_at = _NOW - timedelta(seconds=number * 3000 // _LARGE)
    action = Action(
        id=f"action-{number:05}",
        token=f"{number:036}",
        instance_id=f"i-{number:017x}",
        hook=hook,
        policy=_POLICY,
        origin="AutoScalingGroup",
        destination="EC2",
        started_at=started_at,
        first_seen_at=started_at,
        evaluate_at=_NOW + timedelta(seconds=number % 60),
    )
    return action.noted(started_at, "notified", "by sqs; policy drain")


def start_s() -> float:
    """How long the command takes to say its version."""
    run = "from usher_cli.main import main; main(prog_name='usher', args=['--version'])"
    begun = perf_counter()
    subprocess.run([sys.executable, "-c", run], check=True, capture_output=True)  # noqa: S603 - our own
    return perf_counter() - begun


if __name__ == "__main__":
    main()
