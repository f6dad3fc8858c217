"""What a drafted hooks file says of each group: hooks to be taken over as they stand, and hooks to be put.

As drafted it changes nothing: what is active stands already, exactly so, and is only observed.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from usher.core import configuration, duration
from usher.core.action import Transition
from usher.core.configuration import ConfigurationRefused
from usher.core.configuration.conflicts import MOST_HOOKS_OF_A_GROUP
from usher.core.policy import Channel
from usher_cli.init.guesses import guess
from usher_hooksfile import size
from usher_hooksfile.foreign_hooks import whose

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from usher.core.field import Problem
    from usher.core.hook_items import HookSeen
    from usher_cli.init.groups import Group
    from usher_cli.init.guesses import Guess

    Data = dict[str, Any]

_TIMEOUT: Final = "10m"  # of a hook to be put
_NOBODY: Final = "it notifies nobody, so Usher hears of it by EventBridge, without any change of it"
_SOMEONE_ELSE: Final = (
    "it notifies someone else, whom Usher does not replace. To have Usher in its place, put the hook below, "
    "then remove this one by hand: until then an instance waits for both"
)
_MOST_ACTIVE: Final = 500  # hooks, of some 20 YAML nodes each: see load.MOST_NODES


class Verdict(StrEnum):
    """What Usher would do with a hook that stands."""

    OURS = "ours"
    TAKE_OVER = "take over"
    LEAVE_ALONE = "leave alone"
    CONFLICT = "conflict"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A hook that stands, and what Usher would do with it."""

    hook: HookSeen
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A hook of the file. What is not active stands there as a comment."""

    hook: Data
    because: str  # of its policy
    is_active: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Drafted:
    """What the file says of one group."""

    group: Group
    obstacle: str | None  # why the file can have no hook of it
    standing: tuple[Standing, ...]
    without: tuple[Transition, ...]  # that no hook holds
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """The whole file."""

    groups: tuple[Drafted, ...]
    policies: Mapping[str, Data]
    too_many: int = 0  # hooks that could be taken over, and are more than one file holds

    @property
    def active(self) -> list[Data]:
        """The hooks that count."""
        return [entry.hook for drafted in self.groups for entry in drafted.entries if entry.is_active]

    def is_used(self, policy: str) -> bool:
        """Whether a hook that counts uses it."""
        return any(hook["policy"] == policy for hook in self.active)

    def count(self, verdict: Verdict) -> int:
        """The hooks that stand and are judged so."""
        return sum(each.verdict is verdict for drafted in self.groups for each in drafted.standing)


def draft(groups: Sequence[Group], ours: Collection[str] = ()) -> Draft:
    """The file for these groups. `ours` are the ARNs that Usher's hooks notify, where it is deployed."""
    drafting = _Drafting(ours=ours)
    drafted = tuple(drafting.group(group) for group in groups)
    whole = Draft(groups=drafted, policies=drafting.policies)
    most = bisect_left(range(1, len(whole.active) + 1), True, key=lambda count: not _fits(whole, count))
    return replace(whole, groups=tuple(_limited(drafted, most)), too_many=len(whole.active) - most)


def _fits(whole: Draft, count: int) -> bool:
    """Whether a file takes so many of the active hooks: one by one each is sound."""
    hooks = whole.active[:count]
    return count <= _MOST_ACTIVE and not _problems(hooks, whole.policies)


def _problems(hooks: list[Data], policies: Mapping[str, Data]) -> list[Problem]:
    used = {hook["policy"]: policies[hook["policy"]] for hook in hooks}
    data = {"version": configuration.VERSION, "policies": used, "hooks": hooks}
    try:
        return size.problems(configuration.parse(data), data)
    except ConfigurationRefused as refused:
        return refused.problems


def _limited(groups: Sequence[Drafted], most: int) -> Iterator[Drafted]:
    """With so many active hooks, the first ones."""
    left = most
    for drafted in groups:
        entries = []
        for entry in drafted.entries:
            entries.append(replace(entry, is_active=entry.is_active and left > 0))
            left -= entry.is_active
        yield replace(drafted, entries=tuple(entries))


