"""Nothing imports upwards: the contracts of pyproject.toml, their table in the docs, bad imports caught."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import grimp

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {
    "usher": "functions",
    "usher_cdk": "infra",
    "usher_cli": ".",
    "usher_hooksfile": ".",
    "usher_local": ".",
    "usher_simulator": ".",
}
PLANTED: Final = {  # where, and what may not be imported there
    "functions/usher/core/decide.py": "usher.settings",
    "functions/usher/core/deadlines.py": "time",
    "functions/usher/evaluation/evaluator.py": "boto3",
    "functions/usher/evaluation/sender.py": "usher.questions.asking",
    "functions/usher/intake/opening.py": "usher.aws.records",
    "functions/usher/ports/queues.py": "usher.evaluation.wake_ups",
    "functions/usher/sweep.py": "usher_simulator.fakes.recorder",
    "infra/usher_cdk/queue.py": "usher_cli.main",
    "usher_simulator/autoscaling/engine.py": "usher.core.action",
}


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return listed


def test_the_table_of_layers_in_the_docs_is_that_of_the_contract() -> None:
    (layers,) = (each["layers"] for each in contracts() if each["name"] == "Layers of the functions")
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| \d+ \| (.*?) \|", text, re.MULTILINE)
    assert rows == [" · ".join(f"`{name.strip()}`" for name in layer.split(":")) for layer in layers]


def test_bad_imports_are_caught(tmp_path: Path) -> None:
    for package, folder in PACKAGES.items():
        source = ROOT / folder / package
        shutil.copytree(source, tmp_path / folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, module in PLANTED.items():
        with (tmp_path / file).open("a", encoding="utf-8") as code:
            code.write(f"\nimport {module}\n")

    paths = os.pathsep.join(str(tmp_path / folder) for folder in sorted(set(PACKAGES.values())))
    done = subprocess.run(  # noqa: S603 - our own program
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    for file, module in PLANTED.items():
        name = ".".join(Path(file).relative_to(PACKAGES[module_of(file)]).with_suffix("").parts)
        assert f"{name} -> {module} " in done.stdout, file


def module_of(file: str) -> str:
    """The package that a file belongs to."""
    return next(part for part in Path(file).parts if part in PACKAGES)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """At run time: what only names a type imports nothing."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules
