"""The JSON Schema of hooks.yaml: what the parser takes is valid, and what a schema can refuse it does."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import yaml
from check_jsonschema.cli import main as check_jsonschema
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tests.bare_clone import ROOT
from tests.infra.drawn_fleets import draw as draw_fleet
from usher.core import configuration
from usher.core.configuration import ConfigurationRefused
from usher.core.shape import AnyKeys, Choice, Constant, Count, Duration, Either, Keys, ListOf, OneKey, Text
from usher_cli.main import main
from usher_hooksfile.load import examine
from usher_hooksfile.schema import schema, written
from usher_local.cdk import node
from usher_simulator.trials.dice import Dice
from usher_simulator.trials.drawn_hooks import draw_hooks, selecting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as File

    from usher.core.field import Path
    from usher.core.shape import Shape

PUBLISHED: Final = ROOT / "docs" / "hooks.schema.json"
VALIDATOR: Final = Draft7Validator(schema())

# Every key of a hooks file, and each way in which its value may be written.
WHOLE: Final[dict[str, Any]] = yaml.safe_load(
    r"""
    version: 1
    policies:
      all:
        until:
          - elapsed: 90s
          - signal: done
          - instance_status: ok
          - targets: {groups: [web, api], state: drained}
          - ecs: drained
          - ecs: {state: drained, cluster: web, absent: failed, grace: 5m}
          - command: {document: D-1, parameters: {one: x, several: [x, y]}, timeout: 5m, version: "3"}
          - function: f
          - function: {name: "f:live", every: 1m}
          - any: {signal: one}
          - any: [{signal: one}, {elapsed: 5m}]
          - not: {signal: busy}
          - {signal: first, then: {signal: second}}
          - {signal: third, then: [{signal: fourth}]}
        give_up_after: 1h
        on_success: CONTINUE
        on_failure: ABANDON
        on_give_up: ABANDON
        stalled_after: 5m
        when_stopped: wait
        mode: observe
      none: {until: []}
    hooks:
      - name: drain
        group: web-*
        transition: terminating
        heartbeat_timeout: 10m
        default_result: CONTINUE
        notify: eventbridge
        metadata: owner=web
        limits: {abandon_per_hour: 5, complete_per_minute: 5}
        policy:
          - when:
              origin: EC2
              destination: WarmPool
              transition: terminating
              group: web-1
              after: launch_failed
            use: none
          - use: all
      - {name: boot, group: {tags: {team: a}}, transition: launching, policy: none}
    """
)


def parser_takes(data: object) -> bool:
    try:
        configuration.parse(data)
    except ConfigurationRefused:
        return False
    return True


def schema_takes(data: object) -> bool:
    return bool(VALIDATOR.is_valid(data))


# Where which shape stands


class Place(NamedTuple):
    """A shape, and what stands there in WHOLE."""

    path: Path
    shape: Shape
    value: Any


_TYPES: Final[dict[type, type]] = {
    Text: str,
    Duration: str,
    Choice: str,
    Count: int,
    ListOf: list,
    Keys: dict,
    AnyKeys: dict,
    OneKey: dict,
}


def types_of(shape: Shape) -> set[type]:
    if isinstance(shape, Either):
        return {each for one in shape.shapes for each in types_of(one)}
    return {type(shape.value)} if isinstance(shape, Constant) else {_TYPES[type(shape)]}


def places(shape: Shape, value: Any, path: Path = ()) -> Iterator[Place]:
    """Every place of `value`; of several shapes that may stand there, the one that does."""
    yield Place(path, shape, value)
    match shape:
        case Either():
            (of_it,) = (one for one in shape.shapes if type(value) in types_of(one))
            yield from places(of_it, value, path)
        case ListOf():
            for index, element in enumerate(value):
                yield from places(shape.shape, element, (*path, index))
        case AnyKeys():
            for key, member in value.items():
                yield from places(shape.value, member, (*path, key))
        case Keys() | OneKey():
            of = {**shape.of, **shape.beside} if isinstance(shape, OneKey) else shape.of
            for key, member in value.items():
                yield from places(of[key], member, (*path, key))


def within(shape: Shape, seen: set[int]) -> Iterator[Shape]:
    """A shape, and all that may stand in it."""
    if id(shape) in seen:
        return
    seen.add(id(shape))
    yield shape
    match shape:
        case Either():
            inner = [*shape.shapes]
        case ListOf():
            inner = [shape.shape]
        case AnyKeys():
            inner = [shape.value]
        case Keys():
            inner = [*shape.of.values()]
        case OneKey():
            inner = [*shape.of.values(), *shape.beside.values()]
        case _:
            inner = []
    for each in inner:
        yield from within(each, seen)


PLACES: Final = list(places(configuration.FILE, WHOLE))
OUTERMOST: Final = [*{place.path: place for place in reversed(PLACES)}.values()]


def each_of(found: list[Place], *of: type) -> list[Any]:
    """Those places, each by its name; where shapes are given, theirs alone."""
    return [
        pytest.param(place, id=".".join(map(str, place.path)) or "the file")
        for place in found
        if not of or isinstance(place.shape, of)
    ]


def with_value(path: Path, value: object) -> Any:
    """WHOLE with another value at that place."""
    if not path:
        return value
    data = copy.deepcopy(WHOLE)
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return data


def test_the_whole_file_is_sound_and_has_every_shape_and_key_that_is_declared() -> None:
    assert parser_takes(WHOLE)
    assert schema_takes(WHOLE)
    found = {id(place.shape) for place in PLACES}
    assert [shape for shape in within(configuration.FILE, set()) if id(shape) not in found] == []
    for shape in within(configuration.FILE, set()):
        if isinstance(shape, Keys):
            given_keys = {key for place in PLACES if place.shape is shape for key in place.value}
            assert given_keys == set(shape.of)


# What is wrong there


def assert_refused(data: object) -> None:
    assert not parser_takes(data)
    assert not schema_takes(data)


OF_EACH_TYPE: Final[tuple[Any, ...]] = (None, True, 7, 1.5, "text", [], ["text"], {}, {"key": "text"})


@pytest.mark.parametrize("place", each_of(OUTERMOST))
def test_a_value_of_another_type_is_refused(place: Place) -> None:
    for value in OF_EACH_TYPE:
        if type(value) not in types_of(place.shape):
            assert_refused(with_value(place.path, value))


@pytest.mark.parametrize("place", each_of(PLACES, Keys, OneKey))
def test_a_key_that_is_not_declared_is_refused(place: Place) -> None:
    assert_refused(with_value(place.path, {**place.value, "surprise": "x"}))


@pytest.mark.parametrize("place", each_of(PLACES, Keys))
def test_a_key_that_is_required_is_missed(place: Place) -> None:
    assert isinstance(place.shape, Keys)
    for required in place.shape.required:
        less = {key: member for key, member in place.value.items() if key != required}
        assert_refused(with_value(place.path, less))


@pytest.mark.parametrize("place", each_of(PLACES, Choice))
def test_a_word_that_is_not_declared_is_refused(place: Place) -> None:
    assert_refused(with_value(place.path, "surprise"))


@pytest.mark.parametrize("place", each_of(PLACES))
def test_a_value_out_of_range_is_refused(place: Place) -> None:
    for value in wrong_values(place.shape):
        assert_refused(with_value(place.path, value))


def wrong_values(shape: Shape) -> list[Any]:
    """Ranges as far as a schema can say them: not how long a duration is."""
    match shape:
        case Constant():
            return [2, "other"]
        case Count():
            return [shape.least - 1, shape.most + 1]
        case Duration():
            return ["", "90", "90 s", "1h 30m", "1d", "-5m", "1.5h", "1234567s", "5m1h"]
        case Text():
            return ["\x01", *(["x" * 5000] if re.search(r"\{\d,\d+\}$", shape.pattern) else [])]
        case _:
            return wrong_collections(shape)


def wrong_collections(shape: Shape) -> list[Any]:
    match shape:
        case ListOf(least=least, most=most):
            too_few: list[Any] = [[]] if least else []
            return [*too_few, *([] if most is None else [[f"x{number}" for number in range(most + 1)]])]
        case Keys(least=least):
            return [{}] if least else []
        case AnyKeys(least=least):
            return [*([{}] if least else []), {"x\x01": "x"}]
        case OneKey():
            together = [{"signal": "x", "elapsed": "5m"}, {"any": {"signal": "x"}, "then": {"signal": "y"}}]
            return [{}, {"then": {"signal": "x"}}, *together]
        case _:
            return []


# What is sound


def test_a_drawn_file_is_valid() -> None:
    for seed in range(300):
        data = selecting(Dice(-seed), draw_hooks(Dice(seed)))
        assert parser_takes(data), seed
        assert schema_takes(data), seed


def test_the_file_of_a_drawn_fleet_is_valid_where_the_parser_takes_it() -> None:
    for seed in range(20):
        data = draw_fleet(Dice(seed))
        assert schema_takes(data) or not parser_takes(data), seed


PIECES: Final = [place.value for place in PLACES]
ANYTHING: Final = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 1002),
        st.floats(0, 2),
        st.text(max_size=5),
        st.sampled_from(PIECES),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(PLACES), ANYTHING)
@settings(max_examples=500, deadline=None)
def test_whatever_the_parser_takes_is_valid(place: Place, value: object) -> None:
    data = with_value(place.path, value)

    assert schema_takes(data) or not parser_takes(data)


# What it is for


def test_the_copy_in_the_docs_is_what_usher_schema_prints() -> None:
    printed = CliRunner().invoke(main, ["schema"])

    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout == written() == PUBLISHED.read_text(encoding="utf-8")


def test_it_is_itself_valid() -> None:
    Draft7Validator.check_schema(json.loads(written()))


def patterns(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        yield from (each for key, each in data.items() if key == "pattern")
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for each in inner:
        yield from patterns(each)


def test_its_patterns_mean_to_ecmascript_what_they_mean_to_python() -> None:
    """Editors compile them as ECMAScript does, with its flag for Unicode."""
    found = sorted(set(patterns(schema())))
    tried = [
        "web",
        "a:b",
        "a b",
        "x" * 300,
        "é",
        "\U0001f600",
        "\uffff",
        "a\tb",
        "",
        "90s",
        "1h30m",
        "$LATEST",
        "3",
    ]
    program = (
        "const [patterns, tried] = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(patterns.map(p => tried.map(t => new RegExp(p, 'u').test(t)))))"
    )
    run = subprocess.run(  # noqa: S603 - our own program
        [str(node()), "-e", program],
        input=json.dumps([found, tried]),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(run.stdout) == [[bool(re.search(each, text)) for text in tried] for each in found]


@pytest.mark.parametrize(("line", "exit_code"), [("mode: observe", 0), ("mode: observed", 1)])
def test_check_jsonschema_judges_a_file_by_it(line: str, exit_code: int, tmp_path: File) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(f"version: 1\npolicies: {{p: {{until: [], {line}}}}}\nhooks: []\n", encoding="utf-8")

    judged = CliRunner().invoke(check_jsonschema, ["--schemafile", str(PUBLISHED), str(file)])

    assert judged.exit_code == exit_code, judged.output


@pytest.mark.parametrize("name", ["hooks.yaml", "events/hooks.yaml", "infra/usher_cdk/demo.hooks.yaml"])
def test_the_hooks_files_of_this_repository_are_valid(name: str) -> None:
    assert schema_takes(examine(ROOT / name).data)
