"""Hooks files that somebody broke: one value of a sound one is another, gone, or has company."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from usher_simulator.trials.dice import Dice

    Data = dict[str, Any]

_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x" * 300,
    "soon",
    "1s",
    "900h",
    "*",
    "no such",
    [],
    [None],
    {},
    {"no such": 1},
    {"signal": 5},
    {"state": "busy"},
    {"tags": {}},
    {"tags": {"a" * 200: "b"}},
    {"document": ""},
    {"document": "d", "parameters": {"no good name": 1, "Commands": ["x" * 5000]}, "version": "?"},
    {"name": "f", "payload": [1]},
    {"groups": [5, "web", "web"], "state": "healthy"},
    {"state": "active", "absent": "failed", "cluster": "?", "grace": "9h"},
    [{"when": {"destination": 1}, "use": "x"}, {"use": "no such"}],
    [{"when": {"sideways": "x"}}],
)


def broken(random: Dice, hooks: Data) -> Data:
    """A copy of the file in which something is otherwise; it may be sound all the same."""
    data: Data = json.loads(json.dumps(hooks))
    place = random.choice(list(_places(data)))
    key: Any = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
    match random.randrange(3):
        case 0 if isinstance(place, dict):
            place[random.choice(("no such", "until", "group", "payload", "then"))] = random.choice(_VALUES)
        case 1 if isinstance(place, dict):
            del place[key]
        case _:
            place[key] = random.choice(_VALUES)
    return data


def _places(value: object) -> list[Any]:
    """Every mapping and list in it that is not empty."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict | list) and value else []
    return own + [place for each in inner for place in _places(each)]
