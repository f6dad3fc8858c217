"""Notices groups of which no message comes: a hook whose wiring is broken tells nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core.frozen import frozen
from usher.core.policy import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher.core.policy import Hook
    from usher.ports.records import Store
    from usher.ports.telemetry import Telemetry

# Whether a direct Lambda target is tested is not known (aws-facts 3.5).
TESTED: Final = (Channel.SQS, Channel.SNS)


@frozen
class SilentGroups:
    """Counts, as SilentGroups, the groups named in the configuration of which no message is known.

    PutLifecycleHook sends a test message to each SQS or SNS target, and each lifecycle message that
    comes by one renews what it showed; so a group without either has no hook that reaches us. What
    tags and globs select is put by the enrolment, which tells of its own failures.
    """

    hooks: Sequence[Hook]
    store: Store
    telemetry: Telemetry

    @property
    def name(self) -> str:
        """As Pass."""
        return "silence"

    def run(self, has_time: Callable[[], bool]) -> None:
        """One query for each named group."""
        groups = {hook.group.glob for hook in self.hooks if hook.notify in TESTED}
        named = sorted(group for group in groups if group is not None and "*" not in group)
        silent = [group for group in named if has_time() and not self.store.reaches_us(group)]
        self.telemetry.count("SilentGroups", len(silent))
