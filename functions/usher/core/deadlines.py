"""When things are due: the limits that Auto Scaling sets, and the margins that Usher keeps to them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

SHORTEST_HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)  # aws-facts 1.1
LONGEST_HEARTBEAT_TIMEOUT: Final = timedelta(hours=2)

_LONGEST_WAIT: Final = timedelta(hours=48)
_LONGEST_WAIT_IN_TIMEOUTS: Final = 100

_LONGEST_EARLY_DECISION: Final = timedelta(minutes=10)
_EARLY_DECISION_SHARE: Final = 0.05

_LEAST_MARGIN: Final = timedelta(seconds=5)
_USUAL_MARGIN: Final = timedelta(seconds=10)
_MARGIN_SHARE: Final = 12

_SOONEST_RETRY: Final = timedelta(seconds=1)
_LATEST_RETRY: Final = timedelta(seconds=60)
_RETRY_SHARE: Final = 4  # so a margin holds several tries, closer together as time runs out


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """How much there is to do, and how many Auto Scaling calls a second there are to do it."""

    open_actions: int
    calls_per_second: float

    def __post_init__(self) -> None:
        if self.open_actions < 0:
            raise ValueError(f"open_actions must be at least 0, got {self.open_actions}")
        if not self.calls_per_second > 0:  # so that nan is refused too
            raise ValueError(f"calls_per_second must be above 0, got {self.calls_per_second}")

    @property
    def round_time(self) -> timedelta:
        """The time that one call for each open action takes."""
        return timedelta(seconds=self.open_actions / self.calls_per_second)


def global_timeout(heartbeat_timeout: timedelta) -> timedelta:
    """The longest wait that heartbeats can reach: min(48 h, 100 x heartbeat timeout) (aws-facts 2.1)."""
    return min(_LONGEST_WAIT, _LONGEST_WAIT_IN_TIMEOUTS * heartbeat_timeout)


def patience(heartbeat_timeout: timedelta, give_up_after: timedelta | None) -> timedelta:
    """How long an action may wait before Usher decides without its conditions.

    Where `give_up_after` is absent: the global timeout less 5 %, at most 10 minutes less. Where it
    is given it counts, but never into the last moments, in which AWS could be first.
    """
    limit = global_timeout(heartbeat_timeout)
    if give_up_after is None:
        return limit - min(limit * _EARLY_DECISION_SHARE, _LONGEST_EARLY_DECISION)
    return min(give_up_after, limit - usual_margin(heartbeat_timeout))


def usual_margin(heartbeat_timeout: timedelta) -> timedelta:
    """How long before its expiry an action is beaten when there is room: max(10 s, T/12)."""
    return max(_USUAL_MARGIN, heartbeat_timeout / _MARGIN_SHARE)


def heartbeat_due(
    expires_at: datetime, heartbeat_timeout: timedelta, spread: float | None, load: Load
) -> datetime:
    """When the next heartbeat should be sent.

    With room a beat comes late: at the expiry less the usual margin. Under pressure the margin
    shrinks, never below 5 s, because every second of it is a share of the calls. `spread` (0 to 1)
    is this action's place among those that may have begun at the same moment: the first beat is
    pulled forward by that share of the time that one call for each takes. Later beats need no
    spread (None), since the first one has set the actions apart.
    """
    round_time = load.round_time
    room = heartbeat_timeout - round_time
    margin = max(_LEAST_MARGIN, min(usual_margin(heartbeat_timeout), room))
    if spread is None:
        return expires_at - margin
    window = max(timedelta(0), min(round_time, heartbeat_timeout - 2 * margin))
    return expires_at - margin - spread * window


def retry_at(now: datetime, expires_at: datetime) -> datetime:
    """When to try again what did not succeed: well inside the expiry, then once a minute."""
    left = expires_at - now
    if left <= timedelta(0):
        return now + _LATEST_RETRY
    return now + max(_SOONEST_RETRY, min(left / _RETRY_SHARE, _LATEST_RETRY))
