"""AWS's query protocol, from botocore's own service model: requests read, answers and errors written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from usher_simulator.own_clients import without_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, ServiceModel, Shape

SERVICE: Final = "autoscaling"
_NAMESPACE: Final = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
_NUMBER: Final = re.compile("-?[0-9]{1,10}")
_TWO_TO_31: Final = 1 << 31
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ApiError(Exception):
    """An error answer, as it goes over the wire."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One call: the operation, and its parameters as boto3 users write them."""

    operation: str
    parameters: Mapping[str, Any]
    request_id: str = ""


@cache
def service_model() -> ServiceModel:
    """Botocore's model of Auto Scaling."""
    return without_profile().get_service_model(SERVICE)


@cache
def _operation_model(name: str) -> OperationModel:
    return service_model().operation_model(name)


def read_request(body: str, request_id: str) -> Request:
    """The call in the form-encoded `body`. Raises ApiError for an operation that is none."""
    flat = dict(parse_qsl(body, keep_blank_values=True))
    operation = flat.pop("Action", "")
    if not operation:
        raise ApiError("MissingAction", "The request must contain the parameter Action")
    if operation not in service_model().operation_names:
        raise ApiError("InvalidAction", f"Could not find operation {operation} for version 2011-01-01")
    flat.pop("Version", None)
    shape = _operation_model(operation).input_shape
    parameters = _read(shape, _nested(flat)) if shape is not None else {}
    return Request(operation=operation, parameters=parameters, request_id=request_id)


def _nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """`{"A.member.1": "x"}` as `{"A": {"member": {"1": "x"}}}`."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *steps, last = key.split(".")
        place = tree
        for step in steps:
            below = place.setdefault(step, {})
            if not isinstance(below, dict):
                raise ApiError("MalformedInput", f"{key} is given both as a value and as a list")
            place = below
        place[last] = value
    return tree


def _read(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - any shape
    if shape.type_name == "structure":
        known = shape.members
        given = _members(value).items()
        return {name: _read(known[name], member) for name, member in given if name in known}
    if shape.type_name == "list":
        # An empty list is written as an empty value.
        elements = [] if value == "" else _members(_members(value).get("member")).items()
        numbered = sorted((_number(number), member) for number, member in elements)
        return [_read(shape.member, member) for _, member in numbered]
    if isinstance(value, dict):
        raise ApiError("MalformedInput", "a list is given where a value belongs")
    if shape.type_name == "boolean":
        return value.lower() == "true"
    return _number(value) if shape.type_name in ("integer", "long") else value


def _members(value: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    if not isinstance(value, dict):
        raise ApiError("MalformedInput", "a value is given where a list belongs")
    return value


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not -_TWO_TO_31 <= int(text) < _TWO_TO_31:
        raise ApiError("MalformedInput", f"{text!r} is not a number")
    return int(text)


def write_answer(operation: str, answer: Mapping[str, Any], request_id: str) -> str:
    """The XML of a success. Members of `answer` that are None are left out."""
    shape = _operation_model(operation).output_shape
    result = ""
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{operation}Result")
        result = f"<{wrapper}>{_write(shape, answer)}</{wrapper}>"
    return (
        f'<{operation}Response xmlns="{_NAMESPACE}">{result}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )


def write_error(error: ApiError, request_id: str) -> str:
    """The XML of an error."""
    kind = "Sender" if error.status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's border
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{kind}</Type><Code>{escape(error.code)}</Code>'
        f"<Message>{_text(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )


def _write(shape: Shape, value: Any) -> str:  # noqa: ANN401 - any shape
    if shape.type_name == "structure":
        return "".join(
            f"<{name}>{_write(member, value[name])}</{name}>"
            for name, member in shape.members.items()
            if value.get(name) is not None
        )
    if shape.type_name == "list":
        return "".join(f"<member>{_write(shape.member, element)}</member>" for element in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _text(str(value))


def _text(text: str) -> str:
    """Text as XML can carry it: what XML has no way to write becomes a replacement character."""
    return escape(_NOT_IN_XML.sub("\ufffd", text), {"\r": "&#13;"})
