"""`usher install` and `usher upgrade`: a change set, shown, asked for and followed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from usher_cli.account import Trouble
from usher_cli.change import ask
from usher_cli.install import bucket as buckets
from usher_cli.install import change_set, stack
from usher_cli.install.maker import OF_STACK_SETS
from usher_cli.install.options import KEY_ARN, ROLE_PATH, values, with_parameters
from usher_cli.install.release import VERSION, release_of
from usher_cli.install.site import Site, with_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from usher_cli.install.change_set import ChangeSet
    from usher_cli.install.release import Release
    from usher_cli.install.stack import Stack

_YES: Final = click.option("--yes", is_flag=True, help="Do not ask.")
_BUCKET: Final = click.option(
    "--bucket",
    "given_bucket",
    metavar="NAME",
    help="A bucket of yours in the Region.  [default: Usher's own; of an upgrade, that of the stack]",
)
_EXIT_CODES: Final = """
\b
Exit codes:
  0  done, or there was nothing to do
  1  not confirmed: nothing was changed
  2  it failed: the message says what is left; or wrong usage
"""
_INSTALL_EXAMPLES: Final = f"""
\b
Examples:
  usher install
  usher install --tag-value production --alarm-email ops@example.com
  usher install --function-arn arn:aws:lambda:eu-west-1:123456789012:function:ready
{_EXIT_CODES}"""
_UPGRADE_EXAMPLES: Final = f"""
\b
Examples:
  usher upgrade
  usher upgrade --alarm-email ops@example.com
  usher upgrade --function-arn ''       no function may be invoked any more
{_EXIT_CODES}"""
_NEXT: Final = """\
Usher {version} is installed and manages nothing yet. Next:

  1. Tag the groups that it may manage: usher={tag}
  2. usher init --output my-hooks.yaml  drafts a hooks file from your groups; activate the hooks that you want
  3. usher apply my-hooks.yaml --reason "first hooks"
  4. usher status\
"""


@click.command(epilog=_INSTALL_EXAMPLES)
@with_parameters
@KEY_ARN
@ROLE_PATH
@_BUCKET
@_YES
@with_site
def install(site: Site, given_bucket: str | None, *, yes: bool, **given: Any) -> None:  # noqa: ANN401 - options
    """Install Usher in an account and Region, with CloudFormation alone.

    It uploads the functions into a bucket, shows what CloudFormation would make, asks, and follows it.
    It needs neither Node nor the CDK. If it fails, it removes what it made.
    """
    release, parameters = release_of(site.machine), values(given)
    if site.stack.startswith(OF_STACK_SETS):
        raise Trouble(
            f"A name that begins with {OF_STACK_SETS} is for stacks of a StackSet: give another by --stack."
        )
    _refuse_installed(site, stack.find(site))
    bucket = buckets.find_or_make(site, given_bucket)
    with _bucket_gone_on_failure(site, bucket):
        template_url = buckets.upload(site, bucket, release)
        parameters |= {"CodeBucket": bucket, "CodeKey": release.functions_key}
        with _no_stack_on_failure(site):
            planned = change_set.create(site, "CREATE", template_url, _given(parameters))
            _agree(planned, f"Install Usher {release.version} as {site}, account {site.account}?", yes=yes)
            ended = planned.execute()
            if ended.status != "CREATE_COMPLETE":
                raise Trouble(f"The installation failed, and nothing is left of it: {ended.why}.")
    made = stack.find(site)
    tag = made.parameters.get("TagValue", "") if made else ""
    click.echo(_NEXT.format(version=release.version, tag=tag))


@click.command(epilog=_UPGRADE_EXAMPLES)
@with_parameters
@click.option("--allow-older", is_flag=True, help="Go back to the older release that this command is.")
@_BUCKET
@_YES
@with_site
def upgrade(
    site: Site,
    given_bucket: str | None,
    *,
    allow_older: bool,
    yes: bool,
    **given: Any,  # noqa: ANN401 - options
) -> None:
    """Bring an installed Usher to this release, or change its parameters.

    What is not given stays as it is, whatever the default of an installation is. No open action is
    touched. If it fails, CloudFormation goes back to what was there before.
    """
    release, parameters = release_of(site.machine), values(given)
    installed = _installed(site, stack.find(site))
    _refuse_older(installed, release, allow_older=allow_older)
    if given_bucket is None:
        bucket = buckets.find_again(site, installed.parameters["CodeBucket"])
    else:
        bucket = buckets.find_or_make(site, given_bucket)
        parameters |= {"CodeBucket": bucket}
    template_url = buckets.upload(site, bucket, release)
    parameters |= {"CodeKey": release.functions_key}
    planned = change_set.create(site, "UPDATE", template_url, _kept(installed, release, parameters))
    if not planned.changes:
        click.echo(f"Usher {release.version} is installed as asked for: nothing changes.")
        return
    planned.refuse_replacements()
    try:
        _agree(planned, f"Upgrade {site}, account {site.account}, to Usher {release.version}?", yes=yes)
    except click.exceptions.Exit:
        planned.discard()
        raise
    ended = planned.execute()
    if ended.status != "UPDATE_COMPLETE":
        raise Trouble(f"The upgrade failed, and the stack is {ended.status}: {ended.why}.")
    click.echo(f"Usher {release.version} is installed. `usher status` tells how it stands.")


def _agree(planned: ChangeSet, question: str, *, yes: bool) -> None:
    planned.show()
    ask(question, yes=yes)


def _given(parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]


def _kept(installed: Stack, release: Release, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    """The given values, and the stack's own of what is not given and the template still has."""
    others = sorted((installed.parameters.keys() & release.parameters) - parameters.keys())
    return [*_given(parameters), *({"ParameterKey": name, "UsePreviousValue": True} for name in others)]


