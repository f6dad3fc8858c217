"""How fast a replay is: N generated actions spread over a day, under a five-minute hook.

Each action has its SQS message, a late EventBridge copy, and a signal that completes it within 20
minutes. Prints one JSON line for 1,000 and one for 10,000 actions, and one that compares them.
The runs are separate processes, so that neither warms the other up, and the peak memory is its own.
The cost of a notification is counted in time of the processor, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from random import Random
from time import perf_counter, process_time
from typing import Any

from benchmarks.peak_memory import peak_mb
from usher.core import configuration
from usher.core.action import Outcome
from usher_simulator.replay.replay import Entry, replay

_START = datetime(2026, 3, 1, tzinfo=UTC)
_SMALL, _LARGE = 1_000, 10_000
_HOOKS = {
    "version": 1,
    "policies": {"job": {"until": [{"signal": "done"}]}},
    "hooks": [
        {
            "name": "drain",
            "group": "workers-*",
            "transition": "terminating",
            "heartbeat_timeout": "5m",
            "default_result": "CONTINUE",
            "policy": "job",
        }
    ],
}


def main() -> int:
    """Run the benchmark; 1 where a bound of the README is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, help="measure one size in this process, and print its line")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.actions:
        print(json.dumps(measure(arguments.actions, arguments.seed)))
        return 0
    small, large = (_in_a_process(count, arguments.seed) for count in (_SMALL, _LARGE))
    ratio = large["cpu_us_per_notification"] / small["cpu_us_per_notification"]
    print(json.dumps(small), json.dumps(large), json.dumps({"ratio": round(ratio, 2)}), sep="\n")
    return 0 if large["seconds"] < 60 and large["peak_mb"] < 500 and ratio <= 1.3 else 1  # noqa: PLR2004


def _in_a_process(count: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.replay", "--actions", str(count), "--seed", str(seed)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603
    return answer


def measure(count: int, seed: int) -> dict[str, Any]:
    """Replay `count` actions."""
    entries = generate(count, Random(seed))  # noqa: S311 - a benchmark's own data
    began, began_cpu = perf_counter(), process_time()
    world = replay(entries, configuration.parse(_HOOKS)).world
    seconds, cpu_seconds = perf_counter() - began, process_time() - began_cpu
    began_cpu = process_time()
    for entry in entries:
        json.loads(entry.body)
    parse_seconds = process_time() - began_cpu
    actions = world.store.actions()
    wrong = [action for action in actions if action.outcome is not Outcome.COMPLETED]
    if len(actions) != count or wrong:
        raise SystemExit(f"{len(actions)} of {count} actions, {len(wrong)} not completed")
    return {
        "actions": count,
        "notifications": len(entries),
        "heartbeats": sum(action.heartbeats for action in actions),
        "evaluations": sum(world.recorder.decisions.values()),
        "seconds": round(seconds, 1),
        "cpu_us_per_notification": round(cpu_seconds / len(entries) * 1e6),
        "parse_us_per_notification": round(parse_seconds / len(entries) * 1e6, 2),
        "peak_mb": peak_mb(),
    }


def generate(count: int, random: Random) -> list[Entry]:
    """The traffic of `count` actions, as it was received."""
    return [entry for number in range(count) for entry in _of_one_action(number, random)]


def _of_one_action(number: int, random: Random) -> list[Entry]:
    began = _START + timedelta(seconds=random.randrange(86_400))
    token = f"{random.getrandbits(128):032x}"
    token = "-".join((token[:8], token[8:12], token[12:16], token[16:20], token[20:]))
    instance_id = f"i-{number:017x}"
    said = {
        "LifecycleActionToken": token,
        "AutoScalingGroupName": f"workers-{number % 10}",
        "LifecycleHookName": "drain",
        "EC2InstanceId": instance_id,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
    }
    written = began.isoformat().replace("+00:00", "Z")
    event = {
        "version": "0",
        "id": f"event-{number}",
        "detail-type": "EC2 Instance-terminate Lifecycle Action",
        "source": "aws.autoscaling",
        "time": written,
        "detail": said | {"Action": "Terminate"},
    }
    done = began + timedelta(seconds=random.randrange(60, 1_200))
    signal = {
        "id": f"signal-{number}",
        "detail-type": "Usher Signal",
        "source": "usher.signal",
        "time": done.isoformat().replace("+00:00", "Z"),
        "detail": {"InstanceId": instance_id, "Signal": "done", "Status": "done"},
    }
    late = began + timedelta(seconds=random.uniform(3.5, 130))
    message = said | {"Service": "AWS Auto Scaling", "Time": written}
    return [
        Entry(source="sqs", received_at=began + timedelta(seconds=1), body=json.dumps(message)),
        Entry(source="eventbridge", received_at=late, body=json.dumps(event)),
        Entry(source="signal", received_at=done + timedelta(seconds=1), body=json.dumps(signal)),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
