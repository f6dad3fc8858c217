"""Hooks that services of AWS put on groups and complete themselves, recognised by their names.

Amazon ECS has one on the groups of capacity providers with managed instance draining; CodeDeploy has
those of its deployment groups, for launches and, where it is asked to, for terminations (Amazon ECS
Developer Guide, "Managed instance draining"; AWS CodeDeploy User Guide, "Integrating with Auto Scaling").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from usher.core.hook_items import GroupSeen, HookSeen
    from usher.core.wanted_hooks import Wanted

_ECS: Final = "ecs-managed-draining-termination-hook"
_CODE_DEPLOY: Final = "CodeDeploy-managed-"  # followed by its purpose and an id


def service_of(hook: str) -> str | None:
    """The service that runs hooks of this name; None: none that Usher knows."""
    if hook == _ECS:
        return "Amazon ECS"
    return "AWS CodeDeploy" if hook.startswith(_CODE_DEPLOY) else None


def foreign_hooks(wanted: Wanted, group: GroupSeen, live: Iterable[HookSeen]) -> Iterator[tuple[str, str]]:
    """Name and reason of each hook of another service that holds the same instances as the file's hooks."""
    asked = [hook for hook in wanted.hooks if hook.group.selects(group.name, group.tags)]
    for hook in live:
        service, transition = service_of(hook.name), hook.settings.transition
        names = sorted({each.name for each in asked if each.transition is transition} - {hook.name})
        if service is not None and names:
            both = f"a {transition} instance waits until it and {', '.join(names)} are completed"
            yield hook.name, f"a hook of {service}, which Usher does not touch: {both}"
