"""The JSON Schema of hooks.yaml: what the parser takes is valid, and what a schema can refuse it does."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import yaml
from check_jsonschema.cli import main as check_jsonschema
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tests.bare_clone import ROOT
from tests.infra.drawn_fleets import draw as draw_fleet
from tests.properties import examples
from usher.core import configuration
from usher.core.field import ConfigurationRefused
from usher.core.shape import AnyKeys, Choice, Constant, Count, Duration, Either, Keys, ListOf, OneKey, Text
from usher_cli.main import main
from usher_hooksfile.load import examine
from usher_hooksfile.schema import schema, written
from usher_local.cdk import node
from usher_simulator.trials.dice import Dice
from usher_simulator.trials.drawn_hooks import draw_hooks, selecting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path as File

    from jsonschema import ValidationError

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
        limits: {abandon_per_hour: 5, complete_per_minute: 5, at_once: 2, at_once_per: hook}
        policy:
          - when:
              origin: EC2
              destination: WarmPool
              transition: terminating
              group: web-1
              after: launch_failed
              metadata: owner=web
            use: none
          - when: {metadata: {role: worker}, availability_zone: "*a", instance_type: c7g.*, tags: {role: db}}
            use: none
          - use: all
      - {name: boot, group: {tags: {team: a}}, transition: launching, policy: none}
    """
)
_UNTIL: Final = WHOLE["policies"]["all"]["until"]
_PLAIN: Final = [each for each in _UNTIL if {"elapsed", "any", "not", "then"}.isdisjoint(each)]
_UNTIL.insert(0, {"any": copy.deepcopy(_PLAIN)})  # where `then` is not allowed


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


def with_value(path: Path, value: object, whole: Any = WHOLE) -> Any:
    """A whole file with another value at that place; of a list on its way, that element and the last."""
    if not path:
        return value
    step, *rest = path
    inner = with_value(tuple(rest), value, whole[step])
    return [inner, *whole[int(step) + 1 :][-1:]] if isinstance(whole, list) else {**whole, step: inner}


def test_the_whole_file_is_sound_and_has_every_shape_and_key_that_is_declared() -> None:
    for data in (WHOLE, *(with_value(place.path, place.value) for place in OUTERMOST)):
        assert parser_takes(data)
        assert schema_takes(data)
    found = {id(place.shape) for place in PLACES}
    missing = [shape for shape in within(configuration.FILE, set()) if id(shape) not in found]
    assert missing == [], "give an example of it in WHOLE"
    for shape in within(configuration.FILE, set()):
        if isinstance(shape, Keys):
            given_keys = {key for place in PLACES if place.shape is shape for key in place.value}
            assert given_keys == set(shape.of), "give an example of each key in WHOLE"


# What is wrong there


OF_EACH_TYPE: Final[tuple[Any, ...]] = (None, True, 7, 1.5, "text", [], ["text"], {}, {"key": "text"})


def of_another_type(place: Place) -> list[Any]:
    if place not in OUTERMOST:
        return []
    return [value for value in OF_EACH_TYPE if type(value) not in types_of(place.shape)]


def with_another_key(place: Place) -> list[Any]:
    if not isinstance(place.shape, Keys | OneKey):
        return []
    return [{**place.value, "surprise": "x"}, {"surprise": "x"}]


def without_a_required_key(place: Place) -> list[Any]:
    required = place.shape.required if isinstance(place.shape, Keys) else ()
    return [{key: member for key, member in place.value.items() if key != each} for each in required]


def with_another_word(place: Place) -> list[Any]:
    return ["surprise"] if isinstance(place.shape, Choice | Constant) else []


def out_of_range(place: Place) -> list[Any]:
    """As far as a schema can say it: not how long a duration is."""
    match place.shape:
        case Constant(value=value):
            return [value + 1] if isinstance(value, int) else []
        case Count(least=least, most=most):
            return [least - 1, most + 1]
        case Duration():
            return ["", "90", "90 s", "1h 30m", "1d", "-5m", "1.5h", "1234567s", "5m1h"]
        case Text(pattern=pattern):
            return ["\x01", *(["x" * 5000] if re.search(r"\{\d,\d+\}$", pattern) else [])]
        case _:
            return collections_out_of_range(place)


