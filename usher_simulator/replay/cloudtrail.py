"""What CloudTrail tells of calls to Auto Scaling: which waits somebody ended or kept alive, and when.

A call that AWS accepted proves that its action was open at that time: CompleteLifecycleAction ended it,
RecordLifecycleActionHeartbeat restarted its timeout (aws-facts 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.notifications import Home
    from usher_simulator.autoscaling.lifecycle_actions import Waits

_SERVICE: Final = "autoscaling.amazonaws.com"
_COMPLETE: Final = "CompleteLifecycleAction"
_HEARTBEAT: Final = "RecordLifecycleActionHeartbeat"
_RESULTS: Final = ("CONTINUE", "ABANDON")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call that CloudTrail recorded. None: not told."""

    source: str  # the place where it was found
    at: datetime | None
    service: str  # such as autoscaling.amazonaws.com
    name: str
    error: str | None  # AWS's code; None: accepted
    home: Home
    group: str | None
    hook: str | None
    instance_id: str | None
    token: str | None
    result: str | None

    @property
    def concerns_a_wait(self) -> bool:
        """Whether it proves something of a lifecycle action."""
        return self.service == _SERVICE and self.name in (_COMPLETE, _HEARTBEAT) and self.at is not None


def why_not(call: Call, home: Home) -> str:
    """Why a call proves nothing for a replay at `home`; empty where it may."""
    named = f"a call in CloudTrail, {call.service.partition('.')[0]} {call.name}"
    if not call.concerns_a_wait:
        return f"{named}: no notification"
    if home.differs(call.home):
        return f"{named}, of {call.home}; this is {home}"
    if call.error is not None:
        return f"{named}: refused, {call.error}"
    return ""


def take_effect(call: Call, waits: Waits, *, ends: bool) -> str:
    """Do to the wait what the call did; why it did nothing, or an empty text.

    Where not `ends`, nobody but Usher completes an action.
    """
    try:
        wait = waits.active(call.group or "", call.hook or "", call.token, call.instance_id)
    except ApiError:
        return f"a call in CloudTrail, autoscaling {call.name}: no action of it is open here then"
    if call.name == _HEARTBEAT:
        waits.heartbeat(wait)
    elif ends:
        waits.end(wait, call.result if call.result in _RESULTS else "CONTINUE", EndedBy.OTHER)
    return ""
