"""The groups of a hook: a name, a glob, or tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from usher.core.field import Refused, attempt
from usher.core.policy import GroupSelector
from usher.core.shape import AnyKeys, Either, Keys, Text

if TYPE_CHECKING:
    from usher.core.field import Field

MOST_GROUP_NAME: Final = 255  # characters

GROUP_NAME: Final = Text(
    r"[^\x00-\x1f:\x7f\ud800-\udfff\ufffe\uffff]{1,255}",
    "must be a name or glob of 1 to 255 characters without a colon",
)
_TAG_KEY: Final = Text(r"[^\x00-\x1f]{1,128}", "must be a tag key of 1 to 128 characters")
TAG_VALUE: Final = Text(r"[^\x00-\x1f]{0,256}", "must be a tag value of at most 256 characters")
TAGS: Final = AnyKeys(_TAG_KEY, TAG_VALUE, least=1, rule="must name at least one tag")
_BY_TAGS: Final = Keys({"tags": TAGS}, required=("tags",))
GROUP: Final = Either(GROUP_NAME, _BY_TAGS)


def selector_from(field: Field) -> GroupSelector:
    """From a name, a glob, or `tags:`."""
    if isinstance(field.value, str):
        return GroupSelector(glob=GROUP_NAME.read(field))
    if not isinstance(field.value, Mapping):
        raise field.refuse("must be a name, a glob, or tags: {KEY: VALUE}")
    tags = attempt(_tags, _BY_TAGS.members(field).get("tags"), ())
    if not field.is_sound:
        raise Refused
    return GroupSelector(glob=None, tags=tags)


def _tags(field: Field) -> tuple[tuple[str, str], ...]:
    """In the order of their keys, so that equal tags are equal however they are written."""
    members = TAGS.members(field)
    return tuple((key, attempt(TAG_VALUE.read, members[key], "")) for key in sorted(members))
