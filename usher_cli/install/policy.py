"""`usher policy`: the IAM policy that each kind of user needs, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from usher_cli.account import STACK
from usher_cli.install import policies
from usher_cli.install.options import fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_cli.install.policies import Names, Statement

KINDS: Final[dict[str, Callable[[Names], list[Statement]]]] = {
    "installer": policies.installer,
    "operator": policies.operator,
    "applier": policies.applier,
    "reader": policies.reader,
}
_LENGTH_MAX: Final = 6_144  # characters without white space (IAM's quotas; aws-facts 11.3)
_EXAMPLES: Final = """
\b
Who needs which:
  installer  install, upgrade, uninstall
  operator   signal, hold, extend, complete, release, pause, resume, redrive
  applier    apply: it says which documents and functions conditions run
  reader     list, show, retained, watch, history, report, audit, export, plan, init, config, status;
             operator and applier include it

\b
Examples:
  usher policy reader
  usher policy installer --account 123456789012 --region eu-west-1
  aws iam create-policy --policy-name usher-operator --policy-document "$(usher policy operator)"
"""


@click.command(epilog=_EXAMPLES)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--stack", default=STACK, show_default=True, metavar="NAME", help="The stack of Usher.")
@click.option("--account", default="*", show_default=True, metavar="ID", help="The account.")
@click.option("--region", default="*", show_default=True, metavar="NAME", help="The AWS Region.")
@click.option("--partition", default="aws", show_default=True, metavar="NAME", help="Such as aws-cn.")
@click.option("--bucket", default="usher-*", show_default=True, metavar="NAME", help="A bucket of yours.")
@click.option("--key-arn", metavar="ARN", callback=fits("KeyArn"), help="Your KMS key.  [default: none]")
def policy(kind: str, **names: str) -> None:
    """Print the IAM policy that a kind of user needs.

    It calls nothing. Names are those that CloudFormation gives to what is in the stack.
    """
    document = {"Version": "2012-10-17", "Statement": KINDS[kind](policies.Names(**names))}
    click.echo(json.dumps(document, indent=1))
    length = len(json.dumps(document, separators=(",", ":")))
    if length > _LENGTH_MAX:
        click.echo(
            f"It has {length:,} characters, and IAM takes {_LENGTH_MAX:,} in a managed policy: put its "
            "statements into two.",
            err=True,
        )
