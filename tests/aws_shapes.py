"""Answers for AWS calls in tests, held against botocore's own models: what AWS could not say is refused."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.validate import ParamValidator

from usher.core.conditions.probe import Reply, ReplyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.model import ServiceModel, Shape

    from usher.core.conditions.probe import Call


@cache
def service_model(service: str) -> ServiceModel:
    """The model of a service, as botocore brings it."""
    return botocore.session.Session().get_service_model(service)


def values_of(service: str, shape: str) -> set[str]:
    """Every value that the model lists of an enumeration, such as `TargetHealthStateEnum`."""
    return set(service_model(service).shape_for(shape).enum)


@cache
def pages_of(service: str, operation: str) -> Mapping[str, Any] | None:
    """How an answer is given in pages; None where it has none."""
    loader = botocore.session.Session().get_component("data_loader")
    pages: Mapping[str, Any] = loader.load_service_model(service, "paginators-1")["pagination"]
    return pages.get(operation)


def checked(service: str, operation: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """`data`, as the answer of an operation; an AssertionError where its shape is another one."""
    _hold_against(service_model(service).operation_model(operation).output_shape, data)
    return data


class ShapedCalls:
    """Implements usher.ports.conditions.Calls: `answer` is given the operation and its parameters.

    It gives the data of the answer, or a Reply where that is another one. `made` is what was called.
    """

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], Mapping[str, Any] | Reply]) -> None:
        self._answer = answer
        self.made: list[tuple[str, dict[str, Any]]] = []

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        """See usher.ports.conditions.Calls."""
        parameters = dict(call.parameters)
        if call.shared is not None and call.shared.members_in is not None:
            parameters[call.shared.members_in] = list(members)
        _hold_against(service_model(call.service).operation_model(call.operation).input_shape, parameters)
        _hold_against_pages(call)
        self.made.append((call.operation, parameters))
        answer = self._answer(call.operation, parameters)
        if isinstance(answer, Reply):
            return answer
        return Reply(kind=ReplyKind.ANSWERED, data=checked(call.service, call.operation, answer))


def _hold_against_pages(call: Call) -> None:
    """A list is read whole, or its first page, of a size that is asked for."""
    pages = pages_of(call.service, call.operation)
    if pages is None:
        assert not call.all_pages, f"{call.operation} has no pages"
    else:
        limit = pages.get("limit_key")
        assert call.all_pages or limit in call.parameters, f"{call.operation}: all_pages, or {limit}"


def _hold_against(shape: Shape, value: Mapping[str, Any]) -> None:
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
