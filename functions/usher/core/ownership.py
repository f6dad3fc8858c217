"""Under which hook's terms an action begins: the file's, or those that the item of its hook keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from usher.core.frozen import frozen
from usher.core.hook_items import GRACE
from usher.core.hook_timeouts import COUNTS_FOR

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from usher.core.action import Transition
    from usher.core.hook_items import Enrolled
    from usher.core.policy import Configuration, Hook, Policy

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Terms:
    """A hook with its policies; what began at `let_through_from` or later is let go at once."""

    hook: Hook
    let_through_from: datetime | None = None
    item: Enrolled | None = None  # None: someone else put it, as far as is known

    @property
    def metadata(self) -> str | None:
        """What its messages would have said, had one come."""
        return self.item.settings.metadata if self.item is not None else self.hook.metadata

    def heartbeat_timeout(self, started_at: datetime, now: datetime) -> tuple[timedelta, bool]:
        """The smallest that may stand for an action that began then, and whether it is known to stand.

        It is known where the hook was seen standing within a day, and nothing else may have stood
        when the action began: the hook is changed after the file is.
        """
        item = self.item
        if item is None:
            return self.hook.heartbeat_timeout, False
        stood = {self.hook.heartbeat_timeout, item.settings.heartbeat_timeout}
        if item.before is not None:
            stood.add(item.before.heartbeat_timeout)
        stood |= {one.heartbeat_timeout for one in item.former if started_at <= one.until + GRACE}
        is_seen = item.seen_at is not None and now - item.seen_at <= COUNTS_FOR
        return min(stood), is_seen and item.before is None and len(stood) == 1

    def lets_through(self, policy: Policy, started_at: datetime) -> bool:
        """Whether an action that began then is let go at once: its hook is retiring.

        Where a policy only observes, or one may be chosen that does, nothing is sent.
        """
        is_late = self.let_through_from is not None and started_at >= self.let_through_from
        return is_late and not policy.may_observe


def terms(
    configuration: Configuration,
    items: Iterable[Enrolled],
    hook: str,
    group: str,
    transition: Transition,
) -> Terms | None:
    """The terms of a hook of that name on that group; None: it is not ours (promise 5).

    `items` are those of this hook and group. What the file selects by name or glob is as the file
    says. Its tags choose groups at run time only, so there the item tells whether they did: one that
    retires for want of the file holds again with the file that has it, unless its deletion was announced.
    Raises ConfigurationRefused for an item that this release cannot read.
    """
    in_file = configuration.hook(hook, group, transition)
    item = newest(item for item in items if item.settings.transition is transition)
    if in_file is not None and in_file.group.glob is not None:
        return Terms(hook=in_file, item=item)
    if item is None:
        return None
    again = _by_tags(configuration, item)
    is_back = again is not None and item.is_out_of_file and item.deleting_at is None
    if item.is_retiring and not is_back:
        return Terms(hook=item.own_hook, let_through_from=item.let_through_from, item=item)
    return Terms(hook=again or item.own_hook, item=item)


def terms_on(configuration: Configuration, items: Iterable[Enrolled], group: str) -> list[Terms]:
    """The terms of every hook that is ours on a group; `items` are those of its name. Raises as `terms`."""
    here: dict[tuple[str, Transition], list[Enrolled]] = {
        (hook.name, hook.transition): []
        for hook in configuration.hooks
        if hook.group.glob is not None and hook.group.may_fit(group)
    }
    for item in items:
        if item.settings.transition is not None:
            here.setdefault((item.hook, item.settings.transition), []).append(item)
    found = [terms(configuration, known, name, group, moves) for (name, moves), known in here.items()]
    return [each for each in found if each is not None]


def newest(items: Iterable[Enrolled]) -> Enrolled | None:
    """Of groups of one name, the one that was made last: the others are gone."""
    return max(items, key=_since, default=None)


def _since(item: Enrolled) -> datetime:
    return item.put_at or item.kept_at or _EPOCH


def _by_tags(configuration: Configuration, item: Enrolled) -> Hook | None:
    """The hook as the file has it now, where it chooses by the same tags still, or again."""
    own = item.own_hook
    alike = (hook for hook in configuration.hooks if (hook.name, hook.group) == (own.name, own.group))
    return next((hook for hook in alike if hook.transition is own.transition), None)
