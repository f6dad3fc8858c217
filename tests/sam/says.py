"""Run by the Python of SAM's own environment: what SAM's library makes of a template, as JSON.

`python says.py TEMPLATE [ENV_FILE]`. It reads private names of SAM, whose version is pinned.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from samcli.commands.local.cli_common.invoke_context import InvokeContext
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

NAMES = ("intake", "wake", "questions", "sweep", "provision", "announce")


def main(template: str, env_file: str | None = None) -> None:
    """Print what each function is for SAM, by the name that a user types."""
    stacks, _ = SamLocalStackProvider.get_stacks(template)
    functions = SamFunctionProvider(stacks)
    runner = LocalLambdaRunner(
        local_runtime=SimpleNamespace(),
        function_provider=functions,
        cwd=str(Path(template).parent),
        real_path=template,
        aws_region="us-east-1",
        env_vars_values=InvokeContext._get_env_vars_value(env_file) or {},  # noqa: SLF001 - see above
    )
    found = {}
    for name in NAMES:
        function = functions.get(name)
        config = runner.get_invoke_config(function)
        found[name] = {
            "handler": config.handler,
            "runtime": config.runtime,
            "architecture": config.architecture,
            "code": str(config.code_abs_path),
            "environment": config.env_vars.resolve(),
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
