"""`usher list --offline`: what waits according to Auto Scaling alone, and commands that hold it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from usher.aws.waiting import WaitingApi
from usher.core import wait_moves
from usher.core.globs import glob_fits
from usher.ports.errors import CallRefused, GroupGone, TryLater
from usher_cli.account import Trouble
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from usher.core.hook_items import HookSeen
    from usher.core.live_waits import LiveGroup
    from usher.ports.autoscaling import LiveWaits
    from usher_cli.account import Account, Place
    from usher_cli.listing import Selection

_TARGETS = ("InboxArn", "TopicArn", "IntakeArn")  # outputs of the stack: what Usher's hooks notify


def list_offline(account: Account, selection: Selection, *, as_json: bool) -> None:
    """Print what waits in hooks that notify Usher, or have no target; the table is not read.

    All of it, whatever the limit: without its command an instance would get its default result.
    """
    targets = {account.outputs[name] for name in _TARGETS if name in account.outputs}
    live = WaitingApi(account.client("autoscaling"))
    try:
        found = list(waiting(live, targets, selection, account.machine.clock))
    except (TryLater, CallRefused) as error:
        raise Trouble(f"Auto Scaling did not list the waiting instances: {error}. Try again.") from error
    for wait in found:
        wait["command"] = command_of(wait, account.place)
    if as_json:
        click.echo(json.dumps({"waiting": len(found), "actions": found}, indent=1))
        return
    for wait in found:
        comment = "" if wait["ours"] else "  # this hook has no target; it is Usher's if it uses EventBridge"
        click.echo(shown(f"{wait['command']}{comment}"))
    count = "1 command" if len(found) == 1 else f"{len(found)} commands, one for each instance and hook"
    click.echo(
        f"{count}. Each holds its instance for the heartbeat timeout; where it does not wait in that hook, "
        "AWS answers `No active Lifecycle Action`.",
        err=True,
    )


def waiting(
    live: LiveWaits, targets: Collection[str], selection: Selection, clock: Callable[[], datetime]
) -> Iterator[dict[str, Any]]:
    """The instances that wait, with each hook that may hold them. May raise TryLater and CallRefused."""
    for group in live.live_groups(None, clock):
        if selection.group is not None and not glob_fits(selection.group, group.name):
            continue
        try:
            whole = group.with_pool(live.pool(group.name, clock)) if group.has_pool else group
            if any(wait_moves.moves_of(member.state) for member in whole.members.values()):
                yield from _in(whole, live.hooks_of(group.name), targets, selection)
        except GroupGone:
            continue


def _in(
    group: LiveGroup, hooks: Collection[HookSeen], targets: Collection[str], selection: Selection
) -> Iterator[dict[str, Any]]:
    """A hook with another target is not ours; one without a target may be."""
    for hook in hooks:
        target = hook.settings.target_arn
        if target is not None and target not in targets:
            continue
        if selection.hook is not None and not glob_fits(selection.hook, hook.name):
            continue
        for member in group.members.values():
            if any(move.transition is hook.settings.transition for move in wait_moves.moves_of(member.state)):
                yield {
                    "instance_id": member.instance_id,
                    "group": group.name,
                    "hook": hook.name,
                    "state": member.state,
                    "heartbeat_timeout_s": hook.settings.heartbeat_timeout.total_seconds(),
                    "ours": target is not None,
                }


def command_of(wait: dict[str, Any], place: Place) -> str:
    """What holds the instance once, in the same account and Region as this command asks."""
    words = ["aws", "autoscaling", "record-lifecycle-action-heartbeat"]
    words += ["--auto-scaling-group-name", wait["group"], "--lifecycle-hook-name", wait["hook"]]
    words += ["--instance-id", wait["instance_id"]]
    for option, value in (
        ("--profile", place.profile),
        ("--region", place.region),
        ("--endpoint-url", place.endpoint_url),
    ):
        words += [option, value] if value else []
    return shlex.join(words)
