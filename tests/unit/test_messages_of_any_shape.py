"""Whatever comes in is read or refused, and can be stored."""

from __future__ import annotations

import copy
import dataclasses
import json
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.message_samples import HUGE_INTEGER, TEXTS, assert_short, read_sample
from tests.properties import examples
from usher.core import messages
from usher.core.notifications import NotUnderstood


def assert_storable(value: object) -> None:
    """Every text in a notice encodes, and every time has a zone."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, datetime):
        assert value.tzinfo is not None
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            assert_storable(getattr(value, field.name))
    else:
        assert value is None or isinstance(value, bool)


def assert_read_or_refused(body: object) -> None:
    """`body` gives a notice that can be stored, or a short reason; nothing else happens."""
    try:
        notice = messages.read(body)
    except NotUnderstood as error:
        assert_short(str(error))
    else:
        assert_storable(notice)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates among them
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.sampled_from([HUGE_INTEGER, *json.dumps(list(TEXTS.values())).split('\\"'), "x" * 100_000])
)
KEYS = st.sampled_from(("Sns", "Type", "TopicArn", "Message", "Event", "Time", "LifecycleTransition")) | (
    st.sampled_from(("detail-type", "source", "detail", "time", "Status", "InstanceId", "EC2InstanceId"))
)
ANY_JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | ANY_TEXT, inner, max_size=6),
    max_leaves=12,
)


@given(body=ANY_TEXT)
def test_arbitrary_text_is_read_or_refused(body: str) -> None:
    assert_read_or_refused(body)


@given(body=ANY_JSON)
def test_arbitrary_json_is_read_or_refused(body: object) -> None:
    assert_read_or_refused(body)
    assert_read_or_refused(json.dumps(body))


@given(
    kind=st.sampled_from(sorted({read_sample(name).get("detail-type", "") for name in TEXTS})), rest=ANY_JSON
)
def test_an_event_with_arbitrary_contents_is_read_or_refused(kind: str, rest: object) -> None:
    for source in ("aws.autoscaling", "usher.signal"):
        event = {"detail-type": kind, "source": source, "time": "2026-10-05T09:30:00Z", "detail": rest}
        assert_read_or_refused(json.dumps(event))


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths to everything inside `value`."""
    if isinstance(value, dict):
        members = list(value.items())
    else:
        members = list(enumerate(value)) if isinstance(value, list) else []
    inside = [place for key, member in members for place in places(member, (*path, key))]
    return [path, *inside] if path else inside


def change(body: dict[str, Any], data: st.DataObject) -> None:
    """Replace, delete or duplicate one value anywhere in `body`."""
    place: tuple[Any, ...] = data.draw(st.sampled_from(places(body)))
    *way, last = place
    holder: Any = body
    for step in way:
        holder = holder[step]
    match data.draw(st.sampled_from(["replace", "delete", "duplicate"])):
        case "replace":
            holder[last] = data.draw(ANY_JSON)
        case "delete":
            del holder[last]
        case _ if isinstance(holder, list):
            holder.append(holder[last])
        case _:
            twin = data.draw(st.sampled_from(list(holder)) | KEYS)
            holder[twin] = copy.deepcopy(holder[last])


@given(name=st.sampled_from(list(TEXTS)), times=st.integers(1, 3), data=st.data())
@examples(100)
def test_a_changed_message_is_read_or_refused(name: str, times: int, data: st.DataObject) -> None:
    body = read_sample(name)
    for _ in range(times):
        if places(body):
            change(body, data)
    assert_read_or_refused(body)
    assert_read_or_refused(json.dumps(body))
    assert_read_or_refused(read_sample("sns-hook") | {"Message": json.dumps(body)})
