"""The CDK app: hooks.yaml, checked, becomes stacks. No AWS call is made here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk

from usher_cdk.configuration import ContextRefused, Deployment
from usher_cdk.controller import Controller
from usher_cdk.demo import Demo
from usher_cdk.nag_suppressions import acknowledge
from usher_cdk.own_group import UnfitHook
from usher_hooksfile.load import HooksFileRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path(__file__).parent


def main(
    folder: Path = FOLDER, context: Mapping[str, object] | None = None, outdir: str | None = None
) -> int:
    """Synthesise; 2 where the hooks file or the context is not sound, or a construct or the CDK refuses.

    The CDK's command line says in the environment what `context` and `outdir` say otherwise.
    """
    try:
        app = cdk.App(context=context, outdir=outdir)
        deployment = Deployment.from_context(app.node, folder)
        make(app, deployment)
        acknowledge(app, deployment)
        app.synth()
    except HooksFileRefused as refused:
        sys.stderr.writelines(f"{complaint}\n" for complaint in refused.complaints)
        return 2
    except (ContextRefused, UnfitHook) as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    except RuntimeError as error:  # jsii's, with a trace of Node behind what it says
        sys.stderr.write(f"The CDK refuses it: {_first_line(error)}\n")
        return 2
    return 0


def _first_line(error: RuntimeError) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def make(app: cdk.App, deployment: Deployment) -> None:
    """The stacks."""
    controller = Controller(app, "Usher", deployment=deployment)
    if deployment.demo:
        Demo(app, "UsherDemo", deployment=deployment, controller=controller)


if __name__ == "__main__":
    sys.exit(main())
