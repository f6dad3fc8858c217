"""One function, invoked on one event: `python -m usher_local.functions --function intake --event FILE`."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from usher.wiring.machine import new_id, now
from usher_cdk.python import WANTED, Python, find_python
from usher_cdk.wheels import BUILD, ROOT, WheelsMissing
from usher_local.functions.function import DEFAULT_LIMIT, Code, Function, FunctionFailed
from usher_local.functions.local_services import local_endpoints, settled_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

_FUNCTIONS: Final = sorted(path.stem for path in (ROOT / "functions").glob("*.py"))
_AUTO_SCALING: Final = "AWS_ENDPOINT_URL_AUTO_SCALING"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the function's answer; 1 where it failed, 2 where it could not be invoked."""
    asked = _parser().parse_args(arguments)
    try:
        event = _event(asked.function, asked.event, asked.asset)
    except _Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    try:
        with _endpoints(asked.endpoint) as endpoints:
            settings = endpoints | settled_in(endpoints["AWS_ENDPOINT_URL"])
            return _invoke(asked.function, _code(asked.asset), settings, event, asked.timeout)
    except (WheelsMissing, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


class _Refused(Exception):  # noqa: N818 - it reads as what happened
    """There is no such thing to run, or to run it on; the text says what there is."""


def _event(function: str, file: Path, asset: Path) -> object:
    if function not in _FUNCTIONS:
        raise _Refused(f"There is no function {function!r}. There are: {', '.join(_FUNCTIONS)}.")
    if not (asset / f"{function}.py").is_file():
        raise _Refused(f"There is no {function}.py in {asset}: `make invoke` builds it in {BUILD / 'asset'}.")
    try:
        event: object = json.loads(file.read_bytes())
    except OSError as error:
        samples = "".join(f"\n  {sample.relative_to(ROOT)}" for sample in _samples())
        said = f"The event {file} cannot be read: {error.strerror}. There are:{samples}"
        raise _Refused(said) from None
    except json.JSONDecodeError as error:
        raise _Refused(f"{file} is not JSON, from line {error.lineno}, column {error.colno} on.") from None
    except UnicodeDecodeError:
        raise _Refused(f"{file} is not JSON: it is not even UTF-8.") from None
    return event


def _samples() -> list[Path]:
    return sorted((ROOT / "events" / "invoke").glob("*.json"))


def _invoke(name: str, code: Code, settings: Mapping[str, str], event: object, limit: timedelta) -> int:
    with Function(name, code, settings, sys.stderr, now, new_id) as function:
        try:
            answer, status = function.invoke(event, limit), 0
        except FunctionFailed as failure:
            answer = {"errorType": failure.kind, "errorMessage": failure.message, "stackTrace": failure.trace}
            status = 1
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    return status


def _endpoints(endpoint: str | None) -> AbstractContextManager[dict[str, str]]:
    if endpoint is None:
        return local_endpoints(now)
    auto_scaling = os.environ.get(_AUTO_SCALING, endpoint)
    return nullcontext({"AWS_ENDPOINT_URL": endpoint, _AUTO_SCALING: auto_scaling})


def _code(asset: Path) -> Code:
    python = find_python()
    _say_which(python)
    return Code(asset=asset.resolve(), runtime=python.runtime(), python=python)


def _say_which(python: Python) -> None:
    why = "" if python.version == WANTED else f", since no python{WANTED} was found that runs"
    sys.stderr.write(f"Runs under Python {python.version} ({python.path}){why}.\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m usher_local.functions",
        description="Runs a function of the built asset on an event, as Lambda would.",
        epilog="The answer goes to stdout, the log to stderr. Exit status: 0; 1 where the function failed; "
        "2 where it could not be run.",
    )
    parser.add_argument("--function", required=True, metavar="NAME", help=", ".join(_FUNCTIONS))
    parser.add_argument("--event", required=True, type=Path, metavar="FILE", help="JSON; see events/invoke")
    parser.add_argument("--timeout", type=_limit, default=DEFAULT_LIMIT, metavar="SECONDS")
    parser.add_argument("--asset", type=Path, default=BUILD / "asset", metavar="FOLDER")
    services = parser.add_mutually_exclusive_group()
    services.add_argument(
        "--local", action="store_true", help="an empty account that ends with the invocation (the default)"
    )
    services.add_argument(
        "--endpoint",
        metavar="URL",
        help=f"AWS services to use instead; Auto Scaling's may differ, by {_AUTO_SCALING}",
    )
    return parser


def _limit(text: str) -> timedelta:
    seconds = float(text)
    if not 0 < seconds <= 900 or math.isnan(seconds):  # noqa: PLR2004 - Lambda's own bounds
        raise argparse.ArgumentTypeError("must be above 0 and at most 900")
    return timedelta(seconds=seconds)


if __name__ == "__main__":
    sys.exit(main())
