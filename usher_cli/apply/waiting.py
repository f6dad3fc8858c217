"""Follows the hooks of a version until they stand as it asks."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

import click

from usher_cli.plan.command import planned, reading_groups
from usher_cli.plan.steps import Step
from usher_cli.printable import short, shown

if TYPE_CHECKING:
    from usher.core.file_versions import FileVersion
    from usher_cli.account import Account

_FIRST_LOOKS: Final = timedelta(seconds=10)  # one item of the table
# A plan costs a call for every group that the file selects: at most one a second, on average.
_BETWEEN_PLANS: Final = (timedelta(seconds=10), timedelta(seconds=60))
_TO_COME: Final = (Step.ENROL, Step.CHANGE, Step.RESTORE, Step.RECLAIM, Step.RETIRE)


class Hooks(Enum):
    """How it ended."""

    STAND = "stand"
    IN_CONFLICT = "in conflict"
    REPLACED = "replaced"


def wait_for_hooks(account: Account, version: FileVersion) -> Hooks:
    """Tell the progress on stderr until nothing is left to be done, or another version counts."""
    if not _is_in_force(account, version):
        return Hooks.REPLACED
    while True:
        with reading_groups():
            plan = planned(account, version.file)
        left = [row for row in plan.rows if row.step in _TO_COME]
        if _newest(account) != version.number:
            _tell(f"Version {_newest(account)} was applied meanwhile: `usher config history` tells why.")
            return Hooks.REPLACED
        if not left:
            break
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


def _is_in_force(account: Account, version: FileVersion) -> bool:
    """Wait until the sweep enrols by the version; False where it goes over to a later one."""
    told = ""
    while True:
        in_force = account.hook_items().in_force()
        number = in_force.version if in_force else None
        if number == version.number:
            return True
        if _newest(account) != version.number:
            _tell(f"Version {_newest(account)} was applied meanwhile: `usher config history` tells why.")
            return False
        left = (version.effective_at - account.machine.clock()).total_seconds()
        text = f"In effect in {short(left)} ..." if left > 0 else "In effect; waiting for the next sweep ..."
        if text != told:
            _tell(text)
        told = text
        account.machine.wait(_FIRST_LOOKS)


def _newest(account: Account) -> int:
    return account.versions().schedule().newest


def _tell(text: str) -> None:
    click.echo(shown(text), err=True)
