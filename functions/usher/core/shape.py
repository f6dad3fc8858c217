"""What may stand at each place of hooks.yaml: the parser reads by these, and its JSON Schema is made of them.

Plain classes: a frozen dataclass costs some 0.4 ms of each cold start (ADR 21).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from usher.core import duration
from usher.core.field import Field, Refused, attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

Shape: TypeAlias = (
    "Constant | Text | Choice[str] | Duration | Count | ListOf | Keys | AnyKeys | OneKey | Either"
)
W_co = TypeVar("W_co", bound=str, covariant=True)


class Constant:
    """One value and no other."""

    def __init__(self, value: str | int) -> None:
        self.value = value

    def read(self, field: Field) -> str | int:
        """The value. A boolean or a float is no whole number, whatever it equals."""
        if field.value != self.value or isinstance(field.value, bool | float):
            raise field.refuse(f"must be {self.value}")
        return self.value


class Text:
    """A text that fits the whole `pattern`, to Python as to ECMAScript; `rule` says the same to people."""

    def __init__(self, pattern: str, rule: str) -> None:
        self.pattern = pattern
        self.rule = rule

    def read(self, field: Field) -> str:
        """The text."""
        if not isinstance(field.value, str) or not re.fullmatch(self.pattern, field.value):
            unquoted = isinstance(field.value, bool | int | float)
            hint = ", in quotes where it looks like something else" if unquoted else ""
            raise field.refuse(f"{self.rule}{hint}")
        return field.value


class Choice(Generic[W_co]):
    """One of some words, such as those of a StrEnum."""

    def __init__(self, words: Iterable[W_co]) -> None:
        self.words: Final = tuple(words)

    def read(self, field: Field) -> W_co:
        """The word."""
        for word in self.words:
            if word == field.value:
                return word
        raise field.refuse(f"must be one of {', '.join(self.words)}")


class Duration:
    """A duration such as `1h30m`, within bounds."""

    def __init__(self, *, least: timedelta, most: timedelta) -> None:
        self.least = least
        self.most = most
        bounds = f"{duration.written(least)} to {duration.written(most)}"
        self.rule = f"must be a duration from {bounds}, such as 90s or 1h30m"

    def read(self, field: Field) -> timedelta:
        """The duration."""
        try:
            found = duration.parse(field.value) if isinstance(field.value, str) else None
        except ValueError:
            found = None
        if found is None or not self.least <= found <= self.most:
            raise field.refuse(self.rule)
        return found


class Count:
    """A whole number, within bounds."""

    def __init__(self, *, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def read(self, field: Field) -> int:
        """The number."""
        if type(field.value) is not int or not self.least <= field.value <= self.most:
            raise field.refuse(f"must be a whole number from {self.least} to {self.most}")
        return field.value


class ListOf:
    """A list. `rule` says how many elements it may have, and what they are."""

    def __init__(
        self, shape: Shape, *, least: int = 0, most: int | None = None, rule: str = "must be a list"
    ) -> None:
        self.shape = shape
        self.least = least
        self.most = most
        self.rule = rule

    def elements(self, field: Field) -> list[Field]:
        """Its elements, to be read by `shape`."""
        if not isinstance(field.value, list | tuple):
            raise field.refuse(self.rule)
        if len(field.value) < self.least or (self.most is not None and len(field.value) > self.most):
            raise field.refuse(self.rule)
        return [field.at(index, value) for index, value in enumerate(field.value)]


class Keys:
    """A mapping of known keys, each with a shape of its own. Of some at least one must stand there."""

    def __init__(self, of: Mapping[str, Shape], *, required: Sequence[str] = (), least: int = 0) -> None:
        self.of = of
        self.required = required
        self.least = least

    def members(self, field: Field) -> dict[str, Field]:
        """Its members, to be read by the shapes `of` their keys. Other keys are refused.

        A lacking member is noted only, so that it hides no problem of the others.
        """
        members = field.members()
        for key in [key for key in members if key not in self.of]:
            members.pop(key).refuse(f"is not a known key here; known are {', '.join(self.of)}")
        missing = [key for key in self.required if key not in members]
        if missing:
            field.refuse(f"must have {', '.join(missing)}")
        if len(members) < self.least and field.is_sound:
            raise field.refuse(f"must have at least one of {', '.join(self.of)}")
        return members


class AnyKeys:
    """A mapping with keys of the user's own."""

    def __init__(self, key: Text, value: Shape, *, least: int = 0, rule: str = "must be a mapping") -> None:
        self.key = key
        self.value = value
        self.least = least
        self.rule = rule

    def members(self, field: Field) -> dict[str, Field]:
        """Its members, to be read by the shape `value`. An unsound key is noted only."""
        members = field.members()
        if len(members) < self.least:
            raise field.refuse(self.rule)
        for key, member in members.items():
            attempt(self.key.read, Field(path=member.path, value=key, problems=member.problems), None)
        return members


class OneKey:
    """A mapping with exactly one key of some. Beside it, unless it is to be `alone`, one of `beside`."""

    def __init__(
        self, of: Mapping[str, Shape], *, beside: Mapping[str, Shape] | None = None, alone: Sequence[str] = ()
    ) -> None:
        self.of = of
        self.beside = beside or {}
        self.alone = alone

    def member(self, field: Field) -> tuple[str, Field]:
        """The key, and the member to be read by its shape. What stands beside it, the caller takes out."""
        if not isinstance(field.value, Mapping) or len(field.value) != 1:
            raise field.refuse(f"must be a mapping with exactly one key, of {', '.join(self.of)}")
        members = Keys(self.of).members(field)
        if not members:
            raise Refused
        return next(iter(members.items()))


class Either:
    """Any one of some shapes. Which one it is, its reader sees by the value's type."""

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = shapes
