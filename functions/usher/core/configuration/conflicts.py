"""What the hooks of one file must not be beside each other: of one name on a group, or too many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from usher.core.configuration.groups import MOST_GROUP_NAME
from usher.core.globs import fits_both, glob_fits

if TYPE_CHECKING:
    from usher.core.field import Field
    from usher.core.policy import GroupSelector, Hook

MOST_HOOKS_OF_A_GROUP: Final = 50  # not adjustable (aws-facts 5)


def refuse_shared_names(hooks: list[tuple[Hook, Field]]) -> None:
    """Of hooks that name a group each only those of one group are held against one another."""
    named: dict[tuple[str, GroupSelector], Hook] = {}
    others: dict[str, list[Hook]] = {}  # by globs and tags
    for hook, field in hooks:
        selector = hook.group
        earlier = others.get(hook.name, [])
        if selector.is_one_name:
            earlier = [*earlier, *filter(None, [named.get((hook.name, selector))])]
        else:
            earlier = [*earlier, *(one for (name, _), one in named.items() if name == hook.name)]
        shared = next((one for one in earlier if _surely_share_a_group(one, hook)), None)
        if shared is not None:
            field.at("name", hook.name).refuse(_shared_rule(shared, hook))
        if selector.is_one_name:
            named.setdefault((hook.name, selector), hook)
        else:
            others.setdefault(hook.name, []).append(hook)


def _shared_rule(one: Hook, other: Hook) -> str:
    rule = "must not be the name of another hook on the same group"
    if one.group == other.group or one.group.glob is None or other.group.glob is None:
        return rule
    example = fits_both(one.group.glob, other.group.glob)
    if len(example) > MOST_GROUP_NAME:
        return rule
    return f"{rule}: {example} matches {one.group.glob} and {other.group.glob}"


def _surely_share_a_group(one: Hook, other: Hook) -> bool:
    """By tags alone nobody can say before enrolment, unless the tags are the same."""
    if one.group.glob is None or other.group.glob is None:
        return one.group == other.group
    return one.group.may_share(other.group)


def refuse_too_many_hooks(hooks: list[tuple[Hook, Field]]) -> None:
    """Where more surely stand on one group than AWS allows."""
    if len(hooks) <= MOST_HOOKS_OF_A_GROUP:
        return
    named = Counter(hook.group for hook, _ in hooks if hook.group.is_one_name)
    others = [hook.group for hook, _ in hooks if not hook.group.is_one_name]
    for hook, field in hooks:
        on_group = named[hook.group] + sum(_stands_with(other, hook.group) for other in others)
        if on_group > MOST_HOOKS_OF_A_GROUP:
            field.refuse(f"must be one of at most {MOST_HOOKS_OF_A_GROUP} hooks on a group ({on_group} here)")
            return


def _stands_with(other: GroupSelector, group: GroupSelector) -> bool:
    """Whether a hook of `other` surely stands on each group of `group`.

    Read as a text, a glob fits another one only where that one fits all that it does.
    """
    if group.glob is None:
        return other.glob is None and set(other.tags) <= set(group.tags)
    return other.glob is not None and glob_fits(other.glob, group.glob)
