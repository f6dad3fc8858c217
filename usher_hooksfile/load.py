"""Reads `hooks.yaml`: its text into plain data, and each problem to the line that it stands on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

import yaml

from usher.core import configuration
from usher.core.field import ConfigurationRefused, Path, Problem
from usher_hooksfile import size

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping, Sequence

    from usher.core.policy import Configuration
    from usher.core.shape import Keys

T = TypeVar("T")

MOST_BYTES: Final = 1024 * 1024
MOST_NODES: Final = 20_000  # with each alias counted as what it stands for
MOST_LEVELS: Final = 40

_TAG: Final = "tag:yaml.org,2002:"
_TEXT: Final = f"{_TAG}str"
_COLLECTIONS: Final = (f"{_TAG}map", f"{_TAG}seq")

_Reader: TypeAlias = tuple[re.Pattern[str], Callable[[str], object]]

# The scalars of YAML 1.2's core schema. PyYAML's own are those of 1.1, in which `on` is a boolean,
# `1:30` is ninety and a date is no text; here they stay what is written.
SCALARS: Final[Mapping[str, _Reader]] = {
    f"{_TAG}null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), lambda _: None),
    f"{_TAG}bool": (
        re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
        lambda text: text.lower() == "true",
    ),
    f"{_TAG}int": (re.compile(r"[-+]?[0-9]{1,18}\Z"), int),
    f"{_TAG}float": (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"), float),
    _TEXT: (re.compile(r".*\Z", re.DOTALL), str),
}

# What PyYAML says, and what people should look at then.
_HINTS: Final[Mapping[str, str]] = {
    "'\\t'": "is there a tab? only spaces indent",
    "an alias": "does a text begin with * here? it needs quotes",
    "undefined alias": "does a text begin with * here? it needs quotes",
    "unknown escape": "single quotes keep a backslash as it is: are they meant?",
    "quoted scalar": "is the closing quote missing?",
    "a flow ": "is a bracket, brace or comma missing?",
    "cannot start any token": "does a text begin with a special character here? it needs quotes",
    "expected ':'": "is a colon missing, or the indentation wrong?",
    "mapping values": "is the indentation right? a text with a colon in it needs quotes",
}
_LIKELIEST_HINT: Final = "is the indentation right, here and above?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """What is wrong at one place of a hooks file."""

    file: str
    line: int | None = None  # None: no line is to blame
    field: str | None = None  # None: the file as a whole, and `rule` says it all
    rule: str
    value: str | None = None  # as shown

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        if self.field is None:
            return f"{place}: {self.rule}"
        return f"{place}: {self.field}: {self.rule}, got {'nothing' if self.value is None else self.value}"


class HooksFileRefused(Exception):  # noqa: N818 - it reads as what happened
    """A hooks file (or fleet.yaml) is invalid: each problem in the order of the file, and as a line."""

    def __init__(self, problems: tuple[Complaint, ...]) -> None:
        self.problems = problems
        self.complaints = tuple(map(str, problems))
        super().__init__("\n".join(self.complaints))


@dataclass(frozen=True, kw_only=True)
class HooksFile:
    """A valid hooks file: its contents, and the lines."""

    name: str
    text: str  # as it was read
    data: object  # nothing but what JSON has, too
    configuration: Configuration
    lines: Mapping[Path, int]  # of each field


def load(path: pathlib.Path) -> Configuration:
    """The configuration in that file, or HooksFileRefused."""
    return examine(path).configuration


def read(path: pathlib.Path) -> object:
    """The plain data of that file, ready to be compiled to JSON, or HooksFileRefused."""
    return examine(path).data


def examine(path: pathlib.Path) -> HooksFile:
    """Everything that is known of that file, or HooksFileRefused."""
    file = checked(path, configuration.parse, configuration.FILE, size.problems)
    return HooksFile(
        name=str(path), text=file.text, data=file.data, configuration=file.found, lines=file.lines
    )


@dataclass(frozen=True, kw_only=True)
class Checked(Generic[T]):
    """A valid YAML file: its contents, what was made of them, and the line of each field."""

    text: str
    data: object
    found: T
    lines: Mapping[Path, int]


def checked(
    path: pathlib.Path,
    parse: Callable[[object], T],
    shape: Keys,
    doubts: Callable[[T, object], Iterable[Problem]] = lambda *_: (),
) -> Checked[T]:
    """A YAML file, and what `parse` makes of its plain data.

    `parse` may raise ConfigurationRefused; `doubts` finds what else is wrong. Raises HooksFileRefused.
    """
    name = str(path)
    walk = _Walk()
    try:
        text = _text(path)
        data = walk.plain(_composed(text, shape.required), ())
    except _Unreadable as stop:
        raise _refused(name, [*walk.problems, (stop.line, stop.problem)]) from None
    try:
        found = parse(data)
    except ConfigurationRefused as refused:
        unsound = [(walk.lines[problem.path], problem) for problem in refused.problems]
        raise _refused(name, [*walk.problems, *unsound]) from None
    doubted = [(walk.lines[problem.path], problem) for problem in doubts(found, data)]
    if walk.problems or doubted:
        raise _refused(name, [*walk.problems, *doubted])
    return Checked(text=text, data=data, found=found, lines=walk.lines)


class _Unreadable(Exception):  # noqa: N818 - it reads as what happened
    """The rest of the file cannot be looked at: a problem, or words on the file as a whole."""

    def __init__(self, problem: Problem | str, line: int | None = None) -> None:
        super().__init__(str(problem))
        self.line = line  # None: no line is to blame
        self.problem = problem


def _breaks(line: int, rule: str, value: object, path: Path = ()) -> _Unreadable:
    return _Unreadable(Problem(path=path, rule=rule, value=value), line)


def _refused(name: str, found: Iterable[tuple[int | None, Problem | str]]) -> HooksFileRefused:
    in_order = sorted(found, key=lambda one: one[0] or 0)
    return HooksFileRefused(tuple(_complaint(name, line, problem) for line, problem in in_order))


def _complaint(name: str, line: int | None, problem: Problem | str) -> Complaint:
    if isinstance(problem, str):
        return Complaint(file=name, line=line, rule=problem)
    shown = None if problem.value is None else problem.shown
    return Complaint(file=name, line=line, field=problem.field, rule=problem.rule, value=shown)


def _text(path: pathlib.Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _Unreadable(_why_not_read(path, error)) from None
    if len(content) > MOST_BYTES:
        raise _breaks(1, f"must be at most {MOST_BYTES} bytes long", "more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        looked_at = error.object  # without a byte order mark, unlike `content`
        line = looked_at.count(b"\n", 0, error.start) + 1
        raise _breaks(line, "must be UTF-8", looked_at[error.start : error.end]) from None


def _why_not_read(path: pathlib.Path, error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "is a folder: give the file in it"
    if str(path) == "-":
        return "is not a file, and standard input is not supported here: give a file"
    return f"cannot be read: {error.strerror}"


class _Loader(yaml.SafeLoader):
    """Composes one document, and stops early where it is far too large or too deep; _Walk is exact."""

    nodes = 0  # with keys, so two for a value at most
    levels = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count, and go on as PyYAML does."""
        self.nodes += 1
        self.levels += 1
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # its stub has no types
        _stay_small(self.nodes // 2, self.levels, mark.line + 1, ())
        node = super().compose_node(parent, index)
        self.levels -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _) in SCALARS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, None)


