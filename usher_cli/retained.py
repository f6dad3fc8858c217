"""`usher retained` and `usher release`: instances that a failed termination has kept, and how they go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from usher.core.action import OperatorNote, Outcome, Result, Transition
from usher_cli.account import Trouble, with_account
from usher_cli.acts import Done
from usher_cli.change import ask, print_result
from usher_cli.change import reason as reason_callback
from usher_cli.fleet.fleet import or_fleet
from usher_cli.fleet.rows import print_rows
from usher_cli.prices import TABLE, per_day, read_prices
from usher_cli.printable import short, shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from usher.core.action import Action
    from usher_cli.account import Account
    from usher_cli.fleet.fleet import Fleet

_RETAINED: Final = ":Retained"  # the end of such a state (aws-facts 2.7)
_HEADINGS: Final = ("INSTANCE", "GROUP", "SINCE", "AGE", "TYPE", "A DAY", "WHY")
_UNKNOWN_WHY: Final = "no record of Usher tells"
_EXAMPLES: Final = """\
\b
Examples:
  usher retained
  usher retained --json | jq '.retained[] | select(.age_s > 86400) | .instance_id'
  usher retained --prices prices.json    {"c7g.large": 0.07} is the price of an hour
  usher retained --fleet fleet.yaml      all accounts and Regions of a fleet
  usher release i-0e21b37ca1b29fc99 --reason "looked into, a full disk"
