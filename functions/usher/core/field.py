"""A place in the configuration: its value, the checks on it, and where complaints about it go."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

Path: TypeAlias = tuple[str | int, ...]
T = TypeVar("T")
D = TypeVar("D")

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_SHOWN: Final = 120


class Refused(Exception):  # noqa: N818 - it reads as what happened
    """This field is not sound; its problem stands in the list already."""


@frozen
class Problem:
    """One thing that is wrong with a configuration: where, which rule, which value."""

    path: Path
    rule: str
    value: object

    @property
    def field(self) -> str:
        """The path as people write it, e.g. `hooks[0].heartbeat_timeout`."""
        return "".join(map(_written_step, self.path)).removeprefix(".") or "the file"

    @property
    def shown(self) -> str:
        """The value as a complaint shows it: in one line, and not too long."""
        return _shortened(repr(self.value))

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}, got {self.shown}"


class ConfigurationRefused(Exception):  # noqa: N818 - it reads as what happened
    """A configuration is not sound. `problems` says all of it; nothing of it is used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def _written_step(step: str | int) -> str:
    """Keys that hold dots, line breaks or worse are quoted, so that a path stays readable."""
    plain = isinstance(step, str) and _PLAIN_KEY.fullmatch(step)
    return f".{step}" if plain else f"[{_shortened(repr(step))}]"


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


@frozen
class Field:
    """A value of the configuration at its path. A failed check notes a problem and raises Refused."""

    path: Path
    value: object
    problems: list[Problem]

    def refuse(self, rule: str) -> Refused:
        """Note that the value breaks `rule`; raise what this returns where the value is needed."""
        self.problems.append(Problem(path=self.path, rule=rule, value=self.value))
        return Refused(rule)

    def at(self, step: str | int, value: object) -> Field:
        """The field one step further in."""
        return Field(path=(*self.path, step), value=value, problems=self.problems)

    @property
    def is_sound(self) -> bool:
        """Whether nothing in this field was refused so far."""
        depth = len(self.path)
        return all(problem.path[:depth] != self.path for problem in self.problems)

    def members(self) -> dict[str, Field]:
        """The members of a mapping with any text as key. Other keys are refused."""
        if not isinstance(self.value, Mapping):
            raise self.refuse("must be a mapping")
        for key in self.value:
            if not isinstance(key, str):
                self.at(str(key), key).refuse("must be text: put this key in quotes")
        return {key: self.at(key, value) for key, value in self.value.items() if isinstance(key, str)}


def attempt(read: Callable[[Field], T], field: Field | None, default: D) -> T | D:
    """What `read` makes of `field`; `default` where it is absent, or refused and so noted.

    A default in place of what was refused never leaves the parser: the noted problem refuses all.
    """
    try:
        return default if field is None else read(field)
    except Refused:
        return default


def as_json(data: object) -> str:
    """Plain data in one spelling: what is equal is written equally."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"))
