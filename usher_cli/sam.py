"""`usher sam`: what `sam local` needs to run the functions on the table and queues of a deployed Usher.

SAM fills a template's references with logical ids, so the real names go into an env file. It passes
only variables that the template declares; others (an endpoint) need the file of its debug mode.
"""

from __future__ import annotations

import json
import shlex
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from usher_cli.account import Trouble, with_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher_cli.account import Account

TEMPLATE: Final = "Usher.template.json"
PUT_HOOKS: Final = ("provision", "sweep")  # and remove those that their file does not name
_ACCOUNT: Final = "USHER_ACCOUNT"
OF_THE_SAMPLES: Final = "123456789012"  # SAM would say the account of the credentials that it finds
_DEBUG_PORT: Final = "5890"
_EVENT: Final = "events/invoke/intake-sqs-hook.json"

_EXAMPLES: Final = """
\b
Examples:
  make sam && usher sam          then run the command that it prints
  usher sam --host 172.17.0.1    a local account, and an engine on Linux: see docs/sam.md
"""


@click.command(name="sam", epilog=_EXAMPLES)
@click.option(
    "--folder",
    default="build/sam",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder in which `make sam` wrote the template; the files are written there.",
)
@click.option(
    "--host",
    default="host.docker.internal",
    show_default=True,
    metavar="NAME",
    help="The name of this machine in a container, for a local account.",
)
@with_account
def sam(account: Account, folder: Path, host: str) -> None:
    """Write what `sam local` needs to run the functions.

    Writes the env files for a deployed Usher, and prints the next command. For an account on AWS the
    functions that put and remove hooks are left out: they would use the hooks file of the samples.
    """
    template = folder / TEMPLATE
    if not template.is_file():
        raise Trouble(f"There is no {template}: run `make sam`, or give its --folder.")
    endpoint = str(account.client("lambda").meta.endpoint_url)
    found = dict(sorted(_functions(account)))
    if not is_local(endpoint):
        click.echo(f"Left out, because this is not a local account: {', '.join(PUT_HOOKS)}.", err=True)
        found = {name: variables for name, variables in found.items() if name not in PUT_HOOKS}
    for name, content in (("env.json", found), ("container.json", in_container(endpoint, host))):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")
    click.echo(f"Wrote {folder / 'env.json'} and {folder / 'container.json'}. Next:", err=True)
    click.echo(_command(folder, str(account.place.region)))


def _functions(account: Account) -> Iterator[tuple[str, dict[str, str]]]:
    """Each function of the stack, by the name that SAM knows it by, and its variables."""
    pages = (
        account.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName=account.place.stack)
    )
    for page in pages:
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == "AWS::Lambda::Function":
                yield _function(account, resource["PhysicalResourceId"])


def _function(account: Account, name: str) -> tuple[str, dict[str, str]]:
    answer: dict[str, Any] = account.client("lambda").get_function_configuration(FunctionName=name)
    variables: dict[str, str] = answer.get("Environment", {}).get("Variables", {})
    module = str(answer["Handler"]).partition(".")[0]
    return module, variables | ({_ACCOUNT: OF_THE_SAMPLES} if _ACCOUNT in variables else {})


def is_local(endpoint: str) -> bool:
    """Whether an endpoint is on this machine."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def in_container(endpoint: str, host: str) -> dict[str, str]:
    """The variables that no template declares; `host` is what a container calls this machine."""
    variables = {"AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}  # SAM sets an account id that is nobody's
    if is_local(endpoint):
        place = urlsplit(endpoint)
        netloc = host if place.port is None else f"{host}:{place.port}"
        variables["AWS_ENDPOINT_URL"] = place._replace(netloc=netloc).geturl()
    return variables


def _command(folder: Path, region: str) -> str:
    words = ["sam", "local", "invoke", "intake", "-t", str(folder / TEMPLATE), "-e", _EVENT]
    words += ["-n", str(folder / "env.json"), "--region", region]
    words += ["-d", _DEBUG_PORT, "--container-env-vars", str(folder / "container.json")]
    return shlex.join(words)
