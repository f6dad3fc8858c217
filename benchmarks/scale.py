"""What a sweep with its reconcile takes with 100 and with 100,000 open actions: peak memory, units, time.

`python -m benchmarks.scale N` prints one JSON line. The real passes and adapters, with boto3's client,
read rows that are made as they are asked for. Every instance waits, in hooks of an hour in groups of 100.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from botocore.awsrequest import AWSResponse

from benchmarks.peak_memory import peak_mb
from tests.contract.dynamodb import a_client
from tests.units import size_of
from usher.aws.items import actions_index
from usher.aws.records import RecordTable
from usher.core import configuration
from usher.core.live_waits import LiveGroup, Member
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.question_chain import Chains
from usher.passes.reconcile import Reconcile
from usher.sweep import Sweep
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_HOUR_S: Final = 3600
_OF_A_GROUP: Final = 100
_NAME: Final = "web-front-eu-{:05}"
_HOOKS: Final = {
    "version": 1,
    "policies": {"drain": {"until": [{"signal": "done"}]}},
    "hooks": [
        {
            "name": "usher-drain",
            "group": "web-*",
            "transition": "terminating",
            "heartbeat_timeout": "1h",
            "policy": "drain",
        }
    ],
}


class Rows:
    """Answers DynamoDB's calls: a table of `count` open actions, of which nothing is kept."""

    def __init__(self, count: int) -> None:
        self._of_shard = count // actions_index.SHARDS
        self.units = 0.0
        self.loaded = 0

    def answer(self, request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's
        """As botocore's event before-send takes it."""
        asked = json.loads(request.body)
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        return _response(request.url, getattr(self, operation.lower())(asked))

    def query(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A page of a shard; all else is empty."""
        values = {name: value["S"] for name, value in asked["ExpressionAttributeValues"].items()}
        shard, until = values.get(":by", ""), values.get(":last", "")
        if not shard.startswith("O"):
            self.units += 0.5
            return {"Items": [], "Count": 0}
        share = min(1.0, max(0.0, (datetime.fromisoformat(until) - NOW).total_seconds() / _HOUR_S))
        last = int(self._of_shard * share)
        first = int(asked.get("ExclusiveStartKey", {"n": {"N": "0"}})["n"]["N"])
        end = min(last, first + asked["Limit"])
        items = [self._row(shard, number) for number in range(first, end)]
        self.units += max(1, math.ceil(sum(map(size_of, items)) / 4096)) / 2
        more = {"LastEvaluatedKey": {"n": {"N": str(end)}}} if end < last else {}
        return {"Items": items, "Count": len(items), **more}

    def scan(self, _: dict[str, Any]) -> dict[str, Any]:
        """The index of the release before is empty."""
        self.units += 0.5
        return {"Items": [], "Count": 0}

    def getitem(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Nothing is kept beside the rows."""
        self.loaded += asked["Key"]["sk"]["S"] == "STATE"
        return {}

    def batchgetitem(self, asked: dict[str, Any]) -> dict[str, Any]:
        """No record is to be loaded."""
        self.loaded += sum(len(each["Keys"]) for each in asked["RequestItems"].values())
        return {"Responses": {}, "UnprocessedKeys": {}}

    def putitem(self, _: dict[str, Any]) -> dict[str, Any]:
        """What a pass keeps of groups."""
        return {}

    def _row(self, shard: str, number: int) -> dict[str, Any]:
        unique = int(shard[1:]) * self._of_shard + number
        at = NOW + timedelta(seconds=_HOUR_S * (number + 0.5) / self._of_shard)
        texts = {
            "pk": f"ACTION#{UUID(int=unique, version=4)}",
            "sk": "STATE",
            "listed": shard,
            "listed_at": at.isoformat(timespec="microseconds"),
            "expires_at": (at + timedelta(seconds=300)).isoformat(timespec="microseconds"),
            "group": _NAME.format(unique // _OF_A_GROUP),
            "hook": "usher-drain",
            "instance_id": f"i-{unique:017x}",
            "wait": "T3600,G,E",
        }
        return {name: {"S": text} for name, text in texts.items()}


class AllWait:
    """Implements usher.ports.autoscaling.LiveWaits: every instance waits, in health."""

    def __init__(self, count: int) -> None:
        self._count = count

    def live_groups(
        self, names: Collection[str] | None, next_slot: Callable[[], datetime]
    ) -> Iterator[LiveGroup]:
        """A call for each hundred groups."""
        del names
        for group in range(math.ceil(self._count / _OF_A_GROUP)):
            if group % 100 == 0:
                next_slot()
            of_it = range(group * _OF_A_GROUP, min(self._count, (group + 1) * _OF_A_GROUP))
            ids = [f"i-{number:017x}" for number in of_it]
            yield LiveGroup(
                name=_NAME.format(group),
                tags=(),
                members={
                    one: Member(instance_id=one, state="Terminating:Wait", is_healthy=True) for one in ids
                },
                has_pool=False,
                seen_at=NOW,
                is_whole=True,
            )

    def hooks_of(self, group: str) -> Sequence[Any]:
        """None is of interest here."""
        del group
        return ()


def main(count: int) -> None:
    """One sweep."""
    print(json.dumps(swept(count)))


def swept(count: int) -> dict[str, Any]:
    """What a sweep takes with so many open actions; the peak is that of the process."""
    rows = Rows(count)
    client = a_client()
    client.meta.events.register("before-send.dynamodb", rows.answer)
    store = RecordTable(client, "usher", lambda: NOW)
    recorder: Any = Recorder()
    nothing: Any = None
    live: Any = AllWait(count)
    budget = CallBudget(budget=MemoryBudget(1000), telemetry=recorder)
    reconcile = Reconcile(
        configuration=configuration.parse(_HOOKS),
        items=_NoItems(),
        live=live,
        instances=nothing,
        auto_scaling=nothing,
        store=store,
        call_budget=budget,
        wake_ups=_Swallows(),
        telemetry=recorder,
        clock=lambda: NOW,
        wait=lambda _: None,
        new_id=lambda: "new",
    )
    sweep = Sweep(
        evaluate=lambda _: None,
        store=store,
        wake_ups=_Swallows(),
        chains=Chains(kept=store, queue=nothing, telemetry=recorder, clock=lambda: NOW),
        call_budget=budget,
        telemetry=recorder,
        clock=lambda: NOW,
        passes=(reconcile,),
    )
    begun = process_time()
    told = sweep.handle({"passes": True})
    return {
        "open": count,
        "near": told["near"],
        "loaded": rows.loaded,
        "read_units": rows.units,
        "cpu_s": round(process_time() - begun, 2),
        "peak_mb": peak_mb(),
    }


class _NoItems:
    """Implements usher.ports.hooks.AllHookItems."""

    def enrolled(self) -> Sequence[Any]:
        """None."""
        return ()

    def of(self, group: str, hook: str) -> Sequence[Any]:
        """None."""
        del group, hook
        return ()


class _Swallows(OneByOne):
    """Implements usher.ports.queues.WakeUps."""

    def send(self, *_: object) -> None:
        """Sent."""


def _response(url: str, data: dict[str, Any]) -> AWSResponse:
    body = json.dumps(data).encode()

    class _Raw:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield body

    headers: Any = {"Content-Type": "application/x-amz-json-1.0"}
    return AWSResponse(url, 200, headers, _Raw())


if __name__ == "__main__":
    main(int(sys.argv[1]))
