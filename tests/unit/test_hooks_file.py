from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usher.core import configuration
from usher_hooksfile import load
from usher_hooksfile.load import MOST_BYTES, MOST_LEVELS, MOST_NODES, HooksFileRefused
from usher_hooksfile.write import as_yaml

EXAMPLE = Path(__file__).parents[2] / "hooks.yaml"

SOUND = """\
version: 1
policies:
  wait:
    until:
      - signal: done
hooks:
  - name: drain
    group: web
    transition: terminating
    policy: wait
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hooks.yaml"


def complaints(file: Path, content: str | bytes) -> list[str]:
    """What is said of a file of that content, without the name of the file."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(HooksFileRefused) as refused:
        load.load(file)
    found = refused.value.complaints
    assert all(line.startswith(f"{file}:") for line in found)
    return [line.removeprefix(f"{file}:").lstrip() for line in found]


def test_a_sound_file_is_a_configuration(file: Path) -> None:
    file.write_text(SOUND)

    found = load.load(file)

    assert [(hook.name, hook.rules[0].use.name) for hook in found.hooks] == [("drain", "wait")]


def test_the_data_of_a_sound_file_goes_through_json_to_the_same_configuration() -> None:
    through_json = json.loads(json.dumps(load.read(EXAMPLE)))

    assert configuration.parse(through_json) == load.load(EXAMPLE)


def test_a_byte_order_mark_is_no_part_of_the_text(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + SOUND.encode())

    assert load.load(file).hooks


def test_an_alias_stands_for_what_its_anchor_names(file: Path) -> None:
    file.write_text(SOUND.replace("wait:", "wait: &wait") + "    metadata: &note x\n")

    assert load.load(file).hooks

    file.write_text(SOUND.replace("hooks:", "  more: *wait\nhooks:").replace("wait:", "wait: &wait"))

    assert set(load.load(file).policies) == {"wait", "more"}


WAIT = "must be a duration from 1s to 48h, such as 90s or 1h30m"
TIMEOUT = "must be a duration from 30s to 2h, such as 90s or 1h30m"
STAR = "does a text begin with * here? it needs quotes"
METADATA = "must be 1 to 1023 printable ASCII characters"
QUOTED = f"{METADATA}, in quotes where it looks like something else"


def beneath(case_id: str, text: str, said: str) -> Any:
    """A line more of the hook, the eleventh of the file, and what is said of it from behind hooks[0] on."""
    return pytest.param("policy: wait", f"policy: wait\n    {text}", [f"11: hooks[0]{said}"], id=case_id)


