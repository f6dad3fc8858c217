"""The execution environments that the local account keeps warm: one that died fails no event."""

from __future__ import annotations

import os
import signal
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.polling import until
from usher.wiring.machine import new_id, now
from usher_cdk.python import find_python
from usher_local.deployed_functions import DeployedFunctions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = """\
import os
def handler(event, context):
    if event == "end":
        os._exit(7)
    return os.getpid()
"""


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[DeployedFunctions]:
    for name in ("folder", "logs"):
        (tmp_path / name).mkdir()
    made = DeployedFunctions(find_python(), tmp_path / "folder", tmp_path / "logs", {}, now, new_id)
    yield made
    made.close()


def invoked(functions: DeployedFunctions, tmp_path: Path, event: object) -> dict[str, Any]:
    code = tmp_path / "code.zip"
    if not code.exists():
        with zipfile.ZipFile(code, "w") as packed:
            packed.writestr("sweep.py", TEXT)
    config = {
        "FunctionName": "sweep",
        "FunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:sweep",
        "Handler": "sweep.handler",
        "Timeout": 60,
        "MemorySize": 512,
    }
    asked = {"config": config, "event": event, "request_id": new_id(), "credentials": {}, "code": str(code)}
    return functions.invoke(asked)


def test_an_environment_that_died_while_it_was_idle_fails_no_event(
    functions: DeployedFunctions, tmp_path: Path
) -> None:
    first = invoked(functions, tmp_path, "x")["body"]
    assert invoked(functions, tmp_path, "x")["body"] == first  # it is kept warm
    os.kill(first, signal.SIGKILL)
    (environment,) = functions._all  # noqa: SLF001 - it is of no use to anyone else
    until(lambda: environment.function.has_ended)
    answer = invoked(functions, tmp_path, "x")
    assert "error" not in answer
    assert answer["body"] != first


def test_a_process_that_ends_in_an_invocation_fails_that_one_as_lambda_does(
    functions: DeployedFunctions, tmp_path: Path
) -> None:
    first = invoked(functions, tmp_path, "x")["body"]
    failed = invoked(functions, tmp_path, "end")
    assert (failed["error"], failed["body"]["errorType"]) == (True, "Runtime.ExitError")
    assert invoked(functions, tmp_path, "x")["body"] != first
