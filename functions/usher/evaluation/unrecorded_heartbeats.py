"""The record of a wait learns of the heartbeats that were sent without the table (ADR 19)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core.held_wait import is_of, with_heartbeats
from usher.ports.errors import Moved, NotRecorded

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.held_wait import HeldWait
    from usher.evaluation.record_writer import RecordWriter
    from usher.ports.records import ActionLookup


def learned(action: Action, wait: HeldWait, writer: RecordWriter, now: datetime) -> Action | None:
    """The record, which knows now of those of `wait`, due at once; None: another state is stored by now."""
    after = with_heartbeats(action, wait, now)
    if after is action:
        return action
    if after.is_open:
        after = replace(after, evaluate_at=now)  # the outage may have kept it from more than this
    try:
        return writer.put(after)
    except Moved:
        return None


def record_of(wait: HeldWait, store: ActionLookup) -> Action | None:
    """The record of a wait that is not named by the record's id. Raises NotRecorded."""
    if wait.token is not None:
        action = store.of_token(wait.token)
    else:
        of_instance = store.of_instance(wait.instance_id)
        action = next((each for each in reversed(list(of_instance)) if is_of(wait, each)), None)
    if action is None and not wait.is_over:
        raise NotRecorded(f"the wait of {wait.instance_id} in {wait.hook} is not recorded yet")
    return action
