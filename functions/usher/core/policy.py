"""What an instance waits for, and which hooks of which groups are Usher's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from usher.core.action import HookTerms, Transition
from usher.core.frozen import frozen
from usher.core.metadata import value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import timedelta

    from usher.core.action import Result
    from usher.core.conditions.verdict import Condition, Plain
    from usher.core.limits import Limits


METADATA_KEY: Final = "metadata."  # before it, where a rule asks for one key of the metadata


class Mode(StrEnum):
    """`observe` decides and records, and calls nothing."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class WhenStopped(StrEnum):
    """Whether a stopped instance counts as ended, in a plain termination."""

    END = "end"
    WAIT = "wait"


class Channel(StrEnum):
    """The notification target of a hook."""

    SQS = "sqs"
    SNS = "sns"
    EVENTBRIDGE = "eventbridge"
    LAMBDA = "lambda"


@frozen
class Policy:
    """What a held instance waits for, and what happens otherwise.

    `source` is the policy as the configuration has it (JSON), which is what a record keeps.
    """

    name: str
    source: str
    until: tuple[Condition, ...]
    give_up_after: timedelta | None
    on_success: Result
    on_failure: Result
    on_give_up: Result | None  # None: the hook's default result
    stalled_after: timedelta | None
    when_stopped: WhenStopped
    mode: Mode

    @property
    def takes_turns(self) -> bool:
        """Whether the `at_once` of its hook counts: to observe, or to wait for nothing, needs no turn."""
        return self.mode is Mode.ENFORCE and bool(self.until)

    @property
    def leaves(self) -> tuple[Plain, ...]:
        """Its conditions, those inside of combinations too."""
        return tuple(leaf for condition in self.until for leaf in condition.leaves())


@frozen
class Move:
    """What a rule may ask of an action: where its instance comes from and goes to."""

    group: str
    transition: Transition
    origin: str | None
    destination: str | None
    after: str | None = None  # "launch_failed": the termination that follows an abandoned launch
    metadata: str | None = None  # of its hook


@frozen
class Rule:
    """Use a policy for the moves in which every value of `when` fits. An empty `when` fits all."""

    when: tuple[tuple[str, str], ...]
    use: Policy

    def fits(self, move: Move) -> bool:
        """Whether this rule is for `move`."""
        return all(self._fits(field, wanted, move) for field, wanted in self.when)

    @staticmethod
    def _fits(field: str, wanted: str, move: Move) -> bool:
        if field == "group":
            return glob_fits(wanted, move.group)
        if field.startswith(METADATA_KEY):
            return value_of(move.metadata, field.removeprefix(METADATA_KEY)) == wanted
        if field == "after" and move.transition is Transition.LAUNCHING:
            return False  # the notice of a second launch hook may come when the first has abandoned it
        return bool(getattr(move, field) == wanted)


