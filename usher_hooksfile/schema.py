"""The JSON Schema of hooks.yaml, for editors and validators: what the parser declares (usher.core.shape).

It covers keys, types, words, patterns and numbers. A JSON Schema cannot express the lengths of durations, or
what must fit together (a hook and the policy that it names, …): only `usher check` does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from usher.core import conditions, configuration, duration
from usher.core.configuration.hooks import HOOK
from usher.core.policies import POLICY
from usher.core.shape import (
    AnyKeys,
    Choice,
    Constant,
    Count,
    Duration,
    Either,
    Keys,
    ListOf,
    OneKey,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.shape import Shape

Json: TypeAlias = "dict[str, Any]"

_DEFINITIONS: Final[Mapping[str, Shape]] = {
    "policy": POLICY,
    "hook": HOOK,
    "condition": conditions.CONDITION,
    "plain_condition": conditions.PLAIN,
}


def written(of: Json | None = None) -> str:
    """A schema as a file has it, by default that of hooks.yaml."""
    return json.dumps(of or schema(), indent=2, ensure_ascii=True) + "\n"


def schema() -> Json:
    """The schema of hooks.yaml."""
    definitions = {name: _of(shape) for name, shape in _DEFINITIONS.items()}
    return {**titled("Usher's hooks.yaml", configuration.FILE), "definitions": definitions}


def titled(title: str, shape: Shape) -> Json:
    """The schema of a whole file, of draft 7: editors support it best."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": title, **_of(shape)}


def _member(shape: Shape) -> Json:
    """What stands within another shape: by reference, where it has a name."""
    name = next((name for name, each in _DEFINITIONS.items() if each is shape), None)
    return _of(shape) if name is None else {"$ref": f"#/definitions/{name}"}


def _of(shape: Shape) -> Json:  # noqa: PLR0911 - one for each shape
    match shape:
        case Constant():
            return {"const": shape.value}
        case Choice():
            return {"enum": [str(word) for word in shape.words]}
        case Text():
            return {"type": "string", "pattern": _whole(shape.pattern), "description": shape.rule}
        case Duration():
            pattern = rf"^(?=.){duration.WRITTEN.pattern}$"
            return {"type": "string", "pattern": pattern, "description": shape.rule}
        case Count():
            return {"type": "integer", "minimum": shape.least, "maximum": shape.most}
        case Either():
            return {"anyOf": [_member(each) for each in shape.shapes]}
        case ListOf():
            return {
                "type": "array",
                "items": _member(shape.shape),
                **_length("Items", shape.least, shape.most),
            }
        case _:
            return {"type": "object", **_mapping(shape)}


def _mapping(shape: Keys | AnyKeys | OneKey) -> Json:
    match shape:
        case Keys():
            required = {"required": list(shape.required)} if shape.required else {}
            return {**_known(shape.of), **required, **_length("Properties", shape.least)}
        case AnyKeys():
            names = {"pattern": _whole(shape.key.pattern)}
            value = {"propertyNames": names, "additionalProperties": _member(shape.value)}
            return {**value, **_length("Properties", shape.least)}
        case OneKey():
            return {**_known({**shape.of, **shape.beside}), **_exactly_one(shape)}
        case _:
            assert_never(shape)


def _known(keys: Mapping[str, Shape]) -> Json:
    return {
        "properties": {key: _member(shape) for key, shape in keys.items()},
        "additionalProperties": False,
    }


def _exactly_one(shape: OneKey) -> Json:
    """One key; and one more where it is of `beside`, whose own first key is not to be alone."""
    if not shape.beside:
        return _length("Properties", 1, 1)
    (beside,) = shape.beside
    return {
        "if": {"required": [beside]},
        "then": {"properties": dict.fromkeys(shape.alone, False), **_length("Properties", 2, 2)},
        "else": _length("Properties", 1, 1),
    }


def _length(of: str, least: int, most: int | None = None) -> Json:
    """How many items or properties there may be, as far as that is bounded."""
    return ({f"min{of}": least} if least else {}) | ({} if most is None else {f"max{of}": most})


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
