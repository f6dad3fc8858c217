"""A frozen class does what a frozen dataclass of keywords does, at an eighth of its price."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.core.frozen import frozen
from usher.core.frozen import replace as frozen_replace

if TYPE_CHECKING:
    from collections.abc import Mapping


class Body:
    """What both kinds are made of."""

    x: int
    y: str = "usual"
    many: list[int] = field(default_factory=list)
    doubled: int = field(init=False)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x must not be negative")
        object.__setattr__(self, "doubled", 2 * self.x)


def made(decorator: Any) -> Any:
    body = {name: value for name, value in vars(Body).items() if name not in {"__dict__", "__weakref__"}}
    return decorator(type("Value", (), body))


VALUE, LIKE = made(frozen), made(dataclass(frozen=True, kw_only=True))
GIVEN = st.fixed_dictionaries(
    {}, optional={"x": st.integers(-1, 2), "y": st.sampled_from("ab"), "z": st.just(0)}
)


def outcome(make: Any) -> Any:
    """What a call comes to: the kind of its error, or what it returns as text."""
    try:
        return repr(make())
    except (TypeError, ValueError, AttributeError) as error:
        return type(error)


@given(first=GIVEN, second=GIVEN)
def test_it_behaves_as_a_frozen_dataclass(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    for do in (
        lambda kind: kind(**first),
        lambda kind: replace(kind(x=1), **first),
        lambda kind: kind(**first) == kind(**second),
        lambda kind: kind(**first) == (first.get("x"), first.get("y")),
        lambda kind: [each.name for each in fields(kind(**first))],
        lambda kind: kind(**first).many is kind(**first).many,
        lambda kind: setattr(kind(**first), "x", 1),
        lambda kind: delattr(kind(**first), "x"),
        lambda kind: sorted(vars(kind(**first))),
        lambda kind: hash(kind(**first)),
    ):
        assert outcome(lambda do=do: do(VALUE)) == outcome(lambda do=do: do(LIKE))


def test_equal_ones_have_one_hash_and_no_fields_are_fine() -> None:
    @frozen
    class Pair:
        left: str
        right: str = ""

    @frozen
    class Nothing:
        pass

    assert {Pair(left="a"), Pair(left="a", right="")} == {Pair(left="a")}
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(TypeError, match="Value is built with too many or too few fields: x, z"):
        VALUE(z=1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to 'x' of Value"):
        VALUE(x=1).x = 2


@given(first=GIVEN, second=GIVEN)
def test_its_own_replace_does_as_that_of_dataclasses(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> None:
    usual = {"x": 1} | {name: value for name, value in first.items() if name != "z"}

    assert outcome(lambda: frozen_replace(VALUE(**usual), **second)) == outcome(
        lambda: replace(VALUE(**usual), **second)
    )


def test_where_nothing_is_replaced_it_is_the_value_itself() -> None:
    value = VALUE(x=1, y="a")

    assert frozen_replace(value, x=value.x, y=value.y) is value
    assert frozen_replace(value, x=2) is not value


def test_a_copy_has_no_cached_property_of_the_value_that_it_is_of() -> None:
    @frozen
    class Sum:
        left: int
        right: int = 1

        @cached_property
        def whole(self) -> int:
            return self.left + self.right

    one = Sum(left=1)
    assert one.whole == 2
    assert one == Sum(left=1)
    assert frozen_replace(one, left=5).whole == replace(one, left=5).whole == 6
