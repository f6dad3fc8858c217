"""A hook's NotificationMetadata: a text of the user's own, which may be a JSON object."""

from __future__ import annotations

import json


def value_of(metadata: str | None, key: str) -> str | None:
    """What stands at `key` of metadata that are a JSON object; None where that is no plain value.

    A number is as it is written there, and a boolean is `true` or `false`.
    """
    try:
        # As they are written: 1.0 and 1 are not the same text.
        data = json.loads(metadata or "", parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):  # the second where it is nested deeply
        return None
    value = data.get(key) if isinstance(data, dict) else None
    if isinstance(value, bool):
        return json.dumps(value)
    return value if isinstance(value, str) else None
