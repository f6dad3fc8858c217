"""Any data is a configuration, or refused in lines of one form."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hooks_data import problems, sound
from usher.core import configuration
from usher.core.field import ConfigurationRefused
from usher.core.policies import parse_policy

RESULTS = st.sampled_from(["CONTINUE", "ABANDON"])
SPANS = st.integers(1, 48 * 3600).map(lambda seconds: f"{seconds}s")
CONDITIONS = st.one_of(
    st.fixed_dictionaries({"elapsed": SPANS}),
    st.fixed_dictionaries({"signal": st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)}),
)
POLICIES = st.fixed_dictionaries(
    {"until": st.lists(CONDITIONS, max_size=3)},
    optional={
        "give_up_after": SPANS,
        "on_success": RESULTS,
        "on_failure": RESULTS,
        "on_give_up": RESULTS,
        "stalled_after": SPANS,
        "mode": st.sampled_from(["enforce", "observe"]),
    },
)


@given(POLICIES)
def test_a_policy_is_read_back_from_its_source_as_it_was(data: dict[str, object]) -> None:
    found = configuration.parse({"version": 1, "policies": {"kept": data}, "hooks": []}).policies["kept"]

    assert parse_policy("kept", found.source) == found
    assert json.loads(found.source) == data


def test_a_kept_policy_that_is_not_sound_is_refused() -> None:
    with pytest.raises(ConfigurationRefused, match="kept: must have until"):
        parse_policy("kept", "{}")


KEYS = st.one_of(
    st.sampled_from(["version", "policies", "hooks", "until", "elapsed", "signal", "give_up_after"]),
    st.sampled_from(["name", "group", "tags", "transition", "heartbeat_timeout", "notify", "metadata"]),
    st.sampled_from(["policy", "when", "use", "origin", "after", "limits", "abandon_per_hour", "mode"]),
)
WORDS = st.sampled_from(
    ["launching", "CONTINUE", "observe", "sqs", "lambda", "30s", "48h", "web-*", "wait", "EC2"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
ODD_KEYS = KEYS | st.text(max_size=4) | st.integers() | st.none() | st.booleans()
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_KEYS, inner, max_size=5),
    max_leaves=25,
)
HOOKS_LIKE = st.dictionaries(KEYS, ANYTHING, max_size=9)
FILES_LIKE = st.fixed_dictionaries(
    {
        "version": st.just(1) | ANYTHING,
        "policies": st.dictionaries(ODD_KEYS | WORDS, POLICIES | ANYTHING, max_size=3) | ANYTHING,
        "hooks": st.lists(HOOKS_LIKE | st.just(sound()["hooks"][0]) | ANYTHING, max_size=3) | ANYTHING,
    }
)


def reasons(data: object) -> list[str]:
    try:
        configuration.parse(data)
    except ConfigurationRefused as refused:
        return str(refused).splitlines()
    return ["none: it is sound"]


@given(FILES_LIKE | ANYTHING)
def test_any_data_is_a_configuration_or_refused_in_lines_of_one_form(data: object) -> None:
    lines = reasons(data)

    assert lines
    assert [line for line in lines if not re.fullmatch(r".+: (must|is|has|uses|it) .+", line)] == []


@given(st.data())
def test_one_bad_value_anywhere_in_a_sound_file_is_refused(data: st.DataObject) -> None:
    """Nothing that the parser takes is left unread."""
    places = list(_places(sound(), ()))
    path = data.draw(st.sampled_from(places))
    broken = sound()
    place: Any = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = data.draw(st.sampled_from([None, 3, True, 1.5, "\x00", [[]], {"no": "such key"}]))

    assert any(problem.path[:1] == path[:1] for problem in problems(broken))


def _places(value: object, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    deeper = [place for step, found in inner for place in _places(found, (*path, step))]
    return [path, *deeper] if path else deeper