@frozen
class GroupSelector:
    """The groups of a hook: a name or a glob, or else the tags that all must stand on the group."""

    glob: str | None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def is_one_name(self) -> bool:
        """Whether it names one group, which must be there when it is deployed."""
        return self.glob is not None and "*" not in self.glob

    def __str__(self) -> str:
        """As a hooks file has it."""
        return self.glob or "tags " + ", ".join(f"{key}={value}" for key, value in self.tags)

    def may_fit(self, group: str) -> bool:
        """Whether `group` is selected. Tags are not known here, so by tags every group may be."""
        return self.glob is None or glob_fits(self.glob, group)

    def selects(self, group: str, tags: Iterable[tuple[str, str]]) -> bool:
        """Whether a group is selected whose tags are known."""
        return self.may_fit(group) if self.glob is not None else set(self.tags) <= set(tags)

    def may_share(self, other: GroupSelector) -> bool:
        """Whether a group may be in both. Of tags it is known only where they contradict each other."""
        if self.glob is not None and other.glob is not None:
            return globs_meet(self.glob, other.glob)
        wanted = dict(self.tags)
        return all(wanted.get(key, value) == value for key, value in other.tags)


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One lifecycle hook of the configuration, on every group that `group` selects.

    `source` is the hook as the configuration has it (JSON).
    """

    name: str
    group: GroupSelector
    transition: Transition
    heartbeat_timeout: timedelta
    default_result: Result
    notify: Channel
    metadata: str | None
    limits: Limits
    rules: tuple[Rule, ...]  # the last one has no `when`
    source: str = ""

    def policy_for(self, move: Move) -> Policy:
        """The policy of the first rule that fits."""
        return next(rule.use for rule in self.rules if rule.fits(move))

    def terms(self, group: str, heartbeat_timeout: timedelta) -> HookTerms:
        """Under which an action of `group` begins, with a timeout that may stand there."""
        return HookTerms(
            name=self.name,
            group=group,
            transition=self.transition,
            heartbeat_timeout=heartbeat_timeout,
            default_result=self.default_result,
            limits=self.limits,
            limited_with=str(self.group),
        )

    def if_launch_failed(self, move: Move) -> Policy | None:
        """The policy, had the launch of the instance failed; None where that changes nothing."""
        if move.transition is not Transition.TERMINATING:
            return None
        policy = self.policy_for(replace(move, after="launch_failed"))
        return None if policy == self.policy_for(move) else policy


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A whole hooks file, known to be sound."""

    policies: Mapping[str, Policy]
    hooks: tuple[Hook, ...]

    @cached_property
    def _by_name(self) -> dict[str, list[Hook]]:
        found: dict[str, list[Hook]] = {}
        for hook in self.hooks:
            found.setdefault(hook.name, []).append(hook)
        return found

    def hook(self, name: str, group: str, transition: Transition) -> Hook | None:
        """The hook of that name on that group for that transition, or None: not ours (promise 5).

        One that names the group goes before one by tags, which may be meant for other groups.
        """
        fitting = [
            hook
            for hook in self._by_name.get(name, [])
            if hook.transition is transition and hook.group.may_fit(group)
        ]
        return min(fitting, key=lambda hook: hook.group.glob is None, default=None)

    @property
    def leaves(self) -> tuple[Plain, ...]:
        """The conditions of all its policies."""
        return tuple(leaf for policy in self.policies.values() for leaf in policy.leaves)

    @property
    def group_names(self) -> frozenset[str] | None:
        """The names of all its groups; None where it has globs or tags."""
        globs = [hook.group.glob for hook in self.hooks]
        names = frozenset(glob for glob in globs if glob is not None and "*" not in glob)
        return names if all(glob in names for glob in globs) else None

    def names_group(self, group: str) -> bool:
        """Whether a hook names `group`, itself or by a glob. Tags are not known here."""
        return any(hook.group.glob is not None and hook.group.may_fit(group) for hook in self.hooks)

    def may_name_group(self, group: str) -> bool:
        """Whether a hook may stand on `group`, be it by tags."""
        return any(hook.group.may_fit(group) for hook in self.hooks)


def glob_fits(glob: str, text: str) -> bool:
    """Whether `text` fits `glob`, in which `*` is any run of characters and all else itself.

    The first place for each part is the best one, so no glob costs more than one pass.
    """
    if "*" not in glob:
        return glob == text
    first, *inner, last = glob.split("*")
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in inner:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def globs_meet(left: str, right: str) -> bool:
    """Whether some text fits both globs.

    Two globs with a `*` each meet where neither their beginnings nor their ends contradict each
    other: what one asks for in the middle, the other's `*` takes in.
    """
    if "*" not in left:
        return glob_fits(right, left)
    if "*" not in right:
        return glob_fits(left, right)
    starts = left[: left.index("*")], right[: right.index("*")]
    ends = left[left.rindex("*") + 1 :], right[right.rindex("*") + 1 :]
    return _agree(*starts, str.startswith) and _agree(*ends, str.endswith)


def fits_both(left: str, right: str) -> str:
    """A text that fits two globs that meet."""
    if "*" not in left or "*" not in right:
        return left if "*" not in left else right
    (left_start, *left_inner, left_end), (right_start, *right_inner, right_end) = (
        left.split("*"),
        right.split("*"),
    )
    inner = [part for part in (*left_inner, *right_inner) if part]
    return "".join((max(left_start, right_start, key=len), *inner, max(left_end, right_end, key=len)))


def _agree(one: str, other: str, holds: Callable[[str, str], bool]) -> bool:
    return holds(one, other) or holds(other, one)
