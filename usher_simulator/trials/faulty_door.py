"""The way to simulated Auto Scaling and back, which fails, and takes so many calls a second."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.trials.effects import Call
from usher_simulator.trials.faults import Fault, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher_simulator.autoscaling.query_protocol import Request
    from usher_simulator.trials.effects import Effects, Watch

_TIMED_OUT_S: Final = (2.0, 4.0)  # connecting and reading, as the client's settings have it
_BURST: Final = 20.0


class ShakyDoor:
    """What stands between Usher's client and simulated Auto Scaling: a way there and back, and limits."""

    def __init__(
        self,
        effects: Effects,
        service: Callable[[Request], Mapping[str, Any]],
        watch: Watch,
        of_call: Callable[[Mapping[str, Any]], str | None],
    ) -> None:
        self._effects = effects
        self._service = service
        self._watch = watch
        self._of_call = of_call  # the id of the action that a call is about
        self._tokens = _BURST
        self._filled_at = effects.clock()

    def __call__(self, request: Request) -> Mapping[str, Any]:
        """Answer as the service does, unless a fault is in the way."""
        effects, faults = self._effects, self._effects.faults
        action_id = self._of_call(request.parameters)
        effects.invocations.step()
        if faults.hits(Fault.UNREACHED):
            self._lose(Fault.UNREACHED, action_id)
            raise ConnectTimeoutError(endpoint_url="simulated")
        self._travel(request.operation)
        answer: Mapping[str, Any] = {}
        refusal = self._refused(action_id)
        if refusal is None:
            try:
                answer = self._service(request)
            except ApiError as error:
                refusal = error
        is_lost = faults.hits(Fault.ANSWER_LOST)
        self._tell(request, refusal, is_told=not is_lost)
        effects.invocations.step()
        if is_lost:
            self._lose(Fault.ANSWER_LOST, action_id)
            raise ReadTimeoutError(endpoint_url="simulated")
        self._travel()
        if refusal is not None:
            raise refusal
        return answer

    def _tell(self, request: Request, refusal: ApiError | None, *, is_told: bool) -> None:
        self._watch.called(
            Call(
                at=self._effects.clock(),
                invocation=self._effects.invocation,
                operation=request.operation,
                parameters=request.parameters,
                refusal=refusal,
                is_told=is_told,
            )
        )

    def _travel(self, before: str = "") -> None:
        self._effects.invocations.pause(
            timedelta(seconds=self._effects.chooser.number(*self._effects.takes.call_s)), before
        )

    def _lose(self, fault: Fault, action_id: str | None) -> None:
        self._effects.meets(fault, action_id)
        self._effects.invocations.pause(timedelta(seconds=self._effects.chooser.number(*_TIMED_OUT_S)))

    def _refused(self, action_id: str | None) -> ApiError | None:
        """What keeps a call from the service. Whoever is turned away has used up a call, too."""
        faults, now = self._effects.faults, self._effects.clock()
        rate = faults.swarm.calls_per_second if faults.on else None
        is_down = faults.is_down(Part.AUTO_SCALING, now)
        if is_down or (rate is not None and not self._take(rate, now)):
            self._effects.meets("Auto Scaling down" if is_down else Fault.THROTTLED, action_id)
            return ApiError("Throttling", "Rate exceeded")
        if faults.hits(Fault.CONTENDED):
            self._effects.meets(Fault.CONTENDED, action_id)
            return ApiError("ResourceContention", "There is contention", status=500)
        if faults.hits(Fault.SERVER_ERROR):
            self._effects.meets(Fault.SERVER_ERROR, action_id)
            return ApiError("InternalFailure", "We encountered an internal error", status=500)
        return None

    def _take(self, rate: float, now: datetime) -> bool:
        """One token of the bucket."""
        since = (now - self._filled_at).total_seconds()
        self._tokens, self._filled_at = min(_BURST, self._tokens + since * rate), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
