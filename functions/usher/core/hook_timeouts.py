"""What stands on a group counts for its actions, not what is configured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import duration
from usher.core.action import require_aware
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.hook_items import HookSeen

COUNTS_FOR: Final = timedelta(days=1)  # so long a hook counts as known that was seen before an action began


@frozen
class Described:
    """The hooks of a group as DescribeLifecycleHooks showed them; `at` is just before it was asked."""

    at: datetime
    timeouts: Mapping[str, timedelta]  # heartbeat timeouts by the name of the hook

    def __post_init__(self) -> None:
        require_aware("at", self.at)


def described(hooks: Iterable[HookSeen], at: datetime) -> Described:
    """What a describe showed that was asked at `at`."""
    return Described(at=at, timeouts={hook.name: hook.settings.heartbeat_timeout for hook in hooks})


def known(action: Action, seen: Described | None, now: datetime) -> Action | None:
    """The action under the timeout that stands, the smaller one counting; None: `seen` does not tell.

    What was described before the action began counts for a day where it agrees with what the record
    has. A smaller timeout of before may have been raised since: it must not shorten the patience
    and the global limit of this action, so the group is to be described anew.
    """
    if seen is None:
        return None
    timeout = seen.timeouts.get(action.hook.name)
    if seen.at < action.started_at:
        is_recent = now - seen.at <= COUNTS_FOR
        if timeout is None or not is_recent or timeout < action.hook.heartbeat_timeout:
            return None
    action = replace(action, timeout_assumed=False)
    return action if timeout is None else shortened(action, timeout, now)


def shortened(action: Action, timeout: timedelta, now: datetime) -> Action:
    """The record under a heartbeat timeout that is smaller on its group; it is evaluated now.

    Whether a change concerns what waits already is not documented (aws-facts 2.6), so the smaller
    counts, and a later raise never lengthens what is open. A global limit that is past already was
    not made smaller: the instance still waits.
    """
    if timeout >= action.hook.heartbeat_timeout or not action.is_open:
        return action
    terms = replace(action.hook, heartbeat_timeout=timeout)
    after = replace(action, hook=terms, evaluate_at=now, booked_at=None)
    if after.ends_at <= now:
        after = replace(after, limit_at=action.ends_at)
    before = duration.written(action.hook.heartbeat_timeout)
    now_on_group = f"the hook on the group has a heartbeat timeout of {duration.written(timeout)}"
    detail = f"{now_on_group}, not {before}: the smaller one counts"
    return after.noted(now, "hook", detail)
