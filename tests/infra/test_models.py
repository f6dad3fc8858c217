"""The reduced models of services: every operation that the functions call, and no more."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

from usher_cdk.models import OPERATIONS, write_models

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parents[2] / "functions"
LISTED = {(service, operation) for service, operations in OPERATIONS.items() for operation in operations}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


def whole(service: str) -> Any:
    return Loader().load_service_model(service, "service-2")


def nodes_of_the_code() -> Iterator[ast.AST]:
    for path in FUNCTIONS.rglob("*.py"):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def names_in_the_code() -> Iterator[str]:
    """Methods that are called, paginators that are made, and operations that conditions name."""
    for node in nodes_of_the_code():
        if isinstance(node, ast.Attribute):
            yield node.attr
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def services_in_the_code() -> Iterator[object]:
    """What clients are made of, and what conditions name."""
    for node in nodes_of_the_code():
        if isinstance(node, ast.Call):
            is_client = isinstance(node.func, ast.Attribute) and node.func.attr == "client"
            named = [each.value for each in node.keywords if each.arg == "service"]
            for each in (*node.args[:is_client], *named):
                if isinstance(each, ast.Constant):
                    yield each.value


def test_every_operation_that_the_functions_call_is_in_the_models_and_no_other() -> None:
    names = set(names_in_the_code())
    called = {
        (service, operation)
        for service in OPERATIONS
        for operation in whole(service)["operations"]
        if {operation, xform_name(operation)} & names
    }
    assert called == LISTED


def test_every_service_that_has_a_client_has_a_model() -> None:
    assert set(services_in_the_code()) - {"usher"} == set(OPERATIONS)  # usher: of the log


@pytest.mark.parametrize("service", OPERATIONS)
def test_what_a_model_keeps_is_whole(service: str, models: Path) -> None:
    reduced, full = (
        ServiceModel(Loader([str(models)]).load_service_model(service, "service-2")),
        whole(service),
    )
    assert set(reduced.operation_names) == set(OPERATIONS[service])
    for name in reduced.operation_names:
        kept, original = reduced.operation_model(name), ServiceModel(full).operation_model(name)
        for shape, other in (
            (kept.input_shape, original.input_shape),
            (kept.output_shape, original.output_shape),
            *zip(kept.error_shapes, original.error_shapes, strict=True),
        ):
            assert described(shape) == described(other)


def described(shape: Any, inside: tuple[str, ...] = ()) -> Any:
    """All that botocore reads of a shape, and of what it is made of."""
    if shape is None or shape.name in inside:
        return shape and shape.name
    inside = (*inside, shape.name)
    parts = getattr(shape, "members", {}) | {
        part: getattr(shape, part) for part in ("member", "key", "value") if hasattr(shape, part)
    }
    own = (shape.name, shape.type_name, shape.serialization, shape.metadata)
    return own, {name: described(part, inside) for name, part in parts.items()}