def _refuse_installed(site: Site, found: Stack | None) -> None:
    if found is None or found.status == "REVIEW_IN_PROGRESS":  # an installation that nobody confirmed
        return
    stack.refuse_busy(site, found)
    if not found.stands:
        raise Trouble(
            f"A failed installation left {site} ({found.status}): {found.to_remove}, then this again."
        )
    if not found.is_released:
        raise Trouble(f"There is a {site} that `usher install` did not make: give another name by --stack.")
    raise Trouble(f"Usher is installed as {site}: {found.to_upgrade}, or give another name by --stack.")


def _installed(site: Site, found: Stack | None) -> Stack:
    """The stack, if it can be upgraded. Raises Trouble."""
    if found is None or found.status == "REVIEW_IN_PROGRESS":
        raise Trouble(f"There is no {site}: run `usher install`, or check --region and --stack.")
    stack.refuse_busy(site, found)
    if found.other_maker:
        raise Trouble(
            f"`usher install` did not make {site}, but {found.other_maker} did: upgrade it by that."
        )
    if found.status == "UPDATE_ROLLBACK_FAILED":
        raise Trouble(
            f"The rollback of {site} failed: its events say why. Then run `aws cloudformation "
            f"continue-update-rollback --stack-name {site.stack}`, and this again."
        )
    if not found.stands:
        raise Trouble(
            f"A failed installation left {site} ({found.status}): run `usher uninstall` and `usher install`."
        )
    return found


def _refuse_older(installed: Stack, release: Release, *, allow_older: bool) -> None:
    there = installed.outputs.get(VERSION, "0")
    if _parts(there) > _parts(release.version) and not allow_older:
        raise Trouble(
            f"Usher {there} is installed, and this command is {release.version}: install "
            f"usher-hooks {there} or later with its extra [aws], or go back with --allow-older."
        )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


@contextmanager
def _bucket_gone_on_failure(site: Site, bucket: str) -> Iterator[None]:
    """Remove the bucket, if Usher made it, where the block fails or the operator declines."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if stack.find(site) is None:
            buckets.remove(site, bucket)
        raise


@contextmanager
def _no_stack_on_failure(site: Site) -> Iterator[None]:
    """Delete what the block leaves of a stack that was not made."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        left = stack.find(site)
        if left is not None and left.is_busy:
            click.echo(f"CloudFormation goes on with {site}: `usher status` tells how it ends.", err=True)
        elif left is not None and not left.stands:
            ended = stack.delete(site, left)
            if ended.status != stack.DELETED:
                raise Trouble(
                    f"The installation failed, and so did removing it: {ended.why}. Run `usher uninstall`."
                ) from error
        raise
