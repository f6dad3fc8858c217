"""A place in the configuration: its value, the checks on it, and where complaints about it go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from usher.core import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

Path: TypeAlias = tuple[str | int, ...]
E = TypeVar("E", bound=StrEnum)


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
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".") or "the file"

    def __str__(self) -> str:
        shown = repr(self.value)
        shown = shown if len(shown) <= 120 else f"{shown[:117]}..."  # noqa: PLR2004
        return f"{self.field}: {self.rule}, got {shown}"


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

    def mapping(self, known: Sequence[str], required: Sequence[str] = ()) -> dict[str, Field]:
        """The members of a mapping with no keys but the `known`, and all of the `required`."""
        members = self.members()
        for key in [key for key in members if key not in known]:
            members.pop(key).refuse(f"is not a known key here; known are {', '.join(known)}")
        missing = [key for key in required if key not in members]
        if missing:
            raise self.refuse(f"must have {', '.join(missing)}")
        return members

    def members(self) -> dict[str, Field]:
        """The members of a mapping with any text as key."""
        if not isinstance(self.value, Mapping):
            raise self.refuse("must be a mapping")
        for key in self.value:
            if not isinstance(key, str):
                raise self.refuse("must have text as keys")
        return {key: self.at(key, value) for key, value in self.value.items()}

    def only_member(self, known: Sequence[str]) -> tuple[str, Field]:
        """The key and member of a mapping that has exactly one, out of `known`."""
        members = self.mapping(known)
        if len(members) != 1:
            raise self.refuse(f"must have exactly one key, of {', '.join(known)}")
        return next(iter(members.items()))

    def elements(self) -> Iterator[Field]:
        """The elements of a list."""
        if not isinstance(self.value, list | tuple):
            raise self.refuse("must be a list")
        return (self.at(index, value) for index, value in enumerate(self.value))

    def text(self, pattern: str = r"[^\x00-\x1f]+", rule: str = "must be text") -> str:
        """A text that fits the whole `pattern`; `rule` says the same to people."""
        if not isinstance(self.value, str) or not re.fullmatch(pattern, self.value):
            raise self.refuse(rule)
        return self.value

    def choice(self, choices: type[E]) -> E:
        """One of the values of an enumeration."""
        if not isinstance(self.value, str) or self.value not in list(choices):
            raise self.refuse(f"must be one of {', '.join(choices)}")
        return choices(self.value)

    def duration(self, least: timedelta, most: timedelta) -> timedelta:
        """A duration such as `1h30m`, within bounds."""
        rule = f"must be a duration from {span.written(least)} to {span.written(most)}, such as 90s or 1h30m"
        try:
            found = span.parse(self.value) if isinstance(self.value, str) else None
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
