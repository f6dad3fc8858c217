"""Simulated Auto Scaling for any AWS client: `python -m usher_simulator --port 8090`."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final, TextIO

from usher_simulator.autoscaling.http_server import Setup, open_door
from usher_simulator.autoscaling.latencies import CAPTURED, PROMPT
from usher_simulator.autoscaling.wall_clock import MOST_SPEED

if TYPE_CHECKING:
    from collections.abc import Sequence

_LATENCIES: Final = {"prompt": PROMPT, "captured": CAPTURED}
_LAST_PORT: Final = 65535
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)
_EXAMPLE: Final = """\
example:
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_REGION=us-east-1
  PROGRAM --port 8090 --speed 60 &
  aws autoscaling describe-lifecycle-hook-types --endpoint-url http://127.0.0.1:8090

  curl --data advance=10m http://127.0.0.1:8090/clock     # ten minutes pass at once

Messages go to the queues, topics, functions and the event bus behind AWS_ENDPOINT_URL (or
AWS_ENDPOINT_URL_SQS, _SNS, _LAMBDA, _EVENTBRIDGE, _ELASTIC_LOAD_BALANCING_V2, _STS). Without
them hooks can have no notification target, and events go nowhere.
"""


def main(arguments: Sequence[str] | None = None, program: str = "python -m usher_simulator") -> int:
    """Serve until SIGINT or SIGTERM."""
    asked = _parser(program).parse_args(arguments)
    # Blocked before the first thread begins, so that whenever they come they wait for sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    with ExitStack() as stack:
        try:
            url = stack.enter_context(open_door(_setup(asked)))
        except OSError as error:
            where = f"127.0.0.1:{asked.port}"
            _say(sys.stderr, f"Cannot listen on {where}: {error.strerror}. --port 0 takes a free port.")
            return 1
        _say(sys.stdout, f"Auto Scaling listens on {url}")
        signal.sigwait(_STOPS)
    return 0


def _setup(asked: argparse.Namespace) -> Setup:
    return Setup(
        start=datetime.now(UTC),  # noqa: TID251 - here the machine is asked
        monotonic=time.monotonic,
        port=asked.port,
        speed=asked.speed,
        latencies=_LATENCIES[asked.latency],
        describe_lag=timedelta(seconds=asked.describe_lag),
        random=Random(asked.seed),  # noqa: S311 - a simulation's
        environment=os.environ,
        say=lambda text: _say(sys.stderr, text),
    )


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Simulated EC2 Auto Scaling over HTTP, on the loopback interface.",
        epilog=_EXAMPLE.replace("PROGRAM", program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=_port, required=True, metavar="PORT", help="where to listen; 0 takes a free port")
    add(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="N",
        help=f"simulated seconds per second, at most {MOST_SPEED:,} (default: 1); with 0 the time stands "
        "still until it is advanced",
    )
    add(
        "--latency",
        choices=_LATENCIES,
        default="prompt",
        help="from state to state: within 3 s (default), or the times that were recorded of AWS",
    )
    add(
        "--describe-lag",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="the age of the state that describe operations show (default: 0)",
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help="the same seed gives the same ids (default: other ones each time)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be from 0 to {_LAST_PORT}, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0 on, got {text!r}")
    return number


def _speed(text: str) -> float:
    number = _seconds(text)
    if number > MOST_SPEED:
        raise argparse.ArgumentTypeError(f"must be at most {MOST_SPEED:,}, got {text!r}")
    return number


def _say(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
