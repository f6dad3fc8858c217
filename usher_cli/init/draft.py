"""The hooks of a drafted file: existing ones to take over unchanged, and new ones as comments.

Deploying a draft unchanged has no effect: active are only existing hooks, and their policies observe.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from usher.core import configuration, duration
from usher.core.action import Transition
from usher.core.configuration.conflicts import MOST_HOOKS_OF_A_GROUP
from usher.core.field import ConfigurationRefused
from usher.core.policy import Channel
from usher_cli.init.guesses import guess
from usher_hooksfile import size
from usher_hooksfile.foreign_hooks import service_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from usher.core.field import Problem
    from usher.core.hook_items import HookSeen
    from usher_cli.init.groups import Group
    from usher_cli.init.guesses import Guess

    Data = dict[str, Any]

_TIMEOUT: Final = "10m"  # of a hook to be put
_NOBODY: Final = "it has no target, so Usher gets its actions from EventBridge, and the hook stays unchanged"
_SOMEONE_ELSE: Final = (
    "it notifies someone else, and Usher does not change such a hook. To replace it, let Usher put the hook "
    "below, then delete this one; until then an instance waits for both"
)
_MOST_ACTIVE: Final = 500  # hooks, of some 20 YAML nodes each: see load.MOST_NODES


class Verdict(StrEnum):
    """What Usher would do with an existing hook."""

    OURS = "ours"
    TAKE_OVER = "take over"
    LEAVE_ALONE = "leave alone"
    CONFLICT = "conflict"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingHook:
    """A hook of a group, and what Usher would do with it."""

    hook: HookSeen
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A hook of the file; a comment unless it is active."""

    hook: Data
    because: str  # its policy is guessed
    is_active: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupDraft:
    """The part of a file for one group."""

    group: Group
    excluded: str | None  # why the file can have no hook for it
    existing: tuple[ExistingHook, ...]
    without: tuple[Transition, ...]  # transitions without a hook
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A whole file."""

    groups: tuple[GroupDraft, ...]
    policies: Mapping[str, Data]
    too_many: int = 0  # hooks to take over that do not fit into one file

    @property
    def active(self) -> list[Data]:
        """The active hooks."""
        return [entry.hook for group in self.groups for entry in group.entries if entry.is_active]

    def is_used(self, policy: str) -> bool:
        """Whether an active hook uses it."""
        return any(hook["policy"] == policy for hook in self.active)

    def count(self, verdict: Verdict) -> int:
        """The number of existing hooks with that verdict."""
        return sum(hook.verdict is verdict for group in self.groups for hook in group.existing)


def draft(groups: Sequence[Group], ours: Collection[str] = ()) -> Draft:
    """The file for these groups. `ours` are the targets of a deployed Usher."""
    drafting = _Drafting(ours=ours)
    drafted = tuple(drafting.group(group) for group in groups)
    whole = Draft(groups=drafted, policies=drafting.policies)
    most = bisect_left(range(1, len(whole.active) + 1), True, key=lambda count: not _fits(whole, count))
    return replace(whole, groups=tuple(_limited(drafted, most)), too_many=len(whole.active) - most)


def _fits(whole: Draft, count: int) -> bool:
    """Whether the first so many active hooks fit into one file; each alone is valid."""
    hooks = whole.active[:count]
    return count <= _MOST_ACTIVE and not _problems(hooks, whole.policies)


def _problems(hooks: list[Data], policies: Mapping[str, Data]) -> list[Problem]:
    used = {hook["policy"]: policies[hook["policy"]] for hook in hooks}
    data = {"version": configuration.VERSION, "policies": used, "hooks": hooks}
    try:
        return size.problems(configuration.parse(data), data)
    except ConfigurationRefused as refused:
        return refused.problems


def _limited(groups: Sequence[GroupDraft], most: int) -> Iterator[GroupDraft]:
    """The groups with only the first so many active hooks."""
    left = most
    for drafted in groups:
        entries = []
        for entry in drafted.entries:
            entries.append(replace(entry, is_active=entry.is_active and left > 0))
            left -= entry.is_active
        yield replace(drafted, entries=tuple(entries))


@dataclass(kw_only=True, slots=True)
class _Drafting:
    """Drafts group after group. Groups with equal guesses share a policy."""

    ours: Collection[str]
    policies: dict[str, Data] = field(default_factory=dict)

    def group(self, group: Group) -> GroupDraft:
        excluded = self._exclusion(group)
        judged = [self._existing(group, hook, excluded) for hook in group.hooks]
        taken_over = [entry for _, entry in judged if entry is not None]
        existing = tuple(each for each, _ in judged)
        proposed = [] if excluded else [*self._proposed(group, existing)]
        return GroupDraft(
            group=group,
            excluded=excluded,
            existing=existing,
            without=tuple(each for each in Transition if not group.hooks_of(each)),
            entries=(*taken_over, *proposed),
        )

    def _exclusion(self, group: Group) -> str | None:
        if group.seen.is_ending:
            return "it is being deleted"
        if group.seen.operator is not None:
            return f"{group.seen.operator} operates it, and AWS refuses hooks from anyone else"
        if "*" in group.name:
            return "in hooks.yaml the * in its name would be a wildcard"
        hook = {"name": "any", "group": group.name, "transition": "launching"}
        refused = _alone(hook, {"until": []})
        return f"hooks.yaml does not allow its name: it {refused[0].rule}" if refused else None

    def _existing(
        self, group: Group, hook: HookSeen, excluded: str | None
    ) -> tuple[ExistingHook, Entry | None]:
        """The hook with its verdict, and its entry in the file if Usher would take it over."""
        service, settings = service_of(hook.name), hook.settings
        if excluded or service or settings.transition is None:
            reason = excluded or (
                f"it is a hook of {service}" if service else "this release does not know its transition"
            )
            return ExistingHook(hook=hook, verdict=Verdict.LEAVE_ALONE, reason=reason), None
        if settings.target_arn in self.ours:
            return ExistingHook(hook=hook, verdict=Verdict.OURS, reason="it notifies Usher"), None
        if settings.target_arn is not None:
            return ExistingHook(hook=hook, verdict=Verdict.CONFLICT, reason=_SOMEONE_ELSE), None
        guessed = guess(group, settings.transition)
        entry, refused = _unchanged(group, hook, guessed)
        if refused:
            reason = f"hooks.yaml does not allow its settings: {refused[0].path[-1]} {refused[0].rule}"
            return ExistingHook(hook=hook, verdict=Verdict.CONFLICT, reason=reason), None
        found = ExistingHook(hook=hook, verdict=Verdict.TAKE_OVER, reason=_NOBODY)
        return found, self._entry(entry, guessed, is_active=True)

    def _proposed(self, group: Group, existing: Sequence[ExistingHook]) -> Iterator[Entry]:
        """A new hook for each transition without a hook, or only with hooks in conflict."""
        names = {hook.name for hook in group.hooks}
        for transition in Transition:
            of_it = [each for each in existing if each.hook.settings.transition is transition]
            is_free = all(each.verdict is Verdict.CONFLICT for each in of_it)
            if is_free and len(names) < MOST_HOOKS_OF_A_GROUP:
                name = _unlike(names, f"usher-{transition}")
                names.add(name)
                hook = {
                    "name": name,
                    "group": group.name,
                    "transition": str(transition),
                    "heartbeat_timeout": _TIMEOUT,
                    "default_result": "CONTINUE",
                }
                yield self._entry(hook, guess(group, transition), is_active=False)

    def _entry(self, hook: Data, guessed: Guess, *, is_active: bool) -> Entry:
        """The hook with its policy, which observes if the hook is active."""
        policy = self._policy(guessed, observed=is_active)
        return Entry(hook={**hook, "policy": policy}, because=guessed.because, is_active=is_active)

    def _policy(self, guessed: Guess, *, observed: bool) -> str:
        """The name of that policy: an equal one's, or a new one."""
        data = guessed.policy(observed=observed)
        equal = (name for name, known in self.policies.items() if json.dumps(known) == json.dumps(data))
        name = next(equal, None) or _unlike(self.policies, guessed.name + ("-observed" if observed else ""))
        self.policies[name] = data
        return name


def _unchanged(group: Group, hook: HookSeen, guessed: Guess) -> tuple[Data, list[Problem]]:
    """The hook with its settings as in the file, and the problems of that.

    Metadata that the file does not allow are left out: the hook keeps them.
    """
    settings = hook.settings
    entry = {
        "name": hook.name,
        "group": group.name,
        "transition": str(guessed.transition),
        "heartbeat_timeout": duration.written(settings.heartbeat_timeout),
        "default_result": str(settings.default_result),
        "notify": str(Channel.EVENTBRIDGE),
    }
    policy = guessed.policy(observed=True)
    whole = {**entry, "metadata": settings.metadata}
    if settings.metadata is not None and not _alone(whole, policy):
        return whole, []
    return entry, _alone(entry, policy)


def _alone(hook: Data, policy: Data) -> list[Problem]:
    """The problems of a file with only this hook."""
    return _problems([{**hook, "policy": "any"}], {"any": policy})


def _unlike(names: Collection[str], name: str) -> str:
    """That name, or one with a number if it is taken."""
    numbered = (f"{name}-{number}" for number in range(2, len(names) + 3))
    return next(each for each in (name, *numbered) if each not in names)
