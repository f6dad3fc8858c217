"""The reduced data of services: every operation that the functions call, and no more; their endpoints."""

from __future__ import annotations

import ast
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import EndpointVariantError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.regions import EndpointResolver

from usher.aws.service_data import read_from
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


@cache
def whole(service: str) -> Any:
    return Loader().load_service_model(service, "service-2")


@cache
def nodes_of_the_code() -> list[ast.AST]:
    paths = FUNCTIONS.rglob("*.py")
    return [node for path in paths for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


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


def test_the_endpoints_that_are_kept_are_those_of_botocore_in_every_region(models: Path) -> None:
    loaders = (Loader([str(models)]), Loader())
    reduced, full = (EndpointResolver(each.load_data("endpoints")) for each in loaders)
    prefixes = [whole(service)["metadata"]["endpointPrefix"] for service in OPERATIONS]

    assert reduced.get_available_partitions() == full.get_available_partitions()
    asked = 0
    for prefix, partition in product(prefixes, full.get_available_partitions()):
        known = full.get_available_endpoints(prefix, partition, allow_non_regional=True)
        regions = [*known, f"{known[0][:2] if known else 'us'}-new-9"]  # a global service has none in some
        for region, dual_stack, fips in product(regions, (False, True), (False, True)):
            variant = {"use_dualstack_endpoint": dual_stack, "use_fips_endpoint": fips}
            asked += 1
            assert answer(reduced, prefix, region, variant) == answer(full, prefix, region, variant)
    assert asked > 1000


def answer(resolver: EndpointResolver, prefix: str, region: str, variant: dict[str, bool]) -> Any:
    """The endpoint, or why there is none."""
    try:
        return resolver.construct_endpoint(prefix, region, **variant)
    except EndpointVariantError as error:
        return str(error)


@pytest.fixture
def reading_reduced(models: Path) -> Iterator[None]:
    """As in a function: `boto3.client` reads the reduced data."""
    read_from(models)
    yield
    boto3.DEFAULT_SESSION = None


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-2", "cn-north-1", "us-gov-west-1"])
@pytest.mark.usefixtures("reading_reduced")
def test_a_client_calls_where_it_would_call_with_the_whole(region: str) -> None:
    session = boto3.Session()
    for service in OPERATIONS:
        reduced, full = (made.client(service, region_name=region) for made in (boto3, session))
        assert reduced.meta.endpoint_url == full.meta.endpoint_url


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