UNSOUND = [
    pytest.param("version: 1", "version: 2", ["1: version: must be 1, got 2"], id="a value"),
    pytest.param(
        "version: 1\n", "", ["1: the file: must have version, got "], id="a missing key of the file"
    ),
    pytest.param(
        "    group: web\n", "", ["7: hooks[0]: must have group, got "], id="a missing key of a hook"
    ),
    pytest.param(
        "    until:\n      - signal: done\n",
        "    mode: enforce\n",
        ["3: policies.wait: must have until, got {'mode': 'enforce'}"],
        id="a missing key of a policy",
    ),
    pytest.param(
        "      - signal: done",
        "      - elapsed: 1s\n      - elapsed: 30",
        [f"6: policies.wait.until[1].elapsed: {WAIT}, got 30"],
        id="inside a policy, not where it is used",
    ),
    pytest.param(
        "    group: web",
        "    grp: web",
        ["7: hooks[0]: must have", "8: hooks[0].grp: is not a known"],
        id="two",
    ),
    beneath(
        "a key twice", "name: again", ".name: must not be given twice; it is also on line 7, got 'again'"
    ),
    beneath(
        "a key twice in one line",
        "limits: {abandon_per_hour: 1, abandon_per_hour: [2]}",
        ".limits.abandon_per_hour: must not be given twice; it is also on line 11, got 'a list'",
    ),
    beneath("a number as key", "1: x", ".1: must be text: put this key in quotes, got 1"),
    beneath("null as key", "~: x", ".None: must be text: put this key in quotes, got nothing"),
    beneath("a list as key", "[a]: x", ": must have text as keys, got 'a list or mapping as key'"),
    beneath(
        "YAML 1.1: on",
        "on: yes",
        ".on: is not a known key here; known are name, group, transition, heartbeat_timeout, ",
    ),
    beneath("YAML 1.1: base 60", "heartbeat_timeout: 1:30", f".heartbeat_timeout: {TIMEOUT}, got '1:30'"),
    beneath(
        "YAML 1.1: no", "default_result: no", ".default_result: must be one of CONTINUE, ABANDON, got 'no'"
    ),
    beneath("a boolean", "metadata: true", f".metadata: {QUOTED}, got True"),
    beneath("a fraction", "metadata: 1.5", f".metadata: {QUOTED}, got 1.5"),
    beneath("nothing behind the colon", "metadata:", f".metadata: {METADATA}, got nothing"),
    beneath(
        "a tag on a mapping", "limits: !!set {}", ".limits: must have no tag, got 'tag:yaml.org,2002:set'"
    ),
    pytest.param(
        "policy: wait",
        "policy: !!binary d2FpdA==",
        ["10: hooks[0].policy: must have no tag such as tag:yaml.org,2002:binary, got 'd2FpdA=='", "10: "],
        id="a tag on a text",
    ),
    pytest.param(
        "version: 1",
        "version: !!int one",
        ["1: version: must have no tag such as tag:yaml.org,2002:int, got 'one'", "1: version: must be 1"],
        id="a tag that lies",
    ),
    pytest.param(
        "policy: wait",
        "policy: *lost",
        [f"10: the file: must be YAML; {STAR} (found undefined alias 'lost'), got 'policy: *lost'"],
        id="an alias of nothing",
    ),
    pytest.param(
        "group: web",
        "group: *-web",
        [f"8: the file: must be YAML; {STAR} (found undefined alias '-web'), got 'group: *-web'"],
        id="a glob that wants quotes",
    ),
    pytest.param(
        "group: web",
        "group: *",
        [f"8: the file: must be YAML; {STAR} (while scanning an alias, expected "],
        id="a star that wants quotes",
    ),
    pytest.param(
        "policy: wait",
        "policy: &self [*self]",
        ["10: hooks[0].policy[0]: must not contain itself, got 'an alias of a part that contai"],
        id="an alias of a part that contains it",
    ),
    pytest.param(
        "    group: web",
        "   group: web",
        [
            (
                "8: the file: must be YAML; is the indentation right, here and above? (while parsing a block "
                "collection, expected <block end>, but found '<block mapping start>'), got 'group: web'"
            )
        ],
        id="indented too little",
    ),
    pytest.param(
        "    group: web",
        "     group: web",
        ["8: the file: must be YAML; is the indentation right? a text with a colon in it needs quotes ("],
        id="indented too much",
    ),
    pytest.param(
        "group: web",
        "group web",
        ["9: the file: must be YAML; is a colon missing, or the indentation wrong? ("],
        id="a colon too few",
    ),
    pytest.param(
        "    group: web",
        "\tgroup: web",
        ["8: the file: must be YAML; is there a tab? only spaces indent ("],
        id="a tab",
    ),
    pytest.param(
        "group: web",
        "group: 'web",
        ["11: the file: must be YAML; is the closing quote missing? ("],
        id="a quote without its end",
    ),
    pytest.param(
        "group: web",
        'group: "w\\qeb"',
        ["8: the file: must be YAML; single quotes keep a backslash as it is: are they meant? ("],
        id="a backslash in double quotes",
    ),
    pytest.param(
        "group: web",
        "group: [web",
        ["9: the file: must be YAML; is a bracket, brace or comma missing? ("],
        id="a bracket without its end",
    ),
    pytest.param(
        "group: web",
        "group: @web",
        ["8: the file: must be YAML; does a text begin with a special character here? it needs quotes ("],
        id="a reserved character",
    ),
    pytest.param(
        "    group: web",
        "    group: w\x07b",
        ["8: the file: must be YAML: contains a character that is not allowed, got '\\x07'"],
        id="a control character",
    ),
    *[
        pytest.param(
            "group: web",
            f'group: "{escape}"',
            ["8: must be YAML: an escape or a number here is out of range"],
            id=escape,
        )
        for escape in ("\\U00110000", "\\UFFFFFFFF")
    ],
    pytest.param(
        "version: 1\n",
        f"%YAML 1.{'9' * 5_000}\n---\nversion: 1\n",
        ["1: must be YAML: an escape or a number here is out of range"],
        id="a version of YAML with many digits",
    ),
    pytest.param(
        "policy: wait\n",
        "policy: wait\n---\nversion: 1\n",
        ["11: a second document begins here: put it into a separate file"],
        id="a second document",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), UNSOUND)
