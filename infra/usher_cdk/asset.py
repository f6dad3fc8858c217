"""The functions' asset in the CDK's words: built on this machine, without a container engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

from usher_cdk.bundle import build
from usher_cdk.wheels import ROOT

if TYPE_CHECKING:
    from usher.core.compiled import Compiled
    from usher_cdk.configuration import Deployment

RUNTIME: Final = lambda_.Runtime.PYTHON_3_13
ARCHITECTURES: Final = {
    "arm64": lambda_.Architecture.ARM_64,
    "x86_64": lambda_.Architecture.X86_64,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """What every function runs, and on which processors; they differ by handler."""

    code: lambda_.Code
    architecture: lambda_.Architecture


@jsii.implements(cdk.ILocalBundling)
class _LocalBundling:
    """Builds on this machine; no container engine is asked for."""

    def __init__(self, file: Compiled) -> None:
        self._file = file

    def try_bundle(self, output_dir: str, *_: object, **__: object) -> bool:
        """Called by the CDK; True says that it is done."""
        build(Path(output_dir), self._file)
        return True


def asset_of(deployment: Deployment) -> Asset:
    """The asset of a deployment: pure Python, the same on either architecture."""
    code = lambda_.Code.from_asset(
        str(ROOT / "functions"),
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(image=RUNTIME.bundling_image, local=_LocalBundling(deployment.file)),
    )
    return Asset(code=code, architecture=ARCHITECTURES[deployment.architecture])
