"""Cold starts: processor time of each function's init and first invocation, beside a bare boto3 handler.

Each start is a fresh process under Lambda's runtime client, whose processor clock is read when it asks for
its first and for its second invocation. Usher's function and the bare handler, which makes the same clients
and the same calls, start in turns; services and queues are local, and fresh for each start. The figure
is the median of the ratios of neighbours, which a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from benchmarks.bare_function import bare, recorder
from benchmarks.figures import Figure
from usher.aws.records import RecordTable
from usher.core import configuration
from usher.core.action import Action, HookTerms, Result, Transition
from usher.core.compiled import compiled
from usher.core.finding import Findings
from usher.core.queue_messages import question_body, wake_up_body
from usher.ports.records import Raw
from usher.wiring.machine import new_id, now
from usher_cdk.bundle import build
from usher_cdk.python import find_python
from usher_cdk.wheels import ROOT
from usher_hooksfile.load import read
from usher_local.functions.function import Code, Function
from usher_local.functions.local_services import client, local_endpoints, settled_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from io import BufferedWriter

    from usher_cdk.python import Python

_ROUNDS: Final = 8
_MOST: Final = 1.1  # times a bare handler's
_FILE: Final[dict[str, Any]] = {
    "version": 1,
    "policies": {
        "ready": {"until": [{"instance_status": "ok"}, {"signal": "ready"}]},
        "told": {"until": [{"signal": "ready"}]},
    },
    "hooks": [],
}
_SAMPLES: Final = {
    "intake": "intake-sqs-hook",
    "wake": "wake-wakeup",
    "sweep": "sweep-schedule",
    "questions": "questions-turn",
    "announce": "announce-stream",
    "provision": "provision-create",
}
_WITH_A_RECORD: Final = ("wake", "sweep", "questions")


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Milliseconds of processor time."""

    init: float
    first: float
    later: float = 0.0  # of each further invocation

    @property
    def whole(self) -> float:
        """Both."""
        return self.init + self.first


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Tables and queues of one start, by their prefix."""

    prefix: str
    settings: Mapping[str, str]

    @classmethod
    def opened(cls, prefix: str, endpoints: Mapping[str, str]) -> Account:
        """An empty one."""
        url = endpoints["AWS_ENDPOINT_URL"]
        return cls(prefix=prefix, settings={**endpoints, **settled_in(url, prefix)})

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no type in common
        """A client of it."""
        return client(service, self.settings["AWS_ENDPOINT_URL"])

    def items(self) -> list[Any]:
        """All of the table."""
        return list(self.client("dynamodb").scan(TableName=self.settings["USHER_TABLE"])["Items"])

    def hold(self, items: list[Any]) -> None:
        """Put them into the table."""
        dynamodb = self.client("dynamodb")
        for item in items:
            dynamodb.put_item(TableName=self.settings["USHER_TABLE"], Item=item)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The account before a function starts, and what it is invoked with, one event after the other."""

    items: list[Any]
    events: list[Any]


class Stand:
    """Starts functions, each in an account of its own."""

    def __init__(self, folder: Path, log: BufferedWriter, endpoints: Mapping[str, str]) -> None:
        self._folder = folder
        self._log = log
        self._endpoints = endpoints
        self._number = 0
        self.python: Python = find_python()
        self.asset = folder / "asset"
        build(self.asset, compiled(read(ROOT / "events" / "hooks.yaml")), python=self.python)
        self._recorder = recorder(folder / "recorder")

    def account(self, items: list[Any]) -> Account:
        """A new one, with these items."""
        self._number += 1
        account = Account.opened(f"start{self._number:04}-", self._endpoints)
        account.hold(items)
        return account

    def usher(self, name: str, scene: Scene) -> Start:
        """A start of Usher's function."""
        return self._started(name, self.asset, self.account(scene.items), scene.events)

    def recorded(self, name: str, scene: Scene) -> tuple[str, Account]:
        """The calls of Usher's function, and the account that they speak of."""
        account, file = self.account(scene.items), self._folder / f"{name}.calls"
        environment = {
            "LAMBDA_TASK_ROOT": str(self.asset),
            "RECORDING": str(file),
            "AWS_LAMBDA_FUNCTION_NAME": name,
        }
        self._started("recorder", self._recorder, account, scene.events, environment)
        return file.read_text(), account

    def bare(self, recording: str, of: Account, scene: Scene) -> Start:
        """A start of the bare handler."""
        account = self.account(scene.items)
        names = {of.prefix: account.prefix}
        folder = bare(self._folder / account.prefix, recording, names, self.python)
        return self._started("bare", folder, account, scene.events)

    def _started(
        self,
        name: str,
        asset: Path,
        account: Account,
        events: Sequence[object],
        more: Mapping[str, str] | None = None,
    ) -> Start:
        code = Code(asset=asset, runtime=self.python.runtime(), python=self.python)
        settings = {**account.settings, **(more or {})}
        with Function(name, code, settings, self._log, now, new_id) as function:
            function.wait_until_ready()
            times = [_cpu_ms(function.process_id)]
            for event in events:
                function.invoke(event)
                function.wait_until_ready()
                times.append(_cpu_ms(function.process_id))
        later = (times[-1] - times[1]) / max(1, len(events) - 1)
        return Start(init=times[0], first=times[1] - times[0], later=later)


