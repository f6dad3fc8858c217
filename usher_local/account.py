"""The local account: an emulator, simulated Auto Scaling, and the deployed functions run as Lambda does."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config

from usher.wiring.machine import new_id, now
from usher_cdk.python import find_python
from usher_cdk.wheels import WheelsMissing
from usher_local.callback_server import serve_callbacks
from usher_local.cdk import Cdk
from usher_local.deployed_functions import DeployedFunctions
from usher_local.emulator import KEY, LOOPBACK, Emulator, Unavailable, listening_socket, running
from usher_local.resources import Resources
from usher_simulator.autoscaling.http_server import Setup as DoorSetup
from usher_simulator.autoscaling.http_server import open_door
from usher_simulator.autoscaling.latencies import PROMPT
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.own_clients import own_client, past_proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from usher_simulator.autoscaling.latencies import Latencies

ALL: Final = ("--all",)
TRAIL: Final = "trail.jsonl"  # with `auth`: what IAM decided on each call of a role


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What an account is opened with."""

    auth: bool = False  # enforce the roles and their policies
    latencies: Latencies = PROMPT  # of simulated Auto Scaling
    logs: Path | None = None  # a folder for them; None: one that goes with the account
    say: Callable[[str], None] = field(default=lambda _: None)  # what simulated Auto Scaling cannot deliver
    functions: Callable[[str], AbstractContextManager[Mapping[str, str]]] = lambda _: nullcontext({})
    """Of the account's URL, what its functions find in their environment besides what Lambda puts there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """An open account. Everything in it, and its processes, end with the block that opened it."""

    url: str  # of every service
    auto_scaling_url: str  # of simulated Auto Scaling itself, past IAM
    environment: Mapping[str, str]  # what clients and the CDK need to find the account, and no other
    logs: Path  # emulator.log, cdk.log, TRAIL, and one for each execution environment of a function
    cdk: Cdk
    check: Callable[[], None]  # raises emulator.Unavailable once the emulator has ended by itself

    def client(self, service: str, **credentials: str) -> Any:  # noqa: ANN401 - the client of any service
        """A client of any service, by default with credentials that may do everything."""
        return _client(service, self.url, **credentials)

    def client_as(self, role_arn: str, service: str) -> Any:  # noqa: ANN401 - as above
        """A client that may do what a role may; with `auth`, that is checked."""
        assumed = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="local-account")
        given = assumed["Credentials"]
        return self.client(
            service,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    def bootstrap(self) -> None:
        """Once, before the first deploy. Raises cdk.CdkFailed."""
        self.cdk.bootstrap()

    def deploy(self, *stacks: str, **context: str) -> dict[str, dict[str, str]]:
        """Deploy or update the app's stacks, by default all; their outputs. Raises cdk.CdkFailed."""
        return self.cdk.deploy(stacks or ALL, context)

    def destroy(self, *stacks: str, **context: str) -> None:
        """Delete the app's stacks, by default all. Raises cdk.CdkFailed."""
        self.cdk.destroy(stacks or ALL, context)


@contextmanager
def open_account(setup: Setup) -> Iterator[Account]:
    """A new, empty account on free loopback ports. Raises emulator.Unavailable."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="usher-account-")))
        logs = (setup.logs or folder / "logs").absolute()  # the emulator works in a folder of its own
        for each in (folder / "emulator", folder / "functions", folder / "cdk", logs):
            each.mkdir(parents=True, exist_ok=True)
        listening = stack.enter_context(listening_socket())
        url = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        environment = _environment(url)
        back_door = f"_usher/{secrets.token_hex(16)}"
        closing = Event()  # from then on nobody takes what Auto Scaling sends, and nobody need know

        def say(text: str) -> None:
            if not closing.is_set():
                setup.say(text)

        door = _door(replace(setup, say=say), environment | _by(back_door, url))
        auto_scaling = stack.enter_context(open_door(door))
        more = stack.enter_context(setup.functions(url))
        functions = _functions(folder / "functions", logs, {"AWS_ENDPOINT_URL": url, **more})
        resources = Resources(_client("autoscaling", auto_scaling), time.monotonic)
        handlers = {"functions": functions.invoke, "resources": resources.change}
        callbacks = stack.enter_context(serve_callbacks(handlers))
        for close in (functions.close, resources.close):
            stack.callback(close)  # after the emulator, and before the callback server waits for its threads
        emulator = Emulator(
            account=ACCOUNT,
            region=REGION,
            auth=setup.auth,
            auto_scaling=auto_scaling,
            callbacks=callbacks,
            back_door=back_door,
            folder=folder / "emulator",
            log=logs / "emulator.log",
            trail=logs / TRAIL,
        )
        check = stack.enter_context(running(emulator, listening, time.monotonic))
        cdk = Cdk(
            environment=environment,
            account=ACCOUNT,
            region=REGION,
            folder=folder / "cdk",
            log=logs / "cdk.log",
        )
        stack.callback(closing.set)
        yield Account(
            url=url,
            auto_scaling_url=auto_scaling,
            environment=environment,
            logs=logs,
            cdk=cdk,
            check=check,
        )


def _door(setup: Setup, environment: Mapping[str, str]) -> DoorSetup:
    return DoorSetup(
        start=now(),
        monotonic=time.monotonic,
        latencies=setup.latencies,
        environment=environment,
        say=setup.say,
    )


def _environment(url: str) -> dict[str, str]:
    """The variables that AWS clients read, with nothing of the user's configuration."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        **past_proxies(os.environ),
    }


def _by(back_door: str, url: str) -> dict[str, str]:
    """Auto Scaling's own ways in: its events, and the roles that trust it."""
    return {
        "AWS_ENDPOINT_URL_EVENTBRIDGE": f"{url}/{back_door}/events",
        "AWS_ENDPOINT_URL_STS": f"{url}/{back_door}/sts",
    }


def _functions(folder: Path, logs: Path, environment: Mapping[str, str]) -> DeployedFunctions:
    try:
        return DeployedFunctions(find_python(), folder, logs, environment, now, new_id)
    except WheelsMissing as error:
        raise Unavailable(f"Lambda's runtime client is not installed. {error}") from error


def _client(service: str, url: str, **credentials: str) -> Any:  # noqa: ANN401 - the client of any service
    """One attempt at each call; by default with credentials that may do everything."""
    keys = credentials or {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
    return own_client(service, url, REGION, config, **keys)
