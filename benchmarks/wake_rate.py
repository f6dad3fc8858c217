"""How many heartbeats a second `wake` has room for: 50 at once, and each invocation takes 150 ms.

Prints one JSON line. The deployment of the trials, on its virtual clock, with instances that wait in hooks of
30 s: how many invocations of `wake`, void or not, come to a heartbeat. Calls and stores take no time of their
own. It is counted, and the same on any machine.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from benchmarks import storm_plan
from benchmarks.storm_plan import Storm
from benchmarks.storm_usher import UsherInStorm
from usher_simulator.trials.deployed import WAKE
from usher_simulator.trials.deployment import Deployment
from usher_simulator.trials.effects import Takes

if TYPE_CHECKING:
    from datetime import datetime

    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import TimeLeft

EACH_TAKES: Final = timedelta(milliseconds=150)
_TIMEOUT: Final = timedelta(seconds=30)
_HELD: Final = 600  # each has a heartbeat every 20 s
_BEGIN_WITHIN: Final = timedelta(seconds=20)
_WARM_AFTER: Final = timedelta(seconds=60)
_WINDOW: Final = timedelta(seconds=40)


class _Slow(Deployment):
    """Each invocation of `wake` takes so long."""

    def _invoke(self, settings: Any, work: Any, *rest: Any) -> Any:  # noqa: ANN401 - as Deployment has it
        def slow(time_left: TimeLeft) -> Any:  # noqa: ANN401 - likewise
            self.effects.invocations.pause(EACH_TAKES)
            return work(time_left)

        self.wake_invocations += settings is WAKE and _in_window(self.clock())
        return super()._invoke(settings, slow if settings is WAKE else work, *rest)

    wake_invocations = 0


class _Rate(UsherInStorm):
    """Counts the heartbeats of `wake` in the window."""

    deployment: ClassVar[type[Deployment]] = _Slow
    takes: ClassVar[Takes] = Takes(step_s=(0.0, 0.0), call_s=(0.0, 0.0))
    heartbeats = 0

    def called(self, call: Call) -> None:
        """See Watch."""
        super().called(call)
        by_wake = call.invocation is not None and call.invocation.function == WAKE.function
        accepted = call.refusal is None and call.operation == "RecordLifecycleActionHeartbeat"
        self.heartbeats += by_wake and accepted and _in_window(call.at)


def _in_window(at: datetime) -> bool:
    return timedelta(0) <= at - storm_plan.START - _WARM_AFTER < _WINDOW


def main() -> None:
    """Run it."""
    run = _Rate(Storm(held=_HELD, heartbeat_timeout=_TIMEOUT, rate=1000.0, begins_within=_BEGIN_WITHIN))
    run.clock.run_until(storm_plan.START + _WARM_AFTER + _WINDOW)
    invocations = cast("_Slow", run.usher).wake_invocations
    of_a_second = WAKE.most_at_once / EACH_TAKES.total_seconds()
    line = {
        "held": _HELD,
        "fallen": len(run.defaulted),
        "invocations_a_heartbeat": round(invocations / run.heartbeats, 3),
        "heartbeats_a_second": round(of_a_second * run.heartbeats / invocations, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
