"""The command `usher console`."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click
import uvicorn

from usher_cli.account import Trouble, with_account
from usher_cli.console.app import ConsoleApp
from usher_cli.console.door import Door
from usher_cli.console.units import ReadUnits

if TYPE_CHECKING:
    from usher_cli.account import Account

HOST: Final = "127.0.0.1"
_SERVICES: Final = ("autoscaling", "events", "sqs", "sts")
_UNITS: Final = 1800

_EXAMPLES: Final = """\
\b
Examples:
  usher console
  usher console --read-only                 nothing can be changed
  usher console --no-open --port 8443       prints the address; for instance behind ssh -L 8443:127.0.0.1:8443

The address that it prints works once, in one browser. Whoever has that browser has the rights of your
credentials on what the page can do; Ctrl-C ends it.
"""


@click.command(epilog=_EXAMPLES)
@click.option(
    "--port", default=0, show_default="a free one", type=click.IntRange(0, 65535), help="Port on 127.0.0.1."
)
@click.option("--read-only", is_flag=True, help="Show everything, and change nothing.")
@click.option("--open/--no-open", "opens", default=True, show_default=True, help="Open the browser.")
@click.option(
    "--units",
    default=_UNITS,
    show_default=True,
    type=click.IntRange(min=60),
    metavar="NUMBER",
    help="Poll with at most so many read units of DynamoDB a minute.",
)
@with_account
def console(account: Account, port: int, units: int, *, read_only: bool, opens: bool) -> None:
    """Serve a page: what is held, why, and what to do.

    On this machine alone, with your own credentials. Needs a browser with JavaScript.
    """
    with listening(port) as listener:
        port = listener.getsockname()[1]
        door = Door(port, secrets.token_urlsafe)
        served = server(application(account, door, units, read_only=read_only))
        address = f"http://{HOST}:{port}/#{door.code}"
        click.echo(f"The console is at {address} until Ctrl-C. The address works once.")
        if opens and not webbrowser.open(address):
            click.echo("No browser opens from here: open the address yourself.", err=True)
        with suppress(KeyboardInterrupt):
            served.run(sockets=[listener])


def listening(port: int) -> socket.socket:
    """A socket of this machine alone, at which a quick browser waits. Raises Trouble."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        cannot = f"Port {port} cannot be used: {error.strerror}"
        raise Trouble(f"{cannot}. Leave --port out for a free one.") from error


def application(account: Account, door: Door, units: int, *, read_only: bool) -> ConsoleApp:
    """The console of an account, which polls with so many units a minute."""
    for service in _SERVICES:  # made before threads may ask for them
        account.client(service)
    purse = ReadUnits(units, account.machine.clock)
    if account.dynamodb is not None:
        purse.watch(account.dynamodb)
    return ConsoleApp(account, door, purse, read_only=read_only)


def server(console: ConsoleApp) -> uvicorn.Server:
    """What serves a console: HTTP alone, and nothing of a proxy is believed."""
    return uvicorn.Server(
        uvicorn.Config(
            console.guarded,
            access_log=False,
            date_header=False,
            lifespan="off",
            log_level="error",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
    )