def test_each_problem_is_told_with_its_line(file: Path, old: str, new: str, expected: list[str]) -> None:
    assert SOUND.count(old) == 1

    found = complaints(file, SOUND.replace(old, new))

    assert [line[: len(start)] for line, start in zip(found, expected, strict=True)] == expected


NEEDED = "it must have version, policies, hooks"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", f"is empty: {NEEDED}", id="empty"),
        pytest.param(b"\xef\xbb\xbf \n", f"is empty: {NEEDED}", id="blank"),
        pytest.param("# all comment\n", f"has nothing but comments: {NEEDED}", id="comment"),
        pytest.param("~\n", "1: the file: must be a mapping, got nothing", id="null"),
        pytest.param("hooks\n", "1: the file: must be a mapping, got 'hooks'", id="a word"),
        pytest.param("- a\n", "1: the file: must be a mapping, got ['a']", id="a list"),
        pytest.param(b"version: 1\n# caf\xe9\n", "2: the file: must be UTF-8, got b'\\xe9'", id="Latin-1"),
        pytest.param(
            b"#" * (MOST_BYTES + 1),
            f"1: the file: must be at most {MOST_BYTES} bytes long, got 'more'",
            id="long",
        ),
        pytest.param(
            "a: " + "[" * 100_000,
            f"1: the file: must be nested at most {MOST_LEVELS} deep, got 'more'",
            id="deep",
        ),
        pytest.param(
            "- x\n" * (MOST_NODES + 1),
            f"{MOST_NODES}: [{MOST_NODES - 1}]: must have at most {MOST_NODES} values with aliases expanded, "
            "got 'more'",
            id="many values",
        ),
    ],
)
def test_a_file_that_cannot_be_looked_into_is_refused_whole(
    file: Path, content: str | bytes, expected: str
) -> None:
    assert complaints(file, content) == [expected]


def test_a_file_of_the_longest_length_is_looked_into(file: Path) -> None:
    file.write_text(SOUND + "#" * (MOST_BYTES - len(SOUND)))

    assert load.load(file).hooks


def test_keys_do_not_count_among_the_values(file: Path) -> None:
    """Both mappings are values too, and so is a row. It is written once: so the file is short."""
    rows, single = divmod(MOST_NODES - 2, 100)
    most = ["more:\n", f"  row: &row [{'x, ' * 99}]\n", *(f"  r{n}: *row\n" for n in range(rows - 1))]
    most += [f"  k{n}: x\n" for n in range(single)]

    assert "more: is not a known key here" in complaints(file, "".join(most))[0]
    (found,) = complaints(file, "".join([*most, "  one: x\n"]))
    assert f"must have at most {MOST_NODES} values with aliases expanded, got 'more'" in found


def test_aliases_that_multiply_are_refused(file: Path) -> None:
    layers = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]

    (found,) = complaints(file, "\n".join(["l0: &l0 [x]", *layers]))

    assert f"must have at most {MOST_NODES} values with aliases expanded, got 'more'" in found


