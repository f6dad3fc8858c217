"""What `sam local` takes from the template, as far as it is held without SAM (`make test-sam` has SAM)."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.infra.stacks import deployment, template_of
from usher.settings import _NEEDED, _NEEDED_TO_ENROL
from usher_cdk.wheels import ROOT

PUTS_HOOKS: Final = ("provision", "sweep")
MODULES: Final = sorted(path.stem for path in (ROOT / "functions").glob("*.py"))
EVENTS: Final = [path.name for path in (ROOT / "events" / "invoke").glob("*.json")]


@pytest.fixture(scope="module", params=["arm64", "x86_64"])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def functions(architecture: str) -> dict[str, dict[str, Any]]:
    """By the name that a user types."""
    template = template_of(deployment(announce=True, architecture=architecture))
    found = [each for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function"]
    return {each["Metadata"]["SamResourceId"]: each["Properties"] for each in found}


def test_every_function_has_its_modules_name(functions: dict[str, dict[str, Any]]) -> None:
    assert sorted(functions) == MODULES


def test_each_runs_its_own_handler_on_the_processor_that_was_asked_for(
    functions: dict[str, dict[str, Any]], architecture: str
) -> None:
    for name, function in functions.items():
        told = (function["Handler"], function["Runtime"], function["Architectures"])
        assert told == (f"{name}.handler", "python3.13", [architecture])


def test_what_a_function_needs_is_declared_so_that_an_env_file_can_say_it(
    functions: dict[str, dict[str, Any]],
) -> None:
    """SAM drops every other name."""
    for name, function in functions.items():
        needed = {*(_NEEDED if name != "announce" else ()), *(_NEEDED_TO_ENROL if name in PUTS_HOOKS else ())}
        declared = function.get("Environment", {}).get("Variables", {})
        assert needed <= declared.keys()


@pytest.mark.parametrize("module", MODULES)
def test_there_is_an_event_for_every_function(module: str) -> None:
    assert [name for name in EVENTS if name.startswith(f"{module}-")]