def collections_out_of_range(place: Place) -> list[Any]:
    match place.shape:
        case ListOf(least=least, most=most):
            too_few: list[Any] = [[]] if least else []
            return [*too_few, *([] if most is None else [[f"x{number}" for number in range(most + 1)]])]
        case Keys(least=least):
            return [{}] if least else []
        case AnyKeys(least=least):
            some = next(iter(place.value.values()))
            return [*([{}] if least else []), {**place.value, "x\x01": some}]
        case OneKey(beside=beside):
            together: list[dict[str, Any]] = [
                {"signal": "x", "elapsed": "5m"},
                {"any": {"signal": "x"}, "then": {"signal": "y"}},
            ]
            after: dict[str, Any] = {"then": {"signal": "x"}}
            return [{}, after, *together, *([{**after, **together[0]}] if beside else [])]
        case _:
            return []


WRONG: Final = (of_another_type, with_another_key, without_a_required_key, with_another_word, out_of_range)


@cache
def judged(wrong: Callable[[Place], list[Any]]) -> list[tuple[Any, list[ValidationError]]]:
    """The files that are wrong in this way, and what the schema has against each."""
    tried = [with_value(place.path, value) for place in PLACES for value in wrong(place)]
    return [(data, [*VALIDATOR.iter_errors(data)]) for data in tried]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_what_is_wrong_at_a_place_is_refused(wrong: Callable[[Place], list[Any]]) -> None:
    tried = judged(wrong)

    assert tried
    assert [data for data, _ in tried if parser_takes(data)] == []
    assert [data for data, errors in tried if not errors] == []


def test_no_rule_of_the_schema_is_left_out_by_those_wrong_files() -> None:
    """Without it, one of them would be valid."""
    broken = {rule for wrong in WRONG for _, errors in judged(wrong) for rule in rules_broken_alone(errors)}

    untried = sorted(set(rules(VALIDATOR.schema)) - broken)
    assert untried == [], "give an example of each in WHOLE"


RULES: Final = {
    *("type", "enum", "const", "pattern", "minimum", "maximum", "minItems", "maxItems", "required"),
    *("additionalProperties", "minProperties", "maxProperties"),
}


def rules(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where something is demanded. What stands under `if` demands nothing."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, each in items:
        if path[-1:] not in (("properties",), ("definitions",)):
            if key == "if":
                continue
            if key in RULES and not (key == "additionalProperties" and each is not False):
                yield (*path, str(key))
        yield from rules(each, (*path, str(key)))


def rules_broken_alone(errors: list[ValidationError]) -> Iterator[tuple[str, ...]]:
    """The rules each of which alone makes the file invalid."""
    if len(errors) != 1:
        return
    (error,) = errors
    yield place_in_schema(error)
    branches: dict[Any, list[ValidationError]] = defaultdict(list)
    for each in error.context or ():
        branches[each.schema_path[0]].append(each)
    for branch in branches.values():
        yield from rules_broken_alone(branch)


def place_in_schema(error: ValidationError) -> tuple[str, ...]:
    """Its path from the outermost schema, or from the definition that was referred to last."""
    path: tuple[str, ...] = ()
    node: Any = VALIDATOR.schema
    for step in error.absolute_schema_path:
        if step == "if":  # so begins the path of what is wrong under `then` and `else`, which stand beside it
            continue
        path, node = (*path, str(step)), node[step]
        if isinstance(node, dict) and "$ref" in node:
            path = tuple(node["$ref"].removeprefix("#/").split("/"))
            node = VALIDATOR.schema[path[0]][path[1]]
    return path


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
@examples(200)
def test_whatever_the_parser_takes_is_valid(place: Place, value: object) -> None:
    data = with_value(place.path, value)

    assert schema_takes(data) or not parser_takes(data)


# What it is for


def test_the_copy_in_the_docs_is_what_usher_schema_prints() -> None:
    printed = CliRunner().invoke(main, ["schema"])

    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout == written() == PUBLISHED.read_text(encoding="utf-8")


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
        *("web", "a:b", "a b", "x" * 300, "é", "\U0001f600", "\uffff", "a\tb", "", "90s", "1h30m"),
        *("$LATEST", "3"),
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
