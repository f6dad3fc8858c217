"""The execution environment: what a function sees and may import, and how it always ends."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from usher.wiring.machine import new_id, now
from usher_cdk.python import Python, find_python
from usher_local.functions.function import Code, Function, FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    class Make(Protocol):
        def __call__(self, text: str, clock: Callable[[], datetime] = now) -> Function: ...


BRIEF = timedelta(milliseconds=200)


@pytest.fixture(scope="module")
def python() -> Python:
    return find_python()


@pytest.fixture
def make(python: Python, tmp_path: Path) -> Iterator[Make]:
    """Makes a function of the text of its module; all have ended when the test has."""
    made = []
    with (tmp_path / "log").open("wb") as log:

        def function(text: str, clock: Callable[[], datetime] = now) -> Function:
            asset = tmp_path / "asset"
            asset.mkdir()
            (asset / "sweep.py").write_text(text)
            code = Code(asset=asset, runtime=python.runtime(), python=python)
            made.append(Function("sweep", code, {"USHER_TABLE": "records"}, log, clock, new_id))
            return made[-1]

        yield function
        for each in made:
            each.close()


def is_alive(function: Function) -> bool:
    try:
        os.kill(function.process_id, 0)
    except ProcessLookupError:
        return False
    return True


def failure(function: Function, limit: timedelta = timedelta(seconds=60)) -> FunctionFailed:
    with pytest.raises(FunctionFailed) as raised:
        function.invoke({}, limit)
    return raised.value


def test_a_handler_is_given_the_event_and_its_answer_comes_back(make: Make) -> None:
    function = make("def handler(event, context):\n    return {'got': event}\n")
    for event in ({"a": "ä"}, ["b"], None, "x" * 2_000_000):
        assert function.invoke(event) == {"got": event}


def test_a_handler_is_told_what_lambda_tells(make: Make) -> None:
    function = make(
        "def handler(event, context):\n"
        "    left = context.get_remaining_time_in_millis()\n"
        "    return [context.function_name, context.memory_limit_in_mb, 0 < left <= 9000]\n"
    )
    assert function.invoke({}, timedelta(seconds=9)) == ["sweep", "512", True]


def test_no_handler_is_told_of_more_time_than_it_has(make: Make) -> None:
    """The runtime client counts from its own whole millisecond: a deadline rounded up is one too many."""
    moment = datetime(2126, 1, 1, microsecond=999_600, tzinfo=UTC)
    function = make(
        "def handler(event, context):\n    return context._epoch_deadline_time_in_ms\n", lambda: moment
    )
    deadline_s = function.invoke({}, timedelta(seconds=9)) / 1000
    assert deadline_s <= (moment + timedelta(seconds=9)).timestamp()


def test_a_function_sees_lambda_s_environment_and_its_settings_and_nothing_of_ours(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONPATH", os.curdir)
    monkeypatch.setenv("OURS", "secret")
    seen = make("import os\ndef handler(event, context):\n    return dict(os.environ)\n").invoke({})
    assert seen["USHER_TABLE"] == "records"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "sweep"
    assert not {"AWS_PROFILE", "PYTHONPATH", "OURS", "HOME"} & set(seen)


@pytest.mark.parametrize(
    "module", ["usher", "usher_cli", "usher_simulator", "usher_cdk", "moto", "pytest", "yaml", "pip"]
)
def test_what_is_not_in_asset_runtime_or_standard_library_cannot_be_imported(make: Make, module: str) -> None:
    function = make(f"import {module}\n")
    failed = failure(function)
    assert failed.kind == "Runtime.ImportModuleError"
    assert failed.message == f"Unable to import module 'sweep': No module named '{module}'"


@pytest.mark.parametrize("module", ["boto3", "sqlite3"])
def test_boto3_and_the_standard_library_are_there(make: Make, module: str) -> None:
    function = make(f"import {module}\ndef handler(event, context):\n    return {module}.__name__\n")
    assert function.invoke({}) == module


def test_a_function_without_its_handler_says_so_and_stays_ended(make: Make) -> None:
    function = make("")
    assert failure(function).kind == "Runtime.HandlerNotFound"
    assert failure(function).kind == failure(function).kind == "Runtime.ExitError"
    assert not is_alive(function)


def test_an_error_is_told_with_its_trace_and_the_next_event_is_served(make: Make) -> None:
    function = make("def handler(event, context):\n    return 1 / event['by']\n")
    with pytest.raises(FunctionFailed) as raised:
        function.invoke({"by": 0})
    assert (raised.value.kind, raised.value.message) == ("ZeroDivisionError", "division by zero")
    assert "line 2, in handler" in "".join(raised.value.trace)
    assert function.invoke({"by": 2}) == 0.5


def test_an_invocation_over_its_time_is_ended(make: Make) -> None:
    function = make(
        "import threading\n"
        "def handler(event, context):\n"
        "    return threading.Event().wait() if event else 'quick'\n"
    )
    assert function.invoke({}) == "quick"
    with pytest.raises(FunctionFailed, match=r"Sandbox\.Timedout: Task timed out after 0\.20 seconds"):
        function.invoke({"wait": "for ever"}, BRIEF)
    assert not is_alive(function)


def test_a_process_that_ends_itself_is_told(make: Make) -> None:
    failed = failure(make("import os\ndef handler(event, context):\n    os._exit(3)\n"))
    assert (failed.kind, failed.message) == ("Runtime.ExitError", "the process has ended with status 3")


def test_no_child_is_left_behind_not_even_one_that_never_became_ready(make: Make) -> None:
    idle = make("import threading\nthreading.Event().wait()\n")
    assert is_alive(idle)
    with idle:
        pass
    assert not is_alive(idle)


def test_nothing_is_written_into_the_asset(make: Make, tmp_path: Path) -> None:
    function = make("def handler(event, context):\n    return 0\n")
    function.invoke({})
    assert [path.name for path in (tmp_path / "asset").iterdir()] == ["sweep.py"]


def test_what_a_function_prints_is_its_log(make: Make, tmp_path: Path) -> None:
    with make("def handler(event, context):\n    print('at work')\n") as function:
        function.invoke({})
    assert (tmp_path / "log").read_text() == "at work\n"


def test_the_python_that_is_found_runs_and_says_its_version(python: Python) -> None:
    program = "print(sys.version_info.major, sys.version_info.minor, sep='.')"
    said = subprocess.check_output(python.isolated([], program), text=True)  # noqa: S603 - our own
    assert said.strip() == python.version


def stand_in(folder: Path, says: str) -> Path:
    folder.mkdir(parents=True)
    script = folder / "python3.13"
    script.write_text(f"#!/bin/sh\n{says}\n")
    script.chmod(0o755)
    return script


def test_a_stand_in_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = stand_in(tmp_path / "broken", "exit 127")
    works = stand_in(tmp_path / "works", "echo 3.13")
    monkeypatch.setenv("PATH", os.pathsep.join(str(script.parent) for script in (broken, works)))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    running = Python(path="running", version="3.12")
    assert find_python(running) == Python(path=str(works), version="3.13")
    works.unlink()
    assert find_python(running) == running


def test_a_python_of_pyenv_is_found_though_another_version_is_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(stand_in(tmp_path / "shims", "exit 127").parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    works = stand_in(tmp_path / "versions" / "3.13.1" / "bin", "echo 3.13")
    assert find_python(Python(path="running", version="3.12")) == Python(path=str(works), version="3.13")
