"""The constraints on input that botocore's own model states, checked as the service does."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling.query_protocol import ApiError, service_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import Shape

# The model spells what lies outside the basic plane as a pair of surrogates, which Python does not.
_PAIR = r"\uD800\uDC00-\uDBFF\uDFFF"
_BEYOND = r"\U00010000-\U0010FFFF"


def check(operation: str, parameters: Mapping[str, Any]) -> None:
    """Raise ApiError, in AWS's words, for every value that breaks a constraint of the model."""
    shape = service_model().operation_model(operation).input_shape
    broken = list(_broken(shape, parameters, "")) if shape is not None else []
    if broken:
        noun = "error" if len(broken) == 1 else "errors"
        raise ApiError("ValidationError", f"{len(broken)} validation {noun} detected: {'; '.join(broken)}")


def _broken(shape: Shape, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - any shape
    if shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield _said("null", _below(path, name), "Member must not be null")
        for name, member in value.items():
            yield from _broken(shape.members[name], member, _below(path, name))
    elif shape.type_name == "list":
        yield from _broken_range(len(value), _ranges(shape), f"'[{', '.join(map(str, value))}]'", path)
        for number, element in enumerate(value, start=1):
            yield from _broken(shape.member, element, f"{path}.{number}.member")
    elif shape.type_name == "string":
        yield from _broken_text(shape, value, path)
    elif shape.type_name in ("integer", "long"):
        yield from _broken_range(value, _ranges(shape), f"'{value}'", path, of="value")


def _broken_text(shape: Shape, text: str, path: str) -> Iterator[str]:
    yield from _broken_range(len(text), _ranges(shape), f"'{text}'", path)
    pattern = _pattern(shape.metadata.get("pattern"))
    if pattern is not None and not pattern.fullmatch(text):
        rule = f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"
        yield _said(f"'{text}'", path, rule)
    enum = shape.metadata.get("enum")
    if enum and text not in enum:
        yield _said(f"'{text}'", path, f"Member must satisfy enum value set: [{', '.join(enum)}]")


def _broken_range(
    size: int, bounds: tuple[int | None, int | None], shown: str, path: str, of: str = "length"
) -> Iterator[str]:
    least, most = bounds
    if least is not None and size < least:
        yield _said(shown, path, f"Member must have {of} greater than or equal to {least}")
    if most is not None and size > most:
        yield _said(shown, path, f"Member must have {of} less than or equal to {most}")


def _ranges(shape: Shape) -> tuple[int | None, int | None]:
    return shape.metadata.get("min"), shape.metadata.get("max")


@cache
def _pattern(written: str | None) -> re.Pattern[str] | None:
    return None if written is None else re.compile(written.replace(_PAIR, _BEYOND))


def _said(shown: str, path: str, rule: str) -> str:
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"


def _below(path: str, name: str) -> str:
    """The service names members with a small first letter."""
    small = name[:1].lower() + name[1:]
    return f"{path}.{small}" if path else small
