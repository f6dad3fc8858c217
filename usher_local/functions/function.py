"""A function in an execution environment of its own: a child process under Lambda's runtime client."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import Empty
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, Final, Self

from usher_local.functions.runtime_api import Answered, Ended, Failed, Invocation, Ready, RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from usher_cdk.python import Python

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
DEFAULT_LIMIT: Final = timedelta(seconds=60)
_LONGEST_START: Final = timedelta(minutes=2)  # Lambda allows 10 s, on a machine that does nothing else
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_PROGRAM: Final = """\
from awslambdaric.__main__ import main
main(sys.argv)
"""


class FunctionFailed(Exception):  # noqa: N818 - it reads as what happened
    """What Lambda answers in place of a result: type, message and trace of the error."""

    def __init__(self, kind: str, message: str, trace: tuple[str, ...] = ()) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.trace = trace


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """What a function is made of: an unpacked asset, and what stands beside it."""

    asset: Path
    runtime: Path
    python: Python


class Function:
    """One execution environment of `NAME.handler`. Its child process lives until `close`.

    The child sees the environment that Lambda would give it and `settings`, nothing of ours. What
    it writes goes to `log`.
    """

    def __init__(
        self,
        name: str,
        code: Code,
        settings: Mapping[str, str],
        log: IO[Any],
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        arn: str | None = None,
    ) -> None:
        self._arn = arn or f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        self._now = now
        self._new_id = new_id
        self._closed = False
        self._api = RuntimeApi()
        command = code.python.isolated([code.asset, code.runtime], _PROGRAM, f"{name}.handler")
        self._child = subprocess.Popen(  # noqa: S603 - nothing of it is input
            command,
            cwd=code.asset,
            env=_environment(name, code, self._api.address) | dict(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self._watch = Thread(target=self._tell_end)
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process_id(self) -> int:
        """The child's."""
        return self._child.pid

    @property
    def has_ended(self) -> bool:
        """Whether the child is gone, and no use for another invocation."""
        return self._child.poll() is not None

    def close(self) -> None:
        """End the child, whatever it is doing."""
        if not self._closed:
            self._closed = True
            self._child.kill()
            self._watch.join()
            self._api.close()

    def invoke(
        self, event: object, time_limit: timedelta = DEFAULT_LIMIT, request_id: str | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """What the handler returns for `event`. Raises FunctionFailed.

        A handler that raised may be invoked again. One that could not be imported, ended its process
        or ran over its time is over.
        """
        self._said(_LONGEST_START)  # that it is ready
        deadline = self._now() + time_limit
        self._api.hand_over(
            Invocation(
                request_id=request_id or self._new_id(),
                function_arn=self._arn,
                deadline_ms=(deadline - _EPOCH)
                // _MILLISECOND,  # no handler is told of more time than it has
                event=json.dumps(event).encode(),
            )
        )
        return self._said(time_limit)

    def wait_until_ready(self) -> None:
        """Until it has started, or has ended what it was invoked for. Raises FunctionFailed."""
        self._said(_LONGEST_START)
        self._api.told.put(Ready())  # which `invoke` waits for

    def _said(self, within: timedelta) -> Any:  # noqa: ANN401 - JSON
        """The answer that comes next; None where it is that the child is ready."""
        try:
            told = self._api.told.get(timeout=within.total_seconds())
        except Empty:
            self.close()
            message = f"Task timed out after {within.total_seconds():.2f} seconds"
            raise FunctionFailed("Sandbox.Timedout", message) from None
        match told:
            case Ready():
                return None
            case Answered():
                return json.loads(told.body)
            case Failed():
                raise FunctionFailed(told.kind, told.message, told.trace)
            case Ended():
                self._api.told.put(told)  # whoever asks again is told again
                self.close()
                raise FunctionFailed("Runtime.ExitError", f"the process has ended with status {told.status}")

    def _tell_end(self) -> None:
        self._api.told.put(Ended(status=self._child.wait()))


def _environment(name: str, code: Code, runtime_api: str) -> dict[str, str]:
    """What Lambda sets, and what keeps a real account out of reach."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{code.python.version}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_RUNTIME_DIR": str(code.runtime),
        "LAMBDA_TASK_ROOT": str(code.asset),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
        "_HANDLER": f"{name}.handler",
    }
