"""Microburst between the deployed functions and the account: it passes everything on, until told not to."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from usher_cdk.wheels import ROOT, WheelsMissing, unpacked
from usher_local.emulator import KEY, LOOPBACK, Unavailable, listening_socket
from usher_simulator.autoscaling.notifications import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAUNCHER = Path(__file__).with_name("proxy_launcher.py")
_PATIENCE_S = 30
_FIRST_CALLS = {
    "autoscaling": "describe_auto_scaling_groups",
    "dynamodb": "list_tables",
    "ec2": "describe_instances",
    "sqs": "list_queues",
}


class FaultProxy:
    """What it does is ruled by rules of microburst's; those of one test go with the block that made them."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._url = ""

    @contextmanager
    def in_front_of(self, upstream: str) -> Iterator[dict[str, str]]:
        """The environment of whoever is to pass through it. Raises Unavailable.

        It is a proxy to its clients, too, and no endpoint: requests are signed for the account's address.
        """
        told = {"packages": str(packages()), "upstream": upstream}
        listening = listening_socket()
        with closing(listening), self._process(listening.fileno()) as process:
            self._url = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
            line = json.dumps(told | {"socket": listening.fileno()}).encode() + b"\n"
            listening.close()  # the process has it now, and where it ends nobody waits for it
            self._begin(process, line)
            yield {"HTTP_PROXY": self._url}

    def _begin(self, process: subprocess.Popen[bytes], line: bytes) -> None:
        try:
            if process.stdin is not None:
                process.stdin.write(line)
                process.stdin.flush()
            self._ask("GET", "health")
        except OSError as error:
            said = self._log.read_text(errors="replace")[-2000:]
            raise Unavailable(f"The fault proxy did not start ({error}). It said:\n{said}") from error

    def warm_up(self, url: str) -> None:
        """Let it read the models of the services: on a busy machine that outlasts a function's patience."""
        proxies = {"http": self._url}
        config = Config(read_timeout=_PATIENCE_S, retries={"total_max_attempts": 1}, proxies=proxies)
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": REGION}
        for service, operation in _FIRST_CALLS.items():
            client = boto3.client(service, endpoint_url=url, config=config, **keys)
            getattr(client, operation)()

    @contextmanager
    def _process(self, descriptor: int) -> Iterator[subprocess.Popen[bytes]]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - nothing of it is input
                [sys.executable, "-I", "-S", "-B", str(_LAUNCHER)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[descriptor],
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def rules(self, *rules: dict[str, Any]) -> Iterator[None]:
        """Microburst's rules, while a block runs."""
        self._ask("POST", "rules", list(rules))
        try:
            yield
        finally:
            self._ask("POST", "rules", [])

    def fired(self) -> list[str]:
        """What was done by rules so far, as `operation action`."""
        return [f"{event['operation']} {event['action']}" for event in self._ask("GET", "fired?limit=2000")]

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        url = f"{self._url}/_microburst/{path}"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - of this machine
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310 - likewise
            return json.load(answer)


def packages() -> Path:
    """The folder with microburst and what it needs. Raises Unavailable."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        return unpacked(ROOT / "requirements" / "microburst.txt", f"microburst-{version}")
    except WheelsMissing as error:
        raise Unavailable(f"The fault proxy is not installed. {error}") from error