def _cpu_ms(process_id: int) -> float:
    """The processor time of another process. Linux makes the number of its clock in this way."""
    return time.clock_gettime((~process_id << 3) | 2) * 1000


def _scene(name: str, stand: Stand) -> Scene:
    """What the function has to do: see SAMPLES; where it needs a record, one whose evaluation is due."""
    event = json.loads((ROOT / "events" / "invoke" / f"{_SAMPLES[name]}.json").read_bytes())
    account = stand.account([])
    if name == "provision":
        topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
        stacks = account.client("cloudformation")
        event["StackId"] = stacks.create_stack(StackName="Usher", TemplateBody=json.dumps(topic))["StackId"]
    if name not in _WITH_A_RECORD:
        return Scene(items=[], events=[event])
    records = RecordTable(account.client("dynamodb"), account.settings["USHER_TABLE"], now)
    action = records.open(an_action(0), Raw(received_at=now(), body="{}"))
    if name == "sweep":
        event = {"passes": True}  # also in an odd minute
    if name == "wake":
        event["Records"][0]["body"] = wake_up_body(action.id, action.stamp)
    if name == "questions":
        records.keep_findings(action, Findings(turn=1, ask_at=now(), sweep_at=now()))
        event["Records"][0]["body"] = question_body(action.id, 1)
    return Scene(items=account.items(), events=[event])


def an_action(number: int, policy: str = "ready") -> Action:
    """One of many alike, whose evaluation is due; `policy` is one of the file's."""
    hook = HookTerms(
        name="ready-gate",
        group="web",
        transition=Transition.LAUNCHING,
        heartbeat_timeout=timedelta(hours=1),
        default_result=Result.ABANDON,
    )
    return Action(
        id=f"3aa78fe5-ade3-43e7-8d77-{number:012}",
        token=f"c60b4c81-23c6-4573-9da8-{number:012}",
        instance_id=f"i-{number:017x}",
        hook=hook,
        policy=configuration.parse(_FILE).policies[policy],
        origin="EC2",
        destination="AutoScalingGroup",
        started_at=now(),
        first_seen_at=now(),
        evaluate_at=now(),
    )


def measure(names: Sequence[str], rounds: int) -> Iterator[tuple[str, list[tuple[Start, Start]]]]:
    """Of each function so many pairs of starts: Usher's, and the bare handler's."""
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        log = stack.enter_context((folder / "log").open("wb"))
        stand = Stand(folder, log, stack.enter_context(local_endpoints(now)))
        for name in names:
            scene = _scene(name, stand)
            recording, account = stand.recorded(name, scene)
            yield (
                name,
                [(stand.usher(name, scene), stand.bare(recording, account, scene)) for _ in range(rounds)],
            )


def main() -> int:
    """Print a JSON line for each function."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("functions", nargs="*", default=list(_SAMPLES), metavar="FUNCTION")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    asked = parser.parse_args()
    for name, pairs in measure(asked.functions, asked.rounds):
        print(json.dumps({"function": name, **told(pairs)}), flush=True)
    return 0


def figures() -> Iterator[Figure]:
    """Of each function, its whole start."""
    for name, pairs in measure(list(_SAMPLES), _ROUNDS):
        yield Figure(
            name=f"cold_start_{name}_ms",
            value=median(usher.whole for usher, _ in pairs),
            floor=median(bare.whole for _, bare in pairs),
            measured_ratio=median(usher.whole / bare.whole for usher, bare in pairs),
            bound=_MOST,
            how=f"processor time, Python {find_python().version}, median of {_ROUNDS} pairs in turn",
        )


def told(pairs: Sequence[tuple[Start, Start]]) -> dict[str, float]:
    """Medians, in milliseconds of processor time."""
    return {
        "init_ms": round(median(usher.init for usher, _ in pairs)),
        "first_ms": round(median(usher.first for usher, _ in pairs)),
        "whole_ms": round(median(usher.whole for usher, _ in pairs)),
        "bare_ms": round(median(bare.whole for _, bare in pairs)),
        "ratio": round(median(usher.whole / bare.whole for usher, bare in pairs), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
