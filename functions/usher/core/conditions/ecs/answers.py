"""Reads the answers of ECS: a part of one says of nothing that it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.core.conditions.answer import member, members, text

if TYPE_CHECKING:
    from collections.abc import Mapping


class Incomplete(Exception):  # noqa: N818 - it reads as what happened
    """An answer does not have what it should have."""


def texts(data: object, key: str) -> tuple[str, ...]:
    """A whole list of texts. Raises Incomplete."""
    found = member(data, key)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Incomplete(f"list {key}")
    if member(data, "nextToken"):
        raise Incomplete("last page")
    return tuple(found)


def by_arn(data: object, key: str, arn: str) -> Mapping[str, object]:
    """The members of a list that have an ARN; what is not so is left out."""
    return {text(each, arn): each for each in members(data, key) if text(each, arn)}


def short(arn: str) -> str:
    """The end of an ARN, as people call what it names."""
    return arn.rsplit("/", 1)[-1]
