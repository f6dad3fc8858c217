"""The CDK app: hooks.yaml, checked, becomes stacks. No AWS call is made here."""

from __future__ import annotations

import sys
from pathlib import Path

import aws_cdk as cdk

from cli.hooks_file import HooksFileRefused, load
from infra.controller import Controller


def main() -> int:
    """Synthesise; 2 where the hooks file is not sound."""
    app = cdk.App()
    try:
        load(Path(app.node.try_get_context("hooks") or "hooks.yaml"))
    except HooksFileRefused as refused:
        sys.stderr.writelines(f"{complaint}\n" for complaint in refused.complaints)
        return 2
    Controller(app, "Usher")
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
