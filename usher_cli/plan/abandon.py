"""What ABANDON does at the end of a termination: that depends on the group, not on the hook."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usher.core.action import Result, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from usher.core.hook_items import GroupSeen
    from usher.core.policy import Hook

_NAMED_MAX = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Abandoning:
    """A termination hook that may end with ABANDON, and those of its groups on which that does the same."""

    hook: str
    retains: bool
    groups: tuple[str, ...]

    def __str__(self) -> str:
        """For people."""
        named = ", ".join(self.groups[:_NAMED_MAX])
        more = len(self.groups) - _NAMED_MAX
        where = f"{self.hook} on {named}{f' and {more} others' if more > 0 else ''}"
        if self.retains:
            return f"{where}: ABANDON retains the instance, which costs money until `usher release`."
        return f"{where}: ABANDON ends the instance as CONTINUE does, and its other hooks at once."


def abandoning(hooks: Sequence[Hook], groups: Iterable[GroupSeen]) -> list[Abandoning]:
    """One for each hook that may end so, and for each of the two things that this does."""
    found: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    ending = [hook for hook in hooks if hook.transition is Transition.TERMINATING and _may_abandon(hook)]
    for group in groups:
        for hook in ending:
            if hook.group.selects(group.name, group.tags):
                found[hook.name, group.retains].append(group.name)
    return [
        Abandoning(hook=hook, retains=retains, groups=tuple(sorted(names)))
        for (hook, retains), names in sorted(found.items())
    ]


def _may_abandon(hook: Hook) -> bool:
    """Whether any of its policies may end with it, or its default result is that."""
    results = {
        result
        for rule in hook.rules
        for result in (rule.use.on_success, rule.use.on_failure, rule.use.on_give_up)
    }
    return Result.ABANDON in results | {hook.default_result}
