"""A sound hooks file as data, changed in places, and what is said of it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from usher.core import configuration
from usher.core.field import ConfigurationRefused

if TYPE_CHECKING:
    from usher.core.field import Problem

GONE = object()


class Word(StrEnum):
    """A text of another class than str."""

    LAUNCHING = "launching"


def sound() -> dict[str, Any]:
    return {
        "version": 1,
        "policies": {
            "wait": {"until": [{"elapsed": "90s"}, {"signal": "jobs-finished"}], "give_up_after": "45m"},
            "go": {"until": []},
        },
        "hooks": [
            {
                "name": "drain",
                "group": "workers-*",
                "transition": "terminating",
                "heartbeat_timeout": "5m",
                "policy": [{"when": {"destination": "WarmPool"}, "use": "go"}, {"use": "wait"}],
            },
            {"name": "boot", "group": "web", "transition": "launching", "policy": "go"},
        ],
    }


def steps(field: str) -> list[str | int]:
    """The path that a field such as `hooks[0].name` or `policies['a b'].until` writes."""
    found = re.findall(r"\[(\d+)\]|\['(.*?)'\]|\.?([^.\[\]]+)", field)
    return [int(index) if index else quoted + plain for index, quoted, plain in found]


def changed(*changes: tuple[str, object]) -> Any:
    """The sound data with each value put, or GONE, at its field; mappings grow around it."""
    data = sound()
    for field, value in changes:
        *around, last = steps(field)
        place: Any = data
        for step in around:
            if isinstance(place, dict) and not isinstance(place.get(step), dict | list):
                place[step] = {}
            place = place[step]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return data


def problems(data: object) -> list[Problem]:
    with pytest.raises(ConfigurationRefused) as refused:
        configuration.parse(data)
    return refused.value.problems


def fields(data: object) -> list[str]:
    return [problem.field for problem in problems(data)]


def hook(name: str, group: object, **more: object) -> dict[str, object]:
    return {"name": name, "group": group, "transition": "launching", "policy": "go", **more}


def hooks_on(*groups: object) -> list[dict[str, object]]:
    return [hook(f"hook-{number}", group) for number, group in enumerate(groups)]


def rows(*table: tuple[Any, ...]) -> list[Any]:
    """The rows of a table, each named by its first two columns."""
    return [pytest.param(*row, id=f"{row[0]} is {row[1]!r:.40}") for row in table]


TAGS = {"tags": {"team": "web"}}
