"""What is uploaded to Lambda: functions/, its dependencies, and the hooks file compiled to JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

if TYPE_CHECKING:
    from infra.configuration import Deployment

ROOT: Final = Path(__file__).resolve().parent.parent
RUNTIME: Final = lambda_.Runtime.PYTHON_3_13
ARCHITECTURE: Final = lambda_.Architecture.ARM_64
_PIP: Final = (
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-compile",  # compiled files hold times, and the asset must be the same each time
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
    "--python-version=3.13",
    "--implementation=py",  # pure Python only: the same on arm64, x86_64 and under `make invoke`
    "--platform=any",
)


def build(folder: Path, hooks_data: Any) -> None:  # noqa: ANN401 - plain data, as YAML brings it
    """Build the asset into `folder`. Building twice gives the same bytes."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "functions", folder, dirs_exist_ok=True, ignore=ignored)
    requirements = ROOT / "requirements" / "functions.txt"
    command = [sys.executable, "-m", "pip", *_PIP, f"--requirement={requirements}", f"--target={folder}"]
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - nothing of it is input
    shutil.rmtree(folder / "bin", ignore_errors=True)
    text = json.dumps(hooks_data, indent=1, sort_keys=True) + "\n"
    (folder / "hooks.json").write_text(text, encoding="utf-8")


@jsii.implements(cdk.ILocalBundling)
class _LocalBundling:
    """Builds on this machine; no container engine is asked for."""

    def __init__(self, hooks_data: Any) -> None:  # noqa: ANN401 - as above
        self._hooks_data = hooks_data

    def try_bundle(self, output_dir: str, *_: object, **__: object) -> bool:
        """Called by the CDK; True says that it is done."""
        build(Path(output_dir), self._hooks_data)
        return True


def code(deployment: Deployment) -> lambda_.Code:
    """The code of every function; they differ by handler."""
    return lambda_.Code.from_asset(
        str(ROOT / "functions"),
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        exclude=["**/__pycache__", "**/*.pyc"],
        bundling=cdk.BundlingOptions(
            image=RUNTIME.bundling_image, local=_LocalBundling(deployment.hooks_data)
        ),
    )
