"""`usher init`: a hooks file drafted from what stands in an account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from usher.ports.errors import CallRefused, TryLater
from usher_cli.account import Trouble, with_clients
from usher_cli.init.draft import draft
from usher_cli.init.groups import read
from usher_cli.init.text import notified, written
from usher_hooksfile.load import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_cli.init.draft import Draft, Drafted, Standing
    from usher_cli.init.groups import Group

_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_TARGETS: Final = ("InboxArn", "TopicArn", "IntakeArn")  # outputs of Usher's stack

_EXAMPLES: Final = """
\b
Examples:
  usher init
  usher init --output hooks.yaml
  usher init --group 'web-*' --region eu-west-1
  usher init --json | jq '.groups[] | select(.without != [])'

\b
What becomes of a hook that stands:
  take over    it is in the file exactly as it stands, under a policy that observes only
  leave alone  a service of AWS runs it, or the file can have no hook of its group
  conflict     a person must settle it: it notifies someone else, or the file cannot say it
  ours         it notifies Usher (see --stack)

\b
Exit codes:
  0  a draft was written
  2  wrong usage, an account that is not reached, or a file that exists
"""


@click.command(name="init", epilog=_EXAMPLES)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the file here; it must not exist.",
)
@click.option("--group", "glob", default="*", metavar="GLOB", help="Only groups whose names fit.")
@click.option("--stack", metavar="NAME", help="The stack of Usher, if it is deployed: to know its own hooks.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@with_clients
def init(
    client: Callable[[str], Any], output: Path | None, glob: str, stack: str | None, *, as_json: bool
) -> None:
    """Draft a hooks file from the Auto Scaling groups of an account.

    For each group it has the hooks that stand, who put them as far as that can be told, and what Usher would
    do with them; and hooks for what launches or terminates without any, with policies guessed from what the
    group runs. Deployed as it is, the file changes nothing. The command only reads: one call for a hundred
    groups, and one for each group.
    """
    if output is not None and output.exists():
        raise Trouble(f"{output} exists: use another --output, or move it away.")
    ours = _targets_of(client, stack) if stack else frozenset()
    drafted = draft(_read(client("autoscaling"), glob), ours)
    text = written(drafted)
    if len(text.encode()) > MOST_BYTES:
        raise Trouble(f"{len(drafted.groups)} groups are too many for one file: choose some with --group.")
    if output is not None:
        _write(output, text)
    if as_json:
        click.echo(json.dumps(as_data(drafted), indent=1))
    elif output is None:
        click.echo(text, nl=False)


def _targets_of(client: Callable[[str], Any], stack: str) -> frozenset[str]:
    """Whom Usher's hooks notify, as its stack tells."""
    try:
        (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        raise Trouble(f"There is no stack {stack} here: check --region and --stack.") from error
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
        return f"Not permitted: it needs autoscaling:{cause.operation_name} on * ({refusal})."
    return f"Auto Scaling refuses: {refusal}."


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise Trouble(f"{output} cannot be written ({error.strerror}): use another --output.") from error
    click.echo(f"Wrote {output}. Next: usher check {output}", err=True)


def as_data(drafted: Draft) -> dict[str, object]:
    """What `usher init --json` prints."""
    return {
        "groups": [_group_data(each) for each in drafted.groups],
        "policies": {
            name: {**policy, "in_force": drafted.is_used(name)} for name, policy in drafted.policies.items()
        },
        "too_many": drafted.too_many,
    }


def _group_data(each: Drafted) -> dict[str, object]:
    return {
        "group": each.group.name,
        "arn": each.group.seen.arn,
        "obstacle": each.obstacle,
        "without": list(each.without),
        "standing": [_standing_data(each.group, one) for one in each.standing],
        "hooks": [
            {**entry.hook, "because": entry.because, "in_force": entry.is_active} for entry in each.entries
        ],
    }


def _standing_data(group: Group, each: Standing) -> dict[str, object]:
    settings = each.hook.settings
    return {
        "hook": each.hook.name,
        "transition": settings.transition,
        "heartbeat_timeout_seconds": int(settings.heartbeat_timeout.total_seconds()),
        "default_result": settings.default_result,
        "target_arn": settings.target_arn,
        "notified": notified(group, settings.target_arn),
        "verdict": each.verdict,
        "reason": each.reason,
    }
