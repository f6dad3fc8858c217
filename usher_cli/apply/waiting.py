"""Follows the hooks of a version until they stand as it asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

import click

from usher_cli.plan.command import planned, reading_groups
from usher_cli.plan.steps import Step
from usher_cli.printable import short, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.file_versions import FileVersion
    from usher_cli.account import Account
    from usher_cli.plan.steps import Plan, Row

_FIRST_LOOKS: Final = timedelta(seconds=10)  # one item of the table
# A plan costs a call for every group that the file selects: at most one a second, on average.
_BETWEEN_PLANS: Final = (timedelta(seconds=10), timedelta(seconds=60))
_PATIENCE: Final = timedelta(minutes=10)  # a sweep begins each minute, and a pass over the hooks every two
_MOST_TOLD: Final = 20  # hooks that are left
_AGAIN: Final = "`usher apply --wait` with the same file follows on"
_TO_COME: Final = (Step.ENROL, Step.CHANGE, Step.RESTORE, Step.RECLAIM, Step.RETIRE)


class Hooks(Enum):
    """How it ended."""

    STAND = "stand"
    IN_CONFLICT = "in conflict"
    REPLACED = "replaced"
    STUCK = "stuck"


@dataclass(kw_only=True, slots=True)
class _Progress:
    """Since when no hook has come to stand that was left to be done."""

    since: datetime
    left: frozenset[tuple[str, str]] = frozenset()

    def is_over(self, plan: Plan, left: Sequence[Row], now: datetime) -> bool:
        """Whether that is too long; not where the hooks that may be put in this hour are."""
        before, self.left = self.left, frozenset((row.group, row.hook) for row in left)
        is_paced = plan.by_sweep > 0 and plan.pace is not None and plan.pace.left == 0
        if is_paced or before - self.left:
            self.since = now
        return now - self.since >= _PATIENCE


def wait_for_hooks(account: Account, version: FileVersion) -> Hooks:
    """Tell the progress on stderr until all stand, none has come to for long, or another version counts."""
    ended = _until_in_force(account, version)
    if ended is not None:
        return ended
    progress = _Progress(since=account.machine.clock())
    while True:
        with reading_groups():
            plan = planned(account, version.file)
        left = [row for row in plan.rows if row.step in _TO_COME]
        if _newest(account) != version.number:
            _tell(f"Version {_newest(account)} was applied meanwhile: `usher config history` tells why.")
            return Hooks.REPLACED
        if not left:
            break
        if progress.is_over(plan, left, account.machine.clock()):
            _tell_what_is_left(left)
            return Hooks.STUCK
        _tell(f"{plan.enrolled} of {plan.groups} groups have all their hooks; hooks left: {len(left)}.")
        least, most = _BETWEEN_PLANS
        account.machine.wait(min(most, max(least, timedelta(seconds=plan.groups))))
    conflicts = [row for row in plan.rows if row.step is Step.CONFLICT]
    for row in conflicts:
        _tell(f"conflict: {row.hook} on {row.group}: {row.reason}")
    if conflicts:
        return Hooks.IN_CONFLICT
    _tell(f"The hooks of version {version.number} are on {plan.enrolled} of {plan.groups} groups.")
    return Hooks.STAND


def _until_in_force(account: Account, version: FileVersion) -> Hooks | None:
    """Wait until the sweep enrols by the version; else how it ended."""
    told, patient_from = "", max(version.effective_at, account.machine.clock())
    while True:
        in_force = account.hook_items().in_force()
        number = in_force.version if in_force else None
        if number == version.number:
            return None
        if _newest(account) != version.number:
            _tell(f"Version {_newest(account)} was applied meanwhile: `usher config history` tells why.")
            return Hooks.REPLACED
        now = account.machine.clock()
        if now - patient_from >= _PATIENCE:
            lasts = short((now - version.effective_at).total_seconds())
            _tell(
                f"Version {version.number} has been in effect for {lasts}, and no sweep has begun with its "
                f"hooks: `usher status` and the runbook NoSweep in docs/operations.md tell why; {_AGAIN}."
            )
            return Hooks.STUCK
        left = (version.effective_at - now).total_seconds()
        text = f"In effect in {short(left)} ..." if left > 0 else "In effect; waiting for the next sweep ..."
        if text != told:
            _tell(text)
        told = text
        account.machine.wait(_FIRST_LOOKS)


def _tell_what_is_left(left: Sequence[Row]) -> None:
    for row in left[:_MOST_TOLD]:
        _tell(f"left: {row.step} {row.hook} on {row.group}: {row.reason}")
    if len(left) > _MOST_TOLD:
        _tell(f"… and {len(left) - _MOST_TOLD} more: `usher plan` has all of them.")
    _tell(
        f"For {short(_PATIENCE.total_seconds())} no hook has come to stand. `usher status` and the runbooks "
        f"HookDrift and NoSweep in docs/operations.md tell why; {_AGAIN}."
    )


def _newest(account: Account) -> int:
    return account.versions().schedule().newest


def _tell(text: str) -> None:
    click.echo(shown(text), err=True)