def test_aliases_that_nest_too_deep_are_refused(file: Path) -> None:
    layers = [f"l{n}: &l{n} [[[[[[[[*l{n - 1}]]]]]]]]" for n in range(1, 100)]

    (found,) = complaints(file, "\n".join(["l0: &l0 [x]", *layers]))

    assert f"must be nested at most {MOST_LEVELS} deep, got 'more'" in found


def test_what_a_file_repeats_and_what_it_says_wrong_are_told_together_in_order(file: Path) -> None:
    found = complaints(file, "version: 2\nhooks: 5\npolicies: {}\nversion: 3\nmore: 1\n")

    assert [line.split(", got")[0] for line in found] == [
        "1: version: must be 1",
        "2: hooks: must be a list",
        "4: version: must not be given twice; it is also on line 1",
        "5: more: is not a known key here; known are version, policies, hooks",
    ]


@pytest.mark.parametrize("keys", [("1", "true"), ("1.0", "1"), ("0", "false")], ids=" ".join)
def test_keys_that_are_equal_are_repeated_however_they_are_written(file: Path, keys: tuple[str, str]) -> None:
    found = complaints(file, "\n".join(f"{key}: x" for key in keys))

    assert "must not be given twice; it is also on line 1, got 'x'" in found[-1]
    assert found[-1].startswith("2: ")


def test_a_repeated_key_alone_is_enough_to_refuse_a_file(file: Path) -> None:
    assert len(complaints(file, SOUND + "version: 1\n")) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("missing.yaml", "cannot be read: No such file or directory", id="missing"),
        pytest.param(".", "is a folder: give the file in it", id="a folder"),
        pytest.param(
            "-", "is not a file, and standard input is not supported here: give a file", id="a dash"
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_natural_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(HooksFileRefused) as refused:
        load.read(Path(name))

    assert refused.value.complaints == (f"{name}: {said}",)


def test_words_that_older_yaml_takes_for_values_are_words(file: Path) -> None:
    file.write_text(SOUND.replace("done", "on") + "    metadata: 2026-01-31\n")

    assert load.load(file).hooks[0].metadata == "2026-01-31"


YAML_LIKE = st.lists(
    st.sampled_from(
        [
            *SOUND.splitlines(keepends=True),
            "- ",
            "  ",
            ": ",
            "{",
            "}",
            "[",
            "]",
            "&a ",
            "*a",
            "? ",
            "|\n",
            "'",
            "!!int ",
        ]
    ),
    max_size=25,
).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(YAML_LIKE.map(str.encode) | st.binary(max_size=60))
def test_any_content_is_taken_or_refused_in_lines_of_one_form(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        said = ["sound"] if load.load(file) is not None else []
    except HooksFileRefused as refused:
        said = [line.removeprefix(str(file)) for line in refused.complaints]

    assert said
    assert [line for line in said if line != "sound" and not FORM.fullmatch(line)] == []


FORM = re.compile(
    r":[0-9]+: [^\n]+?: [^\n]+, got [^\n]+"  # line, field, rule and value
    r"|:[0-9]+: a second document begins here: [^\n]+"
    r"|: (?:is empty|has nothing but comments): [^\n]+"
)


# Written again


@pytest.mark.parametrize("text", ["on", "1:30", "2026-01-01", "0o17", "null", "~", "1e3", ".5", "007", "*"])
def test_a_text_that_some_yaml_takes_for_something_else_is_written_in_quotes(text: str) -> None:
    assert read_again({"x": text}) == {"x": text}


@given(
    st.recursive(
        st.text() | st.integers(-(10**17), 10**17) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_what_is_written_reads_as_the_same(data: object) -> None:
    assert read_again(data) == data


def read_again(data: object) -> object:
    return load._Walk().plain(load._composed(as_yaml(data)), ())  # noqa: SLF001 - beneath the parser
