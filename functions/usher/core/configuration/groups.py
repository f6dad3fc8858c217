"""The groups of a hook: a name, a glob, or tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from usher.core.field import Field, Refused, attempt
from usher.core.policy import GroupSelector

MOST_GROUP_NAME: Final = 255  # characters
_GROUP_NAME: Final = r"[ -9;-~\u0080-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]{1,255}"
_GROUP_NAME_RULE: Final = "must be a name or glob of 1 to 255 characters without a colon"
_TAG_KEY: Final = r"[^\x00-\x1f]{1,128}"
_TAG_KEY_RULE: Final = "must be a tag key of 1 to 128 characters"
_TAG_VALUE: Final = r"[^\x00-\x1f]{0,256}"
_TAG_VALUE_RULE: Final = "must be a tag value of at most 256 characters"


def selector_from(field: Field) -> GroupSelector:
    """From a name, a glob, or `tags:`."""
    if isinstance(field.value, str):
        return GroupSelector(glob=group_name_from(field))
    if not isinstance(field.value, Mapping):
        raise field.refuse("must be a name, a glob, or tags: {KEY: VALUE}")
    tags = attempt(_tags, field.mapping(("tags",), required=("tags",)).get("tags"), ())
    if not field.is_sound:
        raise Refused
    return GroupSelector(glob=None, tags=tags)


def group_name_from(field: Field) -> str:
    """A name or glob."""
    return field.text(_GROUP_NAME, _GROUP_NAME_RULE)


def _tags(field: Field) -> tuple[tuple[str, str], ...]:
    """In the order of their keys, so that equal tags are equal however they are written."""
    members = field.members()
    if not members:
        raise field.refuse("must name at least one tag")
    for key, member in members.items():
        attempt(_tag_key, Field(path=member.path, value=key, problems=member.problems), None)
    return tuple((key, attempt(_tag_value, members[key], "")) for key in sorted(members))


def _tag_key(field: Field) -> str:
    return field.text(_TAG_KEY, _TAG_KEY_RULE)


def _tag_value(field: Field) -> str:
    return field.text(_TAG_VALUE, _TAG_VALUE_RULE)
