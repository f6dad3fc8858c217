"""`usher uninstall`: the stack goes, which releases what waits; then the bucket that Usher made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from botocore.exceptions import BotoCoreError, ClientError

from usher.core.policy import Mode
from usher.ports.errors import Unavailable
from usher_cli.account import Trouble
from usher_cli.change import ask
from usher_cli.install import bucket as buckets
from usher_cli.install import stack
from usher_cli.install.maker import other_maker
from usher_cli.install.site import Site, with_site
from usher_cli.open_actions import OpenActionsTable
from usher_cli.printable import shown

if TYPE_CHECKING:
    from usher_cli.install.stack import Ended, Stack

_SHOWN_MAX: Final = 20
_EXAMPLES: Final = """
\b
Examples:
  usher uninstall
  usher uninstall --yes

\b
Exit codes:
  0  Usher is gone, or was not there
  1  not confirmed: nothing was changed
  2  it is not gone yet: the message says why. Run it again, and it goes on where it was cut off
"""


@click.command(epilog=_EXAMPLES)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_site
def uninstall(site: Site, *, yes: bool) -> None:
    """Release what waits, and remove Usher from an account and Region.

    First every instance that waits is released with CONTINUE, or as an operator requested: one that
    launches goes into service as it is. Then Usher's hooks are deleted, and the stack, and the bucket if
    `usher install` made it. The records and dead letters are kept.
    """
    found = stack.find(site)
    if found is None:
        _remove_bucket(site, buckets.default_name(site))
        click.echo(f"There is no {site}: nothing is left to remove.")
        return
    stack.refuse_busy(site, found)
    maker = other_maker(found.name, found.parameters)
    if maker:
        raise Trouble(
            f"`usher install` did not make {site}, but {maker} did: remove it by that. If that has given it "
            f"up, `aws cloudformation delete-stack --stack-name {site.stack}` releases what waits, too."
        )
    if not found.is_released and found.status != "REVIEW_IN_PROGRESS":  # which has no parameters yet
        raise Trouble(
            f"`usher install` did not make {site}: if the CDK did, destroy it by the CDK; else check --stack."
        )
    table_is_gone = not _tell_what_waits(site, found)
    ask(f"Remove {site}, account {site.account}?", yes=yes)
    kept = _kept(site, found)
    ended = stack.delete(site, found)
    if ended.status != stack.DELETED and table_is_gone:
        raise Trouble(
            f"{ended.why}. The table is gone: first complete what waits (`usher list --offline` lists it), "
            f"because deleting a launch hook terminates its instances. Then delete the hooks that notify "
            f"{found.outputs.get('InboxArn', 'the inbox')}, and run `aws cloudformation delete-stack "
            f"--stack-name {site.stack} --retain-resources {_failed(ended)}`."
        )
    if ended.status != stack.DELETED:
        raise Trouble(f"{ended.why}. Then run `usher uninstall` again: it goes on from here.")
    own = buckets.default_name(site)
    for name in sorted({own, found.parameters.get("CodeBucket", own)}):  # an upgrade may have changed it
        _remove_bucket(site, name)
    click.echo(f"Usher is removed: there is no {site} any more.")
    if kept:
        click.echo("Kept, with what was recorded; delete them when nobody needs them any more:")
    for line in kept:
        click.echo(shown(f"  {line}"))


def _failed(ended: Ended) -> str:
    return " ".join(reason.partition(":")[0] for reason in ended.reasons)


def _tell_what_waits(site: Site, found: Stack) -> bool:
    """On stderr; False where the table is gone. Else, what cannot be told, the deletion still releases."""
    table = found.outputs.get("TableName")
    if table is None:
        return True  # the stack never stood
    actions = OpenActionsTable(site.client("dynamodb"), table)
    try:
        loaded = actions.load(actions.ids())
    except (BotoCoreError, ClientError, Unavailable) as error:
        click.echo(shown(f"What waits cannot be told: {' '.join(str(error).split())}"), err=True)
        return "ResourceNotFoundException" not in f"{error}{error.__cause__}"
    held = [action for action in loaded.actions if action.policy.mode is not Mode.OBSERVE]
    count, observed = len(held) + len(loaded.unreadable), len(loaded.actions) - len(held)
    if not count:
        click.echo("No instance waits for Usher.", err=True)
    else:
        said = "1 action is open, and is" if count == 1 else f"{count} actions are open, and each is"
        click.echo(f"{said} released with CONTINUE; one that launches goes into service as it is:", err=True)
    width = max((len(action.hook.group) for action in held[:_SHOWN_MAX]), default=0)
    for action in held[:_SHOWN_MAX]:
        name = action.instance_id or action.id
        click.echo(shown(f"  {name}  {action.hook.group:<{width}}  {action.hook.name}"), err=True)
    if count > len(held[:_SHOWN_MAX]):
        click.echo(f"  … and {count - len(held[:_SHOWN_MAX])} more", err=True)
    if observed:
        click.echo(f"Only observed: {observed}. Usher sends nothing for these.", err=True)
    return True


def _kept(site: Site, found: Stack) -> list[str]:
    """What outlives the stack, by its type and name."""
    if not found.outputs:
        return []
    told = site.client("cloudformation").get_template(StackName=found.id)["TemplateBody"]
    retained = {
        name for name, each in told["Resources"].items() if "Retain" in each.get("DeletionPolicy", "")
    }
    pages = site.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=found.id)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    return sorted(
        f"{each['ResourceType']}  {each['PhysicalResourceId']}"
        for each in resources
        if each["LogicalResourceId"] in retained
    )


def _remove_bucket(site: Site, name: str) -> None:
    try:
        is_removed = buckets.remove(site, name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        click.echo(f"Bucket {name} stays: it is of another account, or you may not remove it.", err=True)
        return
    if is_removed:
        click.echo(f"Removed bucket {name}.", err=True)
