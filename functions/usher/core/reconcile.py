"""Compares live wait states with the records: what waits no more, what may be dead, which hooks changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core import closing
from usher.core.action import Action, Phase
from usher.core.live_waits import SETTLED
from usher.core.wait_moves import waits_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from usher.core.hook_items import HookSeen
    from usher.core.live_waits import LiveGroup
    from usher.core.policy import Hook


def waits_no_more(action: Action, group: LiveGroup | None, seen_at: datetime) -> str | None:
    """What the live state says against an open record; None where nothing does.

    No proof: reads lag, so the record is evaluated, and Auto Scaling is asked by a heartbeat.
    `group` None: there is no such group at `seen_at`.
    """
    if action.phase is not Phase.OPEN or action.activity_end is not None:
        return None
    if _last_known_to_wait(action) > seen_at - SETTLED:
        return None
    if group is None:
        return "its group is gone"
    member = group.members.get(action.instance_id)
    if member is None:
        return "the instance is no longer in its group" if group.is_whole else None
    return None if waits_in(action, member.state) else f"the instance is {member.state}"


def _last_known_to_wait(action: Action) -> datetime:
    """In observe mode no heartbeat was sent, whatever `beaten_at` says."""
    beaten_at = action.beaten_at if action.heartbeats else None
    return beaten_at or action.started_at


def doubted(action: Action, detail: str, now: datetime) -> Action:
    """The record, to be evaluated now, and asked whether its wait goes on.

    Once the expiry is past no doubt is noted: the evaluation asks all the same, and what ended then fell
    to the default result. The doubt dates from when it was last known to wait, so that the outcome
    event, which may come two minutes late, is newer.
    """
    action = replace(action, evaluate_at=now).noted(now, "live state", detail)
    if now >= action.expires_at:
        return action
    activity_id = action.activity_id or "live-state"
    doubt = replace(
        closing.own_end(action, activity_id, _last_known_to_wait(action), detail), is_inferred=True
    )
    return replace(action, activity_end=doubt)


def may_be_dead(open_actions: Iterable[Action], groups: Mapping[str, LiveGroup]) -> list[Action]:
    """The open records of instances that wait and are unhealthy: EC2 may have ended them."""
    return [
        action
        for action in open_actions
        if action.instance_ended_at is None
        and action.phase is Phase.OPEN
        and (group := groups.get(action.hook.group)) is not None
        and (member := group.members.get(action.instance_id)) is not None
        and not member.is_healthy
    ]


def drifts(hooks: Mapping[str, Hook], on_group: Sequence[HookSeen]) -> dict[str, str]:
    """What is wrong with the hooks that CloudFormation put on a group, by name.

    The enrolment mends what is given by glob or tags itself.
    """
    seen = {hook.name: hook.settings for hook in on_group}
    found: dict[str, str] = {}
    for name, hook in hooks.items():
        if hook.group.glob is None or "*" in hook.group.glob:
            continue
        live = seen.get(name)
        if live is None:
            found[name] = "does not exist on the group"
        elif differing := [
            field
            for field in ("transition", "heartbeat_timeout", "default_result")
            if getattr(live, field) != getattr(hook, field)
        ]:
            found[name] = f"is not as configured in {', '.join(differing)}"
    return found
