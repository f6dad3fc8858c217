"""Value classes: frozen dataclasses of keywords that share their methods.

`dataclass(frozen=True, ...)` writes and compiles methods for each class, when its module is imported: half a
millisecond each, a fifth of all that a cold start takes of a function's own.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a value class of annotated fields; `replace` and `fields` of dataclasses work with it.

    Raises TypeError where one is built with a field too many or too few.
    """
    made: Any = dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)
    names = [each.name for each in fields(made)]
    given = [each for each in fields(made) if each.init]
    made.field_names = frozenset(each.name for each in given)
    made.field_defaults = {each.name: each.default for each in given if each.default is not MISSING}
    made.field_factories = {
        each.name: each.default_factory for each in given if each.default_factory is not MISSING
    }
    made.field_count = len(names)
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
        known = vars(value)
        for name, new in changed.items():
            if known.get(name, _nothing) is not new:
                break
        else:
            return value
        if not changed.keys() <= value.field_names:
            wrong = ", ".join(sorted(changed.keys() - value.field_names))
            raise TypeError(f"{type(value).__name__} has no fields to replace: {wrong}")
        if len(known) > value.field_count:  # a cached property is of the fields as they were
            known = {each.name: known[each.name] for each in fields(value)}
        made = object.__new__(type(value))
        vars(made).update(known, **changed)  # past the guard of a frozen class
        made.__post_init__()
        return made


def _nothing(*_: object) -> tuple[()]:
    return ()


def _init(self: Any, /, **given: object) -> None:  # noqa: ANN401 - any value class
    if given.keys() != self.field_names:
        given = _completed(self, given)
    vars(self).update(given)  # past the guard of a frozen class
    self.__post_init__()


def _completed(made: Any, given: dict[str, object]) -> dict[str, object]:  # noqa: ANN401 - likewise
    """What is given, and what is usual for the fields that are not."""
    usual = {name: make() for name, make in made.field_factories.items() if name not in given}
    whole: dict[str, object] = {**made.field_defaults, **usual, **given}
    if whole.keys() != made.field_names:
        wrong = ", ".join(sorted(whole.keys() ^ made.field_names))
        raise TypeError(f"{type(made).__name__} is built with too many or too few fields: {wrong}")
    return whole


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
