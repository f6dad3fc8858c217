"""`usher list --offline`: what waits, by the live state alone, and the commands that hold it by hand."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from usher.aws.waiting import WaitingApi
from usher.core import wait_moves
from usher.core.policy import glob_fits
from usher.ports.errors import CallRefused, GroupGone, TryLater
from usher_cli.account import Trouble
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from usher.core.hook_items import HookSeen
    from usher.core.live_waits import LiveGroup
    from usher.ports.autoscaling import LiveWaits
    from usher_cli.account import Account
    from usher_cli.listing import Wish

_TARGETS = ("InboxArn", "TopicArn", "IntakeArn")  # outputs of the stack: what Usher's hooks notify


def list_offline(account: Account, wish: Wish, *, as_json: bool) -> None:
    """Print what waits in hooks that notify Usher, or nobody; the table is not asked.

    All of it, whatever the limit: a command that is left out is an instance that falls.
    """
    targets = {account.outputs[name] for name in _TARGETS if name in account.outputs}
    live = WaitingApi(account.client("autoscaling"))
    try:
        found = list(waiting(live, targets, wish, account.machine.clock))
    except (TryLater, CallRefused) as error:
        raise Trouble(f"Auto Scaling does not say what waits: {error}. Try again.") from error
    for one in found:
        one["command"] = _command(one, account.place.region)
    if as_json:
        click.echo(json.dumps({"waiting": len(found), "actions": found}, indent=1))
        return
    for one in found:
        whose = "" if one["ours"] else "  # notifies nobody: by EventBridge it may be Usher's"
        click.echo(shown(f"{one['command']}{whose}"))
    click.echo(f"{len(found)} wait. Each command holds one for its heartbeat timeout.", err=True)


def waiting(
    live: LiveWaits, targets: Collection[str], wish: Wish, clock: Callable[[], datetime]
) -> Iterator[dict[str, Any]]:
    """The instances that wait, with each hook that may hold them. May raise TryLater and CallRefused."""
    for group in live.live_groups(None, clock):
        if wish.group is not None and not glob_fits(wish.group, group.name):
            continue
        try:
            whole = group.with_pool(live.pool(group.name, clock)) if group.has_pool else group
            if any(wait_moves.moves_of(member.state) for member in whole.members.values()):
                yield from _in(whole, live.hooks_of(group.name), targets, wish)
        except GroupGone:
            continue


def _in(
    group: LiveGroup, hooks: Collection[HookSeen], targets: Collection[str], wish: Wish
) -> Iterator[dict[str, Any]]:
    """A hook that notifies someone else is not ours; one that notifies nobody may be."""
    for hook in hooks:
        target = hook.settings.target_arn
        if target is not None and target not in targets:
            continue
        if wish.hook is not None and not glob_fits(wish.hook, hook.name):
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


def _command(one: dict[str, Any], region: str | None) -> str:
    words = ["aws", "autoscaling", "record-lifecycle-action-heartbeat"]
    words += ["--auto-scaling-group-name", one["group"], "--lifecycle-hook-name", one["hook"]]
    words += ["--instance-id", one["instance_id"], *(["--region", region] if region else [])]
    return shlex.join(words)
