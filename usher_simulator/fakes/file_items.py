"""The items of a replay: nothing was enrolled there, so what the hooks file says is trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.core.configuration import source_of
from usher.core.hook_items import Enrolled, Target
from usher.core.wanted_hooks import settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.policy import Configuration


class FileItems:
    """Implements usher.ports.hooks.HookItems: every hook by tags stands on every group that is asked for."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def of(self, group: str, hook: str) -> Sequence[Enrolled]:
        """See usher.ports.hooks.HookItems."""
        return [
            Enrolled(
                group=group,
                group_arn="",
                hook=hook,
                settings=settings_of(each, Target(arn=None)),
                source=source_of(each),
            )
            for each in self._configuration.hooks
            if each.name == hook and each.group.glob is None
        ]

    def enrolled(self) -> Sequence[Enrolled]:
        """None stands on a group that nobody asked for."""
        return ()