def _stay_small(nodes: int, levels: int, line: int, path: Path) -> None:
    if nodes > MOST_NODES:
        raise _breaks(line, f"must have at most {MOST_NODES} values with aliases expanded", "more", path)
    if levels > MOST_LEVELS:
        raise _breaks(line, f"must be nested at most {MOST_LEVELS} deep", "more", path)


def _composed(text: str, keys: Sequence[str] = configuration.FILE.required) -> yaml.Node:
    try:
        node = _node(text)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(text, error) from None
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        raise _breaks(
            number, "must be YAML: contains a character that is not allowed", chr(error.character)
        ) from None
    if node is None:
        what = "has nothing but comments" if text.strip() else "is empty"
        raise _Unreadable(f"{what}: it must have {', '.join(keys)}")
    return node


def _node(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except (ValueError, OverflowError):  # PyYAML makes a number of "\U00110000" or %YAML 1.999… unchecked
        rule = "must be YAML: an escape or a number here is out of range"
        raise _Unreadable(rule, loader.line + 1) from None
    finally:
        loader.dispose()
    return node


def _not_yaml(text: str, error: yaml.MarkedYAMLError) -> _Unreadable:
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark else 0
    if error.problem == "but found another document":
        return _Unreadable("a second document begins here: put it into a separate file", number + 1)
    lines = text.splitlines()
    shown = lines[number].strip() if number < len(lines) else "the end of the file"
    said = ", ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for part, hint in _HINTS.items() if part in said), _LIKELIEST_HINT)
    return _breaks(number + 1, f"must be YAML; {hint} ({said})", shown)


@dataclass(kw_only=True)
class _Walk:
    """Turns nodes into plain data, and notes the line of each field, and what only YAML can get wrong."""

    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    nodes: int = 0
    holders: list[yaml.Node] = field(default_factory=list)

    def plain(self, node: yaml.Node, path: Path) -> object:
        """The data of `node`, which stands at `path`."""
        line = _line_of(node)
        self.lines.setdefault(path, line)
        if any(node is holder for holder in self.holders):
            raise _breaks(line, "must not contain itself", "an alias of a part that contains it", path)
        self.nodes += 1
        _stay_small(self.nodes, len(path), line, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.holders.append(node)
        found = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        self.holders.pop()
        if node.tag not in _COLLECTIONS:
            self._refuse(line, path, "must have no tag", node.tag)
        return found

    def _list(self, node: yaml.Node, path: Path) -> list[object]:
        return [self.plain(element, (*path, index)) for index, element in enumerate(node.value)]

    def _mapping(self, node: yaml.Node, path: Path) -> dict[object, object]:
        """With keys of any scalar kind: the parser of the configuration refuses what is not text."""
        found: dict[object, object] = {}
        lines: dict[object, int] = {}  # of the keys themselves: 1 and true are equal, and written differently
        for key_node, value_node in node.value:
            line = _line_of(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(line, path, "must have text as keys", "a list or mapping as key")
                continue
            key = self._scalar(key_node, path)
            inner = (*path, str(key))
            if key in found:
                rule = f"must not be given twice; it is also on line {lines[key]}"
                self._refuse(line, inner, rule, _raw(value_node))
                continue
            self.lines[inner] = lines[key] = line
            found[key] = self.plain(value_node, inner)
        return found

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        text = str(node.value)
        pattern, convert = SCALARS.get(node.tag, SCALARS[_TEXT])
        if node.tag not in SCALARS or not pattern.match(text):
            self._refuse(_line_of(node), path, f"must have no tag such as {node.tag}", text)
            return text
        return convert(text)

    def _refuse(self, line: int, path: Path, rule: str, value: object) -> None:
        self.problems.append((line, Problem(path=path, rule=rule, value=value)))


def _line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _raw(node: yaml.Node) -> str:
    """What stands at a node whose data nobody will use."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
