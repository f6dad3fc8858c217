from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.core import duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("90s", timedelta(seconds=90), id="seconds"),
        pytest.param("45m", timedelta(minutes=45), id="minutes"),
        pytest.param("2h", timedelta(hours=2), id="hours"),
        pytest.param("1h30m", timedelta(minutes=90), id="two units"),
        pytest.param("1h0m5s", timedelta(seconds=3605), id="three units"),
        pytest.param("0s", timedelta(0), id="zero"),
        pytest.param("090s", timedelta(seconds=90), id="leading zero"),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, expected: timedelta) -> None:
    assert duration.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "s",
        "1d",
        "1.5h",
        "-5m",
        "+5m",
        "5 m",
        " 5m",
        "5m\n",
        "30s1m",
        "1m1m",
        "5M",
        "1:30",
        "٣s",
        "1000000s",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 90s, 45m, 2h or 1h30m"):
        duration.parse(text)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param(timedelta(0), "0s", id="zero"),
        pytest.param(timedelta(seconds=90), "1m30s", id="over a minute"),
        pytest.param(timedelta(hours=2), "2h", id="no empty units"),
        pytest.param(timedelta(hours=1, seconds=5), "1h5s", id="a gap"),
        pytest.param(timedelta(days=2), "48h", id="no days"),
        pytest.param(timedelta(seconds=10, milliseconds=900), "10s", id="part of a second is cut off"),
    ],
)
def test_a_duration_is_written_in_its_shortest_spelling(length: timedelta, expected: str) -> None:
    assert duration.written(length) == expected


@given(st.integers(min_value=0, max_value=999_999 * 3600))
def test_what_is_written_is_read_back(seconds: int) -> None:
    length = timedelta(seconds=seconds)

    assert duration.parse(duration.written(length)) == length
