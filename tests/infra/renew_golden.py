"""The golden templates, without hashes. `make golden` writes them anew.

Those of hooks.yaml, whose hooks are put through a custom resource; the demo's group, whose own
template holds its hooks; and that of `usher install`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from tests.infra.stacks import all_templates, of_file
from usher_cdk.installable import installable

FOLDER: Final = Path(__file__).parent / "golden"
_HOOKS: Final = Path(__file__).parents[2] / "hooks.yaml"
_DEMO: Final = Path(__file__).parents[2] / "infra" / "usher_cdk" / "demo.hooks.yaml"
_HASH: Final = re.compile(r"\b[0-9a-f]{64}\b")  # of an asset: it changes with every line of the functions


def of_stacks() -> dict[str, str]:
    """The text of each template of the CDK's stacks, by the name of its file."""
    demo = all_templates(of_file(_DEMO, demo=True))["UsherDemo"]
    made = all_templates(of_file(_HOOKS)) | {"UsherDemo": demo}
    return {f"{name}.json": as_golden(template) for name, template in made.items()}


def as_golden(template: Any) -> str:
    """The text of one."""
    return _HASH.sub("HASH", json.dumps(template, indent=1)) + "\n"


def main() -> None:
    """Write them all, and nothing else."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in (of_stacks() | {"Install.json": as_golden(installable())}).items():
        (FOLDER / name).write_text(text)
        sys.stderr.write(f"{FOLDER.name}/{name}\n")


if __name__ == "__main__":
    main()
