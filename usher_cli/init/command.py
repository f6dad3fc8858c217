"""`usher init`: a hooks file drafted from the groups and hooks of an account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from usher.ports.errors import CallRefused, TryLater
from usher_cli.account import STACK, Trouble, with_clients
from usher_cli.init.draft import draft
from usher_cli.init.groups import read
from usher_cli.init.text import target_of, written
from usher_cli.printable import shown
from usher_hooksfile.load import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_cli.init.draft import Draft, ExistingHook, GroupDraft
    from usher_cli.init.groups import Group

_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_TARGETS: Final = ("InboxArn", "TopicArn", "IntakeArn")  # outputs of Usher's stack

_EXAMPLES: Final = """
\b
Examples:
  usher init
  usher init --output hooks.yaml
  usher init --group 'web-*' --region eu-west-1
  usher init --json | jq '.groups[] | select(.without_hook != [])'

\b
Verdicts on existing hooks:
  take over    it is in the file with exactly its settings, and a policy that only observes
  leave alone  a service of AWS uses it, or the file can have no hook for its group
  conflict     it needs a decision: it notifies someone else, or hooks.yaml does not allow its settings
  ours         it notifies Usher (see --stack)

\b
Exit codes:
  0  success
  2  wrong usage, an account that cannot be read, or an output that exists or cannot be written
"""


@click.command(name="init", epilog=_EXAMPLES)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the file here; it must not exist.",
)
@click.option("--group", "glob", default="*", metavar="GLOB", help="Only groups whose names match.")
@click.option(
    "--stack",
    metavar="NAME",
    help=f"The stack of a deployed Usher, to recognize its hooks.  [default: {STACK}, if it is there]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_clients
def init(
    client: Callable[[str], Any], output: Path | None, glob: str, stack: str | None, *, as_json: bool
) -> None:
    """Draft a hooks file from the Auto Scaling groups of an account.

    For each group it lists the existing hooks, who put them if that shows, and what Usher would do with
    them; and it proposes hooks for transitions without one, with policies guessed from what the group runs.
    Deploying the draft unchanged has no effect. The command only reads: one call for a hundred groups, and
    one for each group.
    """
    if output is not None and output.exists():
        raise Trouble(f"{output} exists: use another --output, or move the file away.")
    ours = _targets_of(client, stack)
    drafted = draft(_read(client("autoscaling"), glob), ours)
    text = written(drafted)
    if len(text.encode()) > MOST_BYTES:
        raise Trouble(f"{len(drafted.groups)} groups are too many for one file: select some with --group.")
    if output is not None:
        _write(output, text)
    if as_json:
        click.echo(json.dumps(as_data(drafted), indent=1))
    elif output is None:
        click.echo(text, nl=False)


def _targets_of(client: Callable[[str], Any], stack: str | None) -> frozenset[str]:
    """The targets of Usher's hooks, from the outputs of its stack; none where no stack is named or there.

    Without it each of Usher's own hooks would be taken for one of somebody else, to be deleted.
    """
    try:
        (found,) = client("cloudformation").describe_stacks(StackName=stack or STACK)["Stacks"]
    except ClientError as error:
        is_absent = "does not exist" in error.response["Error"].get("Message", "")
        if stack is None:
            if not is_absent:
                click.echo(shown(f"Whether hooks are Usher's own is not known: {error}"), err=True)
            return frozenset()
        if not is_absent:
            raise
        raise Trouble(f"There is no stack {stack}: check --region and --stack.") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    return frozenset(outputs[name] for name in _TARGETS if name in outputs)


def _read(client: Any, glob: str) -> list[Group]:  # noqa: ANN401 - boto3's clients have no common type
    try:
        with Console(stderr=True).status("Reading the groups ...") as status:
            return list(read(client, glob, lambda name: status.update(f"Reading the hooks of {name!r} ...")))
    except TryLater as busy:
        if isinstance(busy.__cause__, BotoCoreError):
            raise busy.__cause__ from None
        raise Trouble(f"Auto Scaling is busy ({busy}): try again.") from busy
    except CallRefused as refusal:
        raise Trouble(_why_refused(refusal)) from refusal


def _why_refused(refusal: CallRefused) -> str:
    cause = refusal.__cause__
    if isinstance(cause, ClientError) and cause.response["Error"].get("Code") in _DENIED:
        return f"Not permitted: usher init needs autoscaling:{cause.operation_name} ({refusal})."
    return f"Auto Scaling refused: {refusal}."


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise Trouble(f"{output} cannot be written ({error.strerror}): use another --output.") from error
    click.echo(f"Wrote {output}. Next: activate what you want in it; usher check {output}", err=True)


def as_data(drafted: Draft) -> dict[str, object]:
    """What `usher init --json` prints."""
    return {
        "groups": [_group_data(each) for each in drafted.groups],
        "policies": {
            name: {**policy, "active": drafted.is_used(name)} for name, policy in drafted.policies.items()
        },
        "too_many": drafted.too_many,
    }


def _group_data(each: GroupDraft) -> dict[str, object]:
    return {
        "group": each.group.name,
        "arn": each.group.seen.arn,
        "excluded": each.excluded,
        "without_hook": list(each.without),
        "existing_hooks": [_hook_data(each.group, one) for one in each.existing],
        "hooks": [
            {**entry.hook, "because": entry.because, "active": entry.is_active} for entry in each.entries
        ],
    }


def _hook_data(group: Group, each: ExistingHook) -> dict[str, object]:
    settings = each.hook.settings
    return {
        "hook": each.hook.name,
        "transition": settings.transition,
        "heartbeat_timeout_seconds": int(settings.heartbeat_timeout.total_seconds()),
        "default_result": settings.default_result,
        "target_arn": settings.target_arn,
        "target": target_of(group, settings.target_arn),
        "verdict": each.verdict,
        "reason": each.reason,
    }
