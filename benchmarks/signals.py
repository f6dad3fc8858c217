"""Ten minutes of sixty signals a second of one instance, beside fifty others in hooks of a minute.

No wait may fall, the record stays under 20 KB, and nothing waits in the inbox at the end.
"""

from __future__ import annotations

import json
import sys
from time import process_time
from typing import Any, Final

from usher.aws import record_format
from usher_simulator.trials.calm import Calm

_MINUTES: Final = 10
_A_SECOND: Final = 60
_MOST_BYTES: Final = 20_000
_HOOK: Final[dict[str, Any]] = {
    "transition": "launching",
    "heartbeat_timeout": "1m",
    "notify": "sqs",
}
HOOKS: Final[dict[str, Any]] = {
    "version": 1,
    "policies": {
        "jobs": {"until": [{"signal": "work"}], "stalled_after": "1h"},
        "quiet": {"until": [{"signal": "ready"}]},
    },
    "hooks": [
        _HOOK | {"name": "chatty", "group": "g", "policy": "jobs"},
        _HOOK | {"name": "quiet", "group": "o", "policy": "quiet"},
    ],
}


def main() -> int:
    """Print what came of it; 1 where a wait fell or the record is too large."""
    began, calm = process_time(), Calm(HOOKS)
    calm.grow("g", 1)
    calm.grow("o", 50)
    calm.pass_time(20)
    (wait,) = calm.waits["g"]
    for second in range(_MINUTES * 60):
        for number in range(_A_SECOND):
            calm.signal(wait.instance_id, "work", "progress", f"{second} {number} {'x' * 1000}")
        calm.pass_time(1)
    calm.pass_time(30)
    action = calm.usher.memory.of_token(wait.token)
    size = len(json.dumps(record_format.action_to_data(action))) if action else 0
    fallen = [*calm.fallen("g"), *calm.fallen("o")]
    print(
        f"{_MINUTES * 60 * _A_SECOND} signals: {len(fallen)} of 51 waits fell, record {size} bytes, "
        f"version {action.version if action else None}, inbox {len(calm.usher.inbox)}, "
        f"{len(calm.scene.violations)} violations, {process_time() - began:.0f} s of CPU"
    )
    return 1 if fallen or calm.scene.violations or not 0 < size < _MOST_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
