"""Whether what came is what was expected, and where it is not.

A mapping is expected in part: other members may be there. A list is expected whole. In place of a value
may stand `<any>` (something is there), `<none>` (the member is absent), `/a regular expression/`, and
`${name}`, for what a step kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME: Final = re.compile(r"\$\{([a-z_]+)\}")
_MISSING: Final = object()


def filled_in(value: Any, kept: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """The value with every `${name}` replaced. Raises KeyError for a name that nothing kept."""
    if isinstance(value, dict):
        return {filled_in(key, kept): filled_in(one, kept) for key, one in value.items()}
    if isinstance(value, list):
        return [filled_in(one, kept) for one in value]
    if not isinstance(value, str):
        return value
    whole = _NAME.fullmatch(value)
    if whole:
        return kept[whole[1]]
    return _NAME.sub(lambda found: str(kept[found[1]]), value)


def differences(expected: Any, actual: Any, where: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Every place in which `actual` is not as expected, with both values."""
    at = where or "answer"
    if expected == "<none>":
        if actual is not _MISSING:
            yield f"{at}: expected nothing, got {actual!r}"
    elif actual is _MISSING:
        yield f"{at}: expected {expected!r}, got nothing"
    elif isinstance(expected, dict) and isinstance(actual, dict):
        for key, one in expected.items():
            yield from differences(one, actual.get(key, _MISSING), f"{where}.{key}" if where else key)
    elif isinstance(expected, list):
        yield from _in_list(expected, actual, where)
    elif expected != "<any>" and not _equal(expected, actual):
        yield f"{at}: expected {expected!r}, got {actual!r}"


def _in_list(expected: list[Any], actual: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - as above
    if not isinstance(actual, list) or len(actual) != len(expected):
        yield f"{where}: expected {len(expected)} elements, got {actual!r}"
        return
    for number, (one, its) in enumerate(zip(expected, actual, strict=True)):
        yield from differences(one, its, f"{where}[{number}]")


def _equal(expected: Any, actual: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(expected, str) and len(expected) > 1 and expected[0] == expected[-1] == "/":
        return isinstance(actual, str) and re.search(expected[1:-1], actual) is not None
    return bool(expected == actual)