"""


def retained_fleet(fleet: Fleet, prices: Path | None, *, as_json: bool) -> None:
    """The retained instances of all sites, oldest first."""
    table = read_prices(prices)
    answers = fleet.ask(lambda account, _: list_retained(account, table))
    rows = [(site, row) for site, found in answers.told for row in found["retained"]]
    rows.sort(key=lambda one: (one[1]["since"] or "", one[1]["instance_id"]))
    found: dict[str, Any] = {
        "retained": [{**site.names, **row} for site, row in rows],
        "cost_per_day": round(sum(of_site["cost_per_day"] for _, of_site in answers.told), 2),
        "without_price": sum(of_site["without_price"] for _, of_site in answers.told),
        "prices": TABLE if table is None else "your own",
        "failed": [each.data for each in answers.failed],
    }
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif rows:
        print_rows(_HEADINGS, [(site, _cells(row)) for site, row in rows])
        _print_sum(found, prices)
    elif answers.told:
        click.echo(f"No instance is retained in {len(answers.told)} accounts and Regions.")
    answers.finish()


@click.command(epilog=_EXAMPLES)
@click.option(
    "--prices",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="JSON with the price of an hour by instance type, instead of the table that Usher brings.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@or_fleet(retained_fleet)
@with_account
def retained(account: Account, prices: Path | None, *, as_json: bool) -> None:
    """Show the instances that failed terminations retain.

    They run, they cost money, and count for no capacity: look into each, then `usher release` it. Lists
    those of all groups of the account, as Auto Scaling describes them, oldest first.
    """
    found = list_retained(account, read_prices(prices))
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _print(found, prices)


def list_retained(account: Account, prices: Mapping[str, float] | None) -> dict[str, Any]:
    """What `usher retained --json` prints. These keys stay; others may be added."""
    now = account.machine.clock()
    rows = [_row(account, instance, prices, now) for instance in _described(account)]
    rows.sort(key=lambda row: (row["since"] or "", row["instance_id"]))
    costs = [row["cost_per_day"] for row in rows if row["cost_per_day"] is not None]
    return {
        "retained": rows,
        "cost_per_day": round(sum(costs), 2),
        "without_price": len(rows) - len(costs),
        "prices": TABLE if prices is None else "your own",
    }


def _described(account: Account, ids: list[str] | None = None) -> Iterator[Mapping[str, Any]]:
    """Retained instances as Auto Scaling describes them; of `ids`, whatever their state."""
    pages = account.client("autoscaling").get_paginator("describe_auto_scaling_instances")
    for page in pages.paginate(**({} if ids is None else {"InstanceIds": ids})):
        for instance in page["AutoScalingInstances"]:
            if ids is not None or instance["LifecycleState"].endswith(_RETAINED):
                yield instance


def _row(
    account: Account, instance: Mapping[str, Any], prices: Mapping[str, float] | None, now: datetime
) -> dict[str, Any]:
    action = _kept_by(account, instance)
    since = None if action is None else action.closed_at
    instance_type = instance.get("InstanceType", "")
    return {
        "instance_id": instance["InstanceId"],
        "group": instance["AutoScalingGroupName"],
        "state": instance["LifecycleState"],
        "availability_zone": instance.get("AvailabilityZone"),
        "since": written(since),
        "age_s": None if since is None else round((now - since).total_seconds(), 3),
        "hook": None if action is None else action.hook.name,
        "action_id": None if action is None else action.id,
        "why": _UNKNOWN_WHY if action is None else action.reason,
        "instance_type": instance_type or None,
        "cost_per_day": per_day(instance_type, prices),
    }


def _kept_by(account: Account, instance: Mapping[str, Any]) -> Action | None:
    """The newest termination of it that ended with ABANDON, by Usher or by default."""
    abandoned = [
        action
        for action in account.records.of_instance(instance["InstanceId"])
        if action.hook.transition is Transition.TERMINATING
        and action.hook.group == instance["AutoScalingGroupName"]
        and (action.result is Result.ABANDON or _fell(action))
    ]
    return abandoned[-1] if abandoned else None


def _fell(action: Action) -> bool:
    return action.outcome is Outcome.DEFAULTED and action.hook.default_result is Result.ABANDON


def _print(found: Mapping[str, Any], prices: Path | None) -> None:
    rows = found["retained"]
    if not rows:
        click.echo("No instance is retained.")
        return
    table = Table(*_HEADINGS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*_cells(row))
    console = Console(highlight=False, emoji=False, markup=False)
    console.print(table)
    _print_sum(found, prices)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    cost = row["cost_per_day"]
    return (
        row["instance_id"],
        shown(row["group"]),
        (row["since"] or "unknown")[:19],
        "-" if row["age_s"] is None else short(row["age_s"]),
        row["instance_type"] or "-",
        "-" if cost is None else f"{cost:.2f}",
        shown(row["why"]),
    )


def _print_sum(found: Mapping[str, Any], prices: Path | None) -> None:
    lacking = found["without_price"]
    without = f", without {lacking} whose price is not known" if lacking else ""
    source = f"prices of {prices}" if prices else f"prices: {TABLE}"
    click.echo(f"{len(found['retained'])} retained, {found['cost_per_day']:.2f} a day{without} ({source}).")


@click.command()
@click.argument("instance_id", metavar="INSTANCE")
@click.option("--reason", required=True, callback=reason_callback, help="Why; recorded in the timeline.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def release(account: Account, instance_id: str, reason: str, *, yes: bool, as_json: bool) -> None:
    """Let a retained instance be terminated.

    The order is stored, and then Auto Scaling is asked to terminate the instance, without a decrement. That
    begins its termination hooks anew; Usher completes them with CONTINUE, so that it is not retained again. A
    policy with `mode: observe` sends nothing, so in its hook the default result counts.
    """
    found = retained_instance(account, instance_id)
    ask(f"Terminate {instance_id} of {found['AutoScalingGroupName']}?", yes=yes)
    done = let_go(account, found, reason)
    print_result(done.data, done.sentence, as_json=as_json)


def retained_instance(account: Account, instance_id: str) -> Mapping[str, Any]:
    """As Auto Scaling describes it. Raises Trouble where it is not retained."""
    found = next(_described(account, [instance_id]), None)
    if found is None:
        raise Trouble(f"Auto Scaling knows no instance {instance_id}: see `usher retained`.")
    state = found["LifecycleState"]
    if not state.endswith(_RETAINED):
        raise Trouble(f"{instance_id} is not retained, but {state}: `usher retained` lists those that are.")
    return found


def let_go(account: Account, found: Mapping[str, Any], reason: str) -> Done:
    """Store the order to let a retained instance go, and have it terminated. Raises Trouble."""
    instance_id = found["InstanceId"]
    order = OperatorNote(who=account.who(), at=account.aws_time(), reason=reason)
    account.records.keep_release(instance_id, order)
    try:
        answer = account.client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
        )
    except (ClientError, BotoCoreError) as error:
        raise Trouble(
            f"The order is stored, but {instance_id} was not terminated: {error}. Run the command again."
        ) from error
    data = {"instance_id": instance_id, "group": found["AutoScalingGroupName"], "by": order.who}
    data |= {"at": written(order.at), "reason": reason, "activity_id": answer["Activity"]["ActivityId"]}
    return Done(data, f"{instance_id} is being terminated: `usher show {instance_id}` tells how it goes.")
