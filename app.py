"""The CDK app: hooks.yaml, checked, becomes stacks. No AWS call is made here."""

from __future__ import annotations

import sys
from pathlib import Path

import aws_cdk as cdk

from cli.hooks_file import HooksFileRefused
from infra.configuration import ContextRefused, Deployment
from infra.controller import Controller
from infra.demo import Demo
from infra.hooks import Hooks


def main() -> int:
    """Synthesise; 2 where the hooks file or the context is not sound."""
    app = cdk.App()
    try:
        deployment = Deployment.from_context(app.node, Path(__file__).parent)
    except HooksFileRefused as refused:
        sys.stderr.writelines(f"{complaint}\n" for complaint in refused.complaints)
        return 2
    except ContextRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    controller = Controller(app, "Usher", deployment=deployment)
    Hooks(app, "UsherHooks", deployment=deployment, controller=controller)
    if deployment.demo:
        Demo(app, "UsherDemo", deployment=deployment, controller=controller)
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
