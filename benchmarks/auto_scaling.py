"""How fast simulated Auto Scaling answers: the engine itself, and through a boto3 client in process.

Prints one JSON line. Exit code 1 where a bound is not kept: 20,000 calls a second through the
engine, and through the client at least 0.7 times the rate of the same client with a canned answer.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import cycle
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.client import auto_scaling_client
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher_simulator.autoscaling.account import Account

_INSTANCES: Final = 200
_ENGINE_CALLS: Final = 100_000
_CLIENT_CALLS: Final = 6_000
_ROUNDS: Final = 5
_GROUP: Final = "bench"
_HOOK: Final = "wait"


def main() -> int:
    """Measure; the best of some rounds, engine and client in turn, so that noise hits both."""
    account, beats = _waiting_fleet()
    requests = cycle(Request(operation="RecordLifecycleActionHeartbeat", parameters=beat) for beat in beats)
    engine = max(
        _rate(lambda: account.service(next(requests)), _ENGINE_CALLS // _ROUNDS) for _ in range(_ROUNDS)
    )
    canned_client = auto_scaling_client(lambda _: {}, lambda: "request")
    simulated, canned = 0.0, 0.0
    turns = cycle(beats)
    for _ in range(_ROUNDS):
        simulated = max(simulated, _rate(_beat(account.client, turns), _CLIENT_CALLS // _ROUNDS))
        canned = max(canned, _rate(_beat(canned_client, turns), _CLIENT_CALLS // _ROUNDS))
    ratio = simulated / canned
    print(
        json.dumps(
            {
                "engine_calls_per_s": round(engine),
                "client_calls_per_s": round(simulated),
                "canned_client_calls_per_s": round(canned),
                "ratio": round(ratio, 2),
            }
        )
    )
    return 0 if engine >= 20_000 and ratio >= 0.7 else 1  # noqa: PLR2004 - the bounds told above


def _waiting_fleet() -> tuple[Account, list[Mapping[str, Any]]]:
    """Instances that all wait, and a heartbeat for each."""
    account = an_account(datetime(2026, 3, 1, tzinfo=UTC))
    account.client.create_auto_scaling_group(
        AutoScalingGroupName=_GROUP,
        MinSize=0,
        MaxSize=_INSTANCES,
        DesiredCapacity=_INSTANCES,
        **ANY_SOURCE,
        LifecycleHookSpecificationList=[
            {
                "LifecycleHookName": _HOOK,
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "HeartbeatTimeout": 7200,
            }
        ],
    )
    account.clock.run_until(account.clock() + timedelta(seconds=10))
    tokens = [event["detail"]["LifecycleActionToken"] for event in account.outside.events]
    named = {"AutoScalingGroupName": _GROUP, "LifecycleHookName": _HOOK}
    return account, [named | {"LifecycleActionToken": token} for token in tokens]


def _beat(client: Any, turns: Any) -> Callable[[], object]:  # noqa: ANN401 - a client, an endless iterator
    return lambda: client.record_lifecycle_action_heartbeat(**next(turns))


def _rate(call: Callable[[], object], count: int) -> float:
    """Calls a second."""
    began = perf_counter()
    for _ in range(count):
        call()
    return count / (perf_counter() - began)


if __name__ == "__main__":
    raise SystemExit(main())