@dataclass(kw_only=True, slots=True)
class _Drafting:
    """Goes from group to group. Groups with equal guesses share a policy."""

    ours: Collection[str]
    policies: dict[str, Data] = field(default_factory=dict)

    def group(self, group: Group) -> Drafted:
        obstacle = self._obstacle(group)
        judged = [self._standing(group, hook, obstacle) for hook in group.hooks]
        taken_over = [entry for _, entry in judged if entry is not None]
        standing = tuple(each for each, _ in judged)
        proposed = [] if obstacle else [*self._proposed(group, standing)]
        return Drafted(
            group=group,
            obstacle=obstacle,
            standing=standing,
            without=tuple(each for each in Transition if not group.hooks_of(each)),
            entries=(*taken_over, *proposed),
        )

    def _obstacle(self, group: Group) -> str | None:
        if group.seen.is_ending:
            return "it is being deleted"
        if group.seen.operator is not None:
            return f"{group.seen.operator} operates it: AWS refuses a hook from anyone else"
        if "*" in group.name:
            return "its name has a *, which hooks.yaml reads as a wildcard"
        hook = {"name": "any", "group": group.name, "transition": "launching"}
        refused = _alone(hook, {"until": []})
        return f"hooks.yaml cannot name it: a group {refused[0].rule}" if refused else None

    def _standing(self, group: Group, hook: HookSeen, obstacle: str | None) -> tuple[Standing, Entry | None]:
        """What stands there; and its entry in the file, where Usher would take it over."""
        service, settings = whose(hook.name), hook.settings
        if obstacle or service or settings.transition is None:
            reason = obstacle or (f"{service} runs it" if service else "its transition is not known here")
            return Standing(hook=hook, verdict=Verdict.LEAVE_ALONE, reason=reason), None
        if settings.target_arn in self.ours:
            return Standing(hook=hook, verdict=Verdict.OURS, reason="it notifies Usher"), None
        if settings.target_arn is not None:
            return Standing(hook=hook, verdict=Verdict.CONFLICT, reason=_SOMEONE_ELSE), None
        guessed = guess(group, settings.transition)
        entry, refused = _as_it_stands(group, hook, guessed)
        if refused:
            reason = f"hooks.yaml cannot have it as it stands: {refused[0].path[-1]} {refused[0].rule}"
            return Standing(hook=hook, verdict=Verdict.CONFLICT, reason=reason), None
        told = Standing(hook=hook, verdict=Verdict.TAKE_OVER, reason=_NOBODY)
        return told, self._entry(entry, guessed, is_active=True)

    def _proposed(self, group: Group, standing: Sequence[Standing]) -> Iterator[Entry]:
        """A hook for each transition that nothing holds, or someone whom Usher does not replace."""
        names = {hook.name for hook in group.hooks}
        for transition in Transition:
            of_it = [each for each in standing if each.hook.settings.transition is transition]
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
        """With its policy: what is active only observes."""
        policy = self._policy(guessed, observed=is_active)
        return Entry(hook={**hook, "policy": policy}, because=guessed.because, is_active=is_active)

    def _policy(self, guessed: Guess, *, observed: bool) -> str:
        """The name of that policy, which is new where none is equal."""
        data = guessed.policy(observed=observed)
        equal = (name for name, known in self.policies.items() if json.dumps(known) == json.dumps(data))
        name = next(equal, None) or _unlike(self.policies, guessed.name + ("-observed" if observed else ""))
        self.policies[name] = data
        return name


def _as_it_stands(group: Group, hook: HookSeen, guessed: Guess) -> tuple[Data, list[Problem]]:
    """The hook as the file has it, and what is against that.

    Metadata that the file cannot have are left out: what stands keeps them.
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
    """What is against a file with this hook and no other."""
    return _problems([{**hook, "policy": "any"}], {"any": policy})


def _unlike(names: Collection[str], name: str) -> str:
    """That name, or else one with a number."""
    numbered = (f"{name}-{number}" for number in range(2, len(names) + 3))
    return next(each for each in (name, *numbered) if each not in names)
