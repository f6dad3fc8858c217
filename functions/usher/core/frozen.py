"""Value classes: frozen dataclasses of keywords, with slots, that share their methods.

`dataclass(frozen=True, ...)` writes and compiles methods for each class, when its module is imported: half a
millisecond each, a fifth of all that a cold start takes of a function's own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a value class of annotated fields; `replace` and `fields` of dataclasses work with it.

    Raises TypeError where one is built with a field too many or too few.
    """
    made: Any = dataclass(init=False, repr=False, eq=False, kw_only=True, slots=True)(cls)
    names = [each.name for each in fields(made)]
    given = [each for each in fields(made) if each.init]
    made.field_names = frozenset(each.name for each in given)
    made.field_defaults = {each.name: each.default for each in given if each.default is not MISSING}
    made.field_factories = {
        each.name: each.default_factory for each in given if each.default_factory is not MISSING
    }
    made.all_fields = tuple(names)
    made.field_values = attrgetter(*names) if names else _nothing
    if not hasattr(cls, "__post_init__"):
        made.__post_init__ = _post_init
    for method in (_init, _repr, _eq, _hash, _setattr, _delattr):
        setattr(made, f"__{method.__name__[1:]}__", method)
    return made  # type: ignore[no-any-return]


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - mypy checks the fields; others import it
else:

    def replace(value: Any, /, **changed: object) -> Any:  # noqa: ANN401 - any value class
        """The value with other fields, as dataclasses' own; the value itself where they are the same ones.

        An evaluation copies a record some twenty times.
        """
        if all(getattr(value, name, _nothing) is changed[name] for name in changed):
            return value
        if not changed.keys() <= value.field_names:
            wrong = ", ".join(sorted(changed.keys() - value.field_names))
            raise TypeError(f"{type(value).__name__} has no fields to replace: {wrong}")
        made = object.__new__(type(value))
        _assign(made, value.all_fields, value.field_values(value))
        _assign(made, changed.keys(), changed.values())
        made.__post_init__()
        return made


def _nothing(*_: object) -> tuple[()]:
    return ()


def _init(self: Any, /, **given: object) -> None:  # noqa: ANN401 - any value class
    if len(given) < len(self.field_names):
        made = {name: make() for name, make in self.field_factories.items() if name not in given}
        given = self.field_defaults | made | given
    if given.keys() != self.field_names:
        wrong = ", ".join(sorted(given.keys() ^ self.field_names))
        raise TypeError(f"{type(self).__name__} is built with too many or too few fields: {wrong}")
    _assign(self, given.keys(), given.values())
    self.__post_init__()


def _assign(to: object, names: Iterable[str], values: Iterable[object]) -> None:
    """Past the guard of a frozen class, in a loop of C."""
    deque(map(object.__setattr__, repeat(to), names, values), maxlen=0)


def _post_init(_: object) -> None:
    """Nothing is left to check, or to do."""


def _repr(self: Any) -> str:  # noqa: ANN401
    values = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
    return f"{type(self).__qualname__}({values})"


def _eq(self: Any, other: Any) -> object:  # noqa: ANN401
    if type(other) is not type(self):
        return NotImplemented
    return self.field_values(self) == self.field_values(other)


def _hash(self: Any) -> int:  # noqa: ANN401
    return hash(self.field_values(self))


def _setattr(self: object, name: str, _: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to {name!r} of {type(self).__name__}")


def _delattr(self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete {name!r} of {type(self).__name__}")
