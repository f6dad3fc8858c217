"""When things are due: the limits that Auto Scaling sets, and the margins that Usher keeps to them."""

from datetime import datetime, timedelta
from functools import cache
from typing import Final

SHORTEST_HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)  # aws-facts 1.1
LONGEST_HEARTBEAT_TIMEOUT: Final = timedelta(hours=2)

_LONGEST_WAIT: Final = timedelta(hours=48)
_LONGEST_WAIT_IN_TIMEOUTS: Final = 100

_LONGEST_EARLY_DECISION: Final = timedelta(minutes=10)
_EARLY_DECISION_SHARE: Final = 0.05

STOPPED_COUNTS: Final = timedelta(minutes=3)  # reconcile asks EC2 every two minutes, and takes its time

_LEAST_MARGIN: Final = timedelta(seconds=5)
# Within it an evaluation has wake-ups of its own (usher.evaluation.wake_ups).
_OWN_WAKE_UP_LIMIT: Final = timedelta(minutes=14)
_USUAL_MARGIN: Final = timedelta(seconds=10)
_MARGIN_SHARE: Final = 12

_SOONEST_RETRY: Final = timedelta(seconds=1)
_LATEST_RETRY: Final = timedelta(seconds=60)
_RETRY_SHARE: Final = 4  # so a margin holds several tries, closer together as time runs out


@cache
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


def preferred_heartbeat_at(expires_at: datetime, heartbeat_timeout: timedelta, now: datetime) -> datetime:
    """When the next heartbeat is best sent: late, at the expiry less the usual margin.

    Inside that margin already, after a third of what is left: so of many that are late the ones
    that expire first go first, and a try that fails leaves time for others.
    """
    best = expires_at - usual_margin(heartbeat_timeout)
    return best if best > now else now + max(timedelta(0), (expires_at - now) / 3)


def latest_heartbeat_at(expires_at: datetime, heartbeat_timeout: timedelta, now: datetime) -> datetime:
    """After this a heartbeat may come too late: every second of margin is a share of the calls.

    The evaluations of long periods are woken by the sweep, which takes its time: they keep their margin,
    as long as they are not inside it already.
    """
    usual = expires_at - usual_margin(heartbeat_timeout)
    pressed = heartbeat_timeout <= _OWN_WAKE_UP_LIMIT or now >= usual
    return expires_at - _LEAST_MARGIN if pressed else usual


def next_try_at(now: datetime, expires_at: datetime) -> datetime:
    """When to try again what did not succeed: well inside the expiry, then once a minute."""
    left = expires_at - now
    if left <= timedelta(0):
        return now + _LATEST_RETRY
    return now + max(_SOONEST_RETRY, min(left / _RETRY_SHARE, _LATEST_RETRY))
