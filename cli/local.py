"""`usher local`: a local AWS account with Usher deployed in it, to play with."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_account.account import Account

_GROUP: Final = "usher-demo"
_CONTEXT: Final = {"hooks": "infra/demo.hooks.yaml", "demo": "true"}
_BETWEEN_LOOKS_S: Final = 0.5
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)

_EXAMPLES: Final = """
\b
Examples:
  usher local            open the account, and show what happens in it until Ctrl-C
  usher local --auto     and launch an instance at once: Pending:Wait, then InService by policy
  usher local --auth     with IAM enforced: each function may do what its role says, and no more

\b
Exit codes:
  0  ended by Ctrl-C
  1  the account could not be opened, or Usher not deployed into it
  2  wrong usage
"""


@click.command(name="local", epilog=_EXAMPLES)
@click.option("--auto", is_flag=True, help="Launch an instance as soon as Usher is deployed.")
@click.option("--auth", is_flag=True, help="Enforce IAM, as AWS does.")
@click.option(
    "--logs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the logs in this folder.  [default: they go with the account]",
)
@click.pass_context
def local(context: click.Context, *, auto: bool, auth: bool, logs: Path | None) -> None:
    """Open a local AWS account with Usher deployed in it.

    The real CDK deploys the real stacks into an emulator on this machine, and the functions run
    under Lambda's own runtime client; Auto Scaling is simulated. Nothing leaves the loopback
    interface, no Docker and no AWS account is needed, and nothing stays behind.
    """
    from local_account.account import Setup, open_account  # noqa: PLC0415 - no other command needs boto3
    from local_account.cdk import CdkFailed  # noqa: PLC0415
    from local_account.emulator import Unavailable  # noqa: PLC0415

    begun_s = time.monotonic()
    deployed = False
    try:
        with _stoppable():
            _say("Opening a local AWS account ...")
            with open_account(Setup(auth=auth, logs=logs, say=_say)) as account, _undisturbed_end():
                table = _deploy(account)
                deployed = True
                _say(f"Deployed, {time.monotonic() - begun_s:.0f} s after the start.")
                _invite(account)
                _show(account, table, auto=auto)
    except (Unavailable, CdkFailed) as error:
        _say(str(error))
        context.exit(1)
    except KeyboardInterrupt:
        _say("Closed. Nothing is left running.")
        context.exit(0 if deployed else 1)


def _deploy(account: Account) -> str:
    _say("Bootstrapping it for the CDK ...")
    account.bootstrap()
    _say("Deploying Usher, a demo group and its hooks ...")
    return account.deploy(**_CONTEXT)["Usher"]["TableName"]


def _invite(account: Account) -> None:
    aws = shlex.quote(os.path.relpath(Path(sys.executable).with_name("aws")))
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    exports = " ".join(f"{name}={account.environment[name]}" for name in names)
    click.echo(_INVITATION.format(exports=exports, aws=aws, group=_GROUP))


_INVITATION: Final = """\
The account is at the endpoint in this line. In another terminal, in this folder:

  export {exports}

1. Launch an instance. It waits for 30 s, as the policy `settle` says:

  {aws} autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity 1

2. Terminate it. It waits for a signal, five minutes at most:

  ID=$({aws} autoscaling describe-auto-scaling-instances --output text \\
    --query 'AutoScalingInstances[0].InstanceId')
  {aws} autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity 0

3. Send it the signal:

  {aws} events put-events --entries '[{{"Source": "usher.signal", "DetailType": "Usher Signal",
    "Detail": "{{\\"InstanceId\\": \\"'$ID'\\", \\"Signal\\": \\"goodbye\\", \\"Status\\": \\"done\\"}}"}}]'

What happens, in UTC (Ctrl-C ends it all):
"""


def _show(account: Account, table: str, *, auto: bool) -> None:
    from local_account.watching import Watch  # noqa: PLC0415 - as above
    from usher.aws.records import Records  # noqa: PLC0415
    from usher.wiring import now  # noqa: PLC0415

    auto_scaling = account.client("autoscaling")
    if auto:
        auto_scaling.set_desired_capacity(AutoScalingGroupName=_GROUP, DesiredCapacity=1)
    records = Records(account.client("dynamodb"), table, now)
    watch = Watch(records, lambda: _states(auto_scaling), now)
    between = Event()
    while True:
        for line in watch.news():
            click.echo(line)
        between.wait(_BETWEEN_LOOKS_S)


def _states(auto_scaling: Any) -> dict[str, str]:  # noqa: ANN401 - a client
    described = auto_scaling.describe_auto_scaling_instances()["AutoScalingInstances"]
    return {instance["InstanceId"]: instance["LifecycleState"] for instance in described}


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does."""
    before = {each: signal.getsignal(each) for each in _STOPS}
    for each in _STOPS:  # SIGINT too: a shell has it ignored in what it runs behind its back
        signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Once it ends it does, however often Ctrl-C is pressed."""
    try:
        yield
    finally:
        for each in _STOPS:
            signal.signal(each, signal.SIG_IGN)
        _say("Closing ...")


def _say(text: str) -> None:
    click.echo(text, err=True)
