"""What an invocation takes beyond its calls, once a function is warm: beside bare boto3 with the same calls.

Each pair is a process of Usher's function and one of the bare handler, which handle the same messages one
after the other. What the first invocation takes, and the start, are not counted.
"""

from __future__ import annotations

import copy
import json
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from benchmarks.cold_start import Scene, Stand, an_action
from benchmarks.figures import Figure
from usher.aws.records import RecordTable
from usher.core.queue_messages import wake_up_body
from usher.ports.records import Raw
from usher.wiring.machine import now
from usher_cdk.wheels import ROOT
from usher_local.functions.local_services import local_endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MESSAGES: Final = 40
_PAIRS: Final = 5
_MOST: Final = 1.15  # times what its calls take


def figures() -> Iterator[Figure]:
    """A notification taken in, and an evaluation that goes on waiting."""
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        log = stack.enter_context((folder / "log").open("wb"))
        stand = Stand(folder, log, stack.enter_context(local_endpoints(now)))
        for name, scene_of in _SCENES.items():
            scene = scene_of(stand)
            recording, account = stand.recorded(name, scene)
            pairs = [
                (stand.usher(name, scene).later, stand.bare(recording, account, scene).later)
                for _ in range(_PAIRS)
            ]
            yield Figure(
                name=f"warm_{name}_ms",
                value=median(usher for usher, _ in pairs),
                floor=median(bare for _, bare in pairs),
                measured_ratio=median(usher / bare for usher, bare in pairs),
                bound=_MOST,
                how=f"processor time, Python {stand.python.version}, median of {_PAIRS} pairs of {_MESSAGES}",
            )


def _notifications(_: Stand) -> Scene:
    sample = _sample("intake-sqs-hook")
    said = json.loads(sample["Records"][0]["body"])
    rest_of_token = said["LifecycleActionToken"][8:]
    bodies = [
        said | {"EC2InstanceId": f"i-{number:017x}", "LifecycleActionToken": f"{number:08}{rest_of_token}"}
        for number in range(_MESSAGES + 1)
    ]
    return Scene(items=[], events=[_with_body(sample, json.dumps(body)) for body in bodies])


def _evaluations(stand: Stand) -> Scene:
    account = stand.account([])
    records = RecordTable(account.client("dynamodb"), account.settings["USHER_TABLE"], now)
    actions = [
        records.open(an_action(number, "told"), Raw(received_at=now(), body="{}"))
        for number in range(_MESSAGES + 1)
    ]
    sample = _sample("wake-wakeup")
    events = [_with_body(sample, wake_up_body(action.id, action.stamp)) for action in actions]
    return Scene(items=account.items(), events=events)


def _sample(name: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "events" / "invoke" / f"{name}.json").read_bytes()))


def _with_body(event: dict[str, Any], body: str) -> dict[str, Any]:
    changed = copy.deepcopy(event)
    changed["Records"][0]["body"] = body
    return changed


_SCENES: Final[Mapping[str, Callable[[Stand], Scene]]] = {"intake": _notifications, "wake": _evaluations}

if __name__ == "__main__":
    for figure in figures():
        print(json.dumps(figure.as_data()), flush=True)
