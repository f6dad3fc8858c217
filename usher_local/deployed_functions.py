"""The deployed functions: each invocation in an execution environment of the very zip that was uploaded."""

from __future__ import annotations

import hashlib
import resource
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Final

from usher_local.functions.function import Code, Function, FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher_cdk.python import Python

_OVER: Final = ("Runtime.", "Sandbox.")  # kinds of failures after which an environment is not used again
_MEGABYTE: Final = 1 << 20
_CLOSED_AT_ONCE: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """One function as it is configured now. Its environments are no use to any other configuration."""

    name: str
    arn: str
    module: str
    limit: timedelta
    memory_mb: int
    code: Path  # the zip
    settings: tuple[tuple[str, str], ...]  # the environment

    @classmethod
    def from_question(cls, asked: Mapping[str, Any]) -> Deployed:
        """From what the emulator knows of it."""
        config = asked["config"]
        variables: dict[str, str] = (config.get("Environment") or {}).get("Variables") or {}
        logging = config.get("LoggingConfig") or {}
        lambdas_own = {
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config["MemorySize"]),
            "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
            "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{config['FunctionName']}",
        }
        credentials = {name: value for name, value in asked["credentials"].items() if value}
        return cls(
            name=config["FunctionName"],
            arn=config["FunctionArn"],
            module=config["Handler"].removesuffix(".handler"),
            limit=timedelta(seconds=config["Timeout"]),
            memory_mb=int(config["MemorySize"]),
            code=Path(asked["code"]),
            settings=tuple(sorted((variables | lambdas_own | credentials).items())),
        )


@dataclass(kw_only=True, slots=True)
class _Environment:
    function: Function
    log: Path
    read: int = 0  # bytes of the log that are told already

    def news(self) -> str:
        """What it wrote since the last invocation."""
        with self.log.open("rb") as log:
            log.seek(self.read)
            new = log.read()
        self.read += len(new)
        return new.decode(errors="replace")


class DeployedFunctions:
    """Keeps environments warm, as many for a function as it has had invocations at once."""

    def __init__(
        self,
        python: Python,
        folder: Path,
        logs: Path,
        environment: Mapping[str, str],
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._python = python
        self._runtime = python.runtime()
        self._folder = folder
        self._logs = logs
        self._environment = dict(environment)
        self._now = now
        self._new_id = new_id
        self._lock = Lock()
        self._idle: dict[Deployed, list[_Environment]] = {}
        self._all: list[_Environment] = []
        self._closed = False

    def invoke(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answers the emulator: what the function returned, or how it failed; and what it wrote."""
        deployed = Deployed.from_question(asked)
        environment = self._take(deployed)
        try:
            answer = {
                "body": environment.function.invoke(asked["event"], deployed.limit, asked["request_id"])
            }
        except FunctionFailed as failure:
            answer = {"body": _told(failure), "error": True}
            if failure.kind.startswith(_OVER):
                self._drop(environment)
                return answer | {"log": environment.news()}
        answer["log"] = environment.news()
        self._give_back(deployed, environment)
        return answer

    def close(self) -> None:
        """End every environment, whatever it is doing."""
        with self._lock:
            self._closed = True
            ending, self._all = self._all, []
        with ThreadPoolExecutor(_CLOSED_AT_ONCE) as pool:
            list(pool.map(lambda environment: environment.function.close(), ending))

    def _take(self, deployed: Deployed) -> _Environment:
        with self._lock:
            retired = [old for old in self._idle if old.arn == deployed.arn and old != deployed]
            ending = [environment for old in retired for environment in self._idle.pop(old)]
            idle = self._idle.get(deployed)
            found = None
            while idle and found is None:  # one that died meanwhile is replaced, and fails no event
                taken = idle.pop()
                if taken.function.has_ended:
                    ending.append(taken)
                else:
                    found = taken
        for environment in ending:
            self._drop(environment)
        return found or self._start(deployed)

    def _start(self, deployed: Deployed) -> _Environment:
        with self._lock:
            asset = self._unpacked(deployed.code)
            log = self._logs / f"{deployed.name}-{len(list(self._logs.iterdir()))}.log"
            with log.open("ab") as stream:
                function = self._function(deployed, asset, stream)
            environment = _Environment(function=function, log=log)
            self._all.append(environment)
        if self._closed:
            self._drop(environment)
        return environment

    def _function(self, deployed: Deployed, asset: Path, log: IO[bytes]) -> Function:
        code = Code(asset=asset, runtime=self._runtime, python=self._python)
        settings = self._environment | dict(deployed.settings)
        function = Function(deployed.module, code, settings, log, self._now, self._new_id, deployed.arn)
        _limit_memory(function.process_id, deployed.memory_mb)
        return function

    def _unpacked(self, code: Path) -> Path:
        folder = self._folder / hashlib.sha256(code.name.encode()).hexdigest()[:16]
        if not folder.is_dir():
            with zipfile.ZipFile(code) as packed:
                packed.extractall(folder)
        return folder

    def _give_back(self, deployed: Deployed, environment: _Environment) -> None:
        with self._lock:
            self._idle.setdefault(deployed, []).append(environment)

    def _drop(self, environment: _Environment) -> None:
        environment.function.close()
        with self._lock, suppress(ValueError):
            self._all.remove(environment)


def _limit_memory(process_id: int, megabytes: int) -> None:
    """Where the system can: beyond it Python raises MemoryError, where Lambda would end the process."""
    if hasattr(resource, "prlimit"):
        size = megabytes * _MEGABYTE
        with suppress(ProcessLookupError):
            resource.prlimit(process_id, resource.RLIMIT_DATA, (size, size))


def _told(failure: FunctionFailed) -> dict[str, object]:
    """As Lambda words it."""
    return {
        "errorMessage": failure.message,
        "errorType": failure.kind,
        "stackTrace": list(failure.trace),
    }
