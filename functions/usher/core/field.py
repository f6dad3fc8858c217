"""A place in the configuration: its value, the checks on it, and where complaints about it go."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from usher.core import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

Path: TypeAlias = tuple[str | int, ...]
E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
D = TypeVar("D")

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_SHOWN: Final = 120


class Refused(Exception):  # noqa: N818 - it reads as what happened
    """This field is not sound; its problem stands in the list already."""


@dataclass(frozen=True, kw_only=True, slots=True)
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


def _written_step(step: str | int) -> str:
    """Keys that hold dots, line breaks or worse are quoted, so that a path stays readable."""
    plain = isinstance(step, str) and _PLAIN_KEY.fullmatch(step)
    return f".{step}" if plain else f"[{_shortened(repr(step))}]"


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


@dataclass(frozen=True, kw_only=True, slots=True)
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

    def mapping(self, known: Sequence[str], required: Sequence[str] = ()) -> dict[str, Field]:
        """The `known` members of a mapping. Others are refused, and so is it where `required` ones lack.

        A lacking member is noted only, so that it hides no problem of the others.
        """
        members = self.members()
        for key in [key for key in members if key not in known]:
            members.pop(key).refuse(f"is not a known key here; known are {', '.join(known)}")
        missing = [key for key in required if key not in members]
        if missing:
            self.refuse(f"must have {', '.join(missing)}")
        return members

    def members(self) -> dict[str, Field]:
        """The members of a mapping with any text as key. Other keys are refused."""
        if not isinstance(self.value, Mapping):
            raise self.refuse("must be a mapping")
        for key in self.value:
            if not isinstance(key, str):
                self.at(str(key), key).refuse("must be text: put this key in quotes")
        return {key: self.at(key, value) for key, value in self.value.items() if isinstance(key, str)}

    def only_member(self, known: Sequence[str]) -> tuple[str, Field]:
        """The key and member of a mapping that has exactly one, out of `known`."""
        if not isinstance(self.value, Mapping) or len(self.value) != 1:
            raise self.refuse(f"must be a mapping with exactly one key, of {', '.join(known)}")
        members = self.mapping(known)
        if not members:
            raise Refused
        return next(iter(members.items()))

    def elements(self) -> Iterator[Field]:
        """The elements of a list."""
        if not isinstance(self.value, list | tuple):
            raise self.refuse("must be a list")
        return (self.at(index, value) for index, value in enumerate(self.value))

    def text(self, pattern: str = r"[^\x00-\x1f]+", rule: str = "must be text") -> str:
        """A text that fits the whole `pattern`; `rule` says the same to people."""
        if not isinstance(self.value, str) or not re.fullmatch(pattern, self.value):
            unquoted = isinstance(self.value, bool | int | float)
            raise self.refuse(f"{rule}, in quotes where it looks like something else" if unquoted else rule)
        return self.value

    def choice(self, choices: type[E]) -> E:
        """One of the values of an enumeration."""
        if not isinstance(self.value, str) or self.value not in list(choices):
            raise self.refuse(f"must be one of {', '.join(choices)}")
        return choices(self.value)

    def duration(self, least: timedelta, most: timedelta) -> timedelta:
        """A duration such as `1h30m`, within bounds."""
        bounds = f"{duration.written(least)} to {duration.written(most)}"
        rule = f"must be a duration from {bounds}, such as 90s or 1h30m"
        try:
            found = duration.parse(self.value) if isinstance(self.value, str) else None
        except ValueError:
            found = None
        if found is None or not least <= found <= most:
            raise self.refuse(rule)
        return found

    def count(self, least: int, most: int) -> int:
        """A whole number, within bounds."""
        if type(self.value) is not int or not least <= self.value <= most:
            raise self.refuse(f"must be a whole number from {least} to {most}")
        return self.value


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
