"""The emulator's process: MiniStack on its own packages and a loopback port, while a block runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

from usher_cdk.wheels import ROOT, WheelsMissing, unpacked
from usher_local.launcher import UNFIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usher_local.monotonic import Seconds

LOOPBACK: Final = "127.0.0.1"
KEY: Final = "testing"  # both halves of the credentials that open everything in the account
_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_LONGEST_START_S: Final = 60
_BETWEEN_LOOKS_S: Final = 0.05


class Unavailable(Exception):  # noqa: N818 - it reads as what happened
    """The local account cannot be set up; the text says what is missing and how to get it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulator:
    """What the emulator is started with."""

    account: str
    region: str
    auth: bool
    auto_scaling: str  # where simulated Auto Scaling answers
    callbacks: str  # where the functions and CloudFormation's groups and hooks are looked after
    back_door: str  # the beginning of the paths by which Auto Scaling enters
    folder: Path  # an empty one for its files, removed by whoever made it
    log: Path
    trail: Path  # what IAM decides, a line of JSON each


def packages() -> Path:
    """The folder with MiniStack and what it needs: it wants another botocore. Raises Unavailable."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        return unpacked(ROOT / "requirements" / "account.txt", f"account-{version}")
    except WheelsMissing as error:
        raise Unavailable(f"The emulator is not installed. {error}") from error


def listening_socket() -> socket.socket:
    """Bound to a free port, so that nobody else can have it before the emulator serves there."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.bind((LOOPBACK, 0))
    made.listen(128)
    return made


@contextmanager
def running(emulator: Emulator, listening: socket.socket, seconds: Seconds) -> Iterator[Callable[[], None]]:
    """Until the block ends, or this process does. Raises Unavailable.

    The block gets a check, which raises Unavailable too, once the emulator has ended by itself.
    """
    port = listening.getsockname()[1]
    for name in ("code", "temporary"):
        (emulator.folder / name).mkdir()
    with emulator.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - nothing of it is input
            [sys.executable, "-I", "-S", "-B", str(_LAUNCHER)],
            cwd=emulator.folder,
            env=_environment(emulator, port),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
            start_new_session=True,  # Ctrl-C is for us; it ends with its input
        )
    try:
        _tell(process, emulator, listening.fileno())
        listening.close()
        _wait_until(lambda: _answers(port), process, emulator.log, seconds)
        yield lambda: _still_running(process, emulator.log)
    finally:
        listening.close()
        process.kill()
        process.communicate()


def _tell(process: subprocess.Popen[bytes], emulator: Emulator, descriptor: int) -> None:
    told = {
        "packages": str(packages()),
        "socket": descriptor,
        "auto_scaling": emulator.auto_scaling,
        "callbacks": emulator.callbacks,
        "back_door": emulator.back_door,
        "code": str(emulator.folder / "code"),
        "trail": str(emulator.trail),
    }
    if process.stdin is not None:
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()


def _environment(emulator: Emulator, port: int) -> dict[str, str]:
    """Nothing of this machine's configuration, and no service on a port of its own."""
    return {
        "PATH": os.defpath,
        "TMPDIR": str(emulator.folder / "temporary"),
        "HOME": str(emulator.folder),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": emulator.account,
        "MINISTACK_REGION": emulator.region,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(emulator.folder / "state"),
        "S3_DATA_DIR": str(emulator.folder / "s3"),
        "AUTH": str(emulator.auth).lower(),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": emulator.region,
        "DOCKER_HOST": "unix:///nonexistent",  # it would look for containers of its own to remove
    }


def _wait_until(
    is_so: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: Seconds
) -> None:
    deadline, between = seconds() + _LONGEST_START_S, Event()
    while not is_so():
        if process.poll() is not None or seconds() > deadline:
            raise Unavailable(_why(process.poll(), log.read_text(errors="replace")))
        between.wait(_BETWEEN_LOOKS_S)


def _still_running(process: subprocess.Popen[bytes], log: Path) -> None:
    status = process.poll()
    if status is not None:
        raise Unavailable(_why(status, log.read_text(errors="replace")))


def _why(status: int | None, said: str) -> str:
    if status == UNFIT:
        return said.strip()
    how = f"did not answer within {_LONGEST_START_S} s" if status is None else f"ended with status {status}"
    return f"The emulator {how}. The end of what it said:\n{said[-2000:]}"


def _answers(port: int) -> bool:
    with closing(HTTPConnection(LOOPBACK, port, timeout=5)) as connection:
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200  # noqa: PLR2004 - HTTP's
        except (OSError, HTTPException):
            return False
