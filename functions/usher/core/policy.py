"""What an instance waits for, and which hooks of which groups are Usher's."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from usher.core.action import HookTerms, Result, Transition
from usher.core.conditions.instance_facts import TAG_KEY, InstanceFacts, is_fact
from usher.core.frozen import frozen
from usher.core.globs import glob_fits, globs_meet
from usher.core.metadata import value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from usher.core.conditions.instance_facts import Facts
    from usher.core.conditions.verdict import Condition, Plain
    from usher.core.limits import Limits


METADATA_KEY: Final = "metadata."  # before it, where a rule asks for one key of the metadata
UNDECIDED: Final = "not chosen yet"  # in place of a policy's name, none of which has a space
_AFTER: Final = ("after", "launch_failed")


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

    `source` is the policy as the configuration has it (JSON), which is what a record keeps. One with
    `candidates` only holds the instance, until it is known which of these rules is for it (ADR 32).
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
    candidates: tuple[Rule, ...] = ()

    @property
    def takes_turns(self) -> bool:
        """Whether the `at_once` of its hook counts: to observe, or to wait for nothing, needs no turn."""
        return self.mode is Mode.ENFORCE and bool(self.until) and not self.candidates

    @property
    def possible(self) -> tuple[Policy, ...]:
        """Itself, or those of which one will be chosen."""
        return tuple(rule.use for rule in self.candidates) or (self,)

    @property
    def may_observe(self) -> bool:
        """Whether it, or a policy that may be chosen in its place, sends nothing."""
        return any(each.mode is Mode.OBSERVE for each in self.possible)

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

    def left_of(self, move: Move) -> Rule | None:
        """This rule with what is left to be known of `move`; None where it is not for it.

        What EC2 tells of the instance is not known yet, nor may be that its launch failed.
        """
        left = []
        for field, wanted in self.when:
            may_fail = field == "after" and move.after is None and move.transition is Transition.TERMINATING
            if is_fact(field) or may_fail:
                left.append((field, wanted))
            elif not self._fits(field, wanted, move):
                return None
        return replace(self, when=tuple(left))

    @staticmethod
    def _fits(field: str, wanted: str, move: Move) -> bool:
        if field == "group":
            return glob_fits(wanted, move.group)
        if field.startswith(METADATA_KEY):
            return value_of(move.metadata, field.removeprefix(METADATA_KEY)) == wanted
        if field == "after" and move.transition is Transition.LAUNCHING:
            return False  # the notice of a second launch hook may come when the first has abandoned it
        return bool(getattr(move, field) == wanted)

    def chosen_by(self, facts: Facts, *, launch_failed: bool) -> bool:
        """Whether what was left of it is so, by what EC2 told; what is not among the facts is not so."""
        return all(
            launch_failed if (field, wanted) == _AFTER else facts_fit(field, wanted, facts)
            for field, wanted in self.when
        )

    @property
    def facts(self) -> tuple[str, ...]:
        """What it asks of the instance."""
        return tuple(field for field, _ in self.when if is_fact(field))


def candidates(rules: Iterable[Rule], move: Move) -> tuple[Rule, ...]:
    """The rules that may be for `move`, up to the first that is for certain."""
    found: list[Rule] = []
    for rule in rules:
        left = rule.left_of(move)
        if left is not None:
            found.append(left)
            if not left.when:
                break
    return tuple(found)


def _only_one(left: Iterable[Rule], *, launch_failed: bool) -> Policy | None:
    """The policy that is chosen whatever EC2 tells of the instance; None where that counts."""
    found: dict[str, Policy] = {}
    for rule in left:
        facts = tuple(pair for pair in rule.when if pair != _AFTER)
        if launch_failed or facts == rule.when:
            found[rule.use.name] = rule.use
            if not facts:
                break
    return next(iter(found.values())) if len(found) == 1 else None


def undecided(left: tuple[Rule, ...]) -> Policy:
    """What holds an instance until it is known which of these rules is for it. The last one fits any."""
    enforces = any(rule.use.mode is Mode.ENFORCE for rule in left)
    return Policy(
        name=UNDECIDED,
        source=left[-1].use.source,
        until=(InstanceFacts(),),
        give_up_after=None,
        on_success=Result.CONTINUE,
        on_failure=Result.CONTINUE,
        on_give_up=None,
        stalled_after=None,
        when_stopped=WhenStopped.WAIT,
        mode=Mode.ENFORCE if enforces else Mode.OBSERVE,
        candidates=left,
    )


def facts_fit(field: str, wanted: str, facts: Facts) -> bool:
    """Whether the instance is as a rule asks; the zone and the type may be asked for by globs."""
    told = facts.get(field)
    if told is None:
        return False
    return told == wanted if field.startswith(TAG_KEY) else glob_fits(wanted, told)


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


@frozen
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
        """The policy of the first rule that fits; an undecided one where EC2 has to tell which that is."""
        left = candidates(self.rules, move)
        policy, if_failed = (_only_one(left, launch_failed=failed) for failed in (False, True))
        return undecided(left) if policy is None or if_failed is None else policy

    @property
    def asks(self) -> bool:
        """Whether its rules go by what EC2 tells of the instance."""
        return any(rule.facts for rule in self.rules)

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
        return None if policy == self.policy_for(move) or self.policy_for(move).candidates else policy


@frozen
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
        """The conditions of all its policies, and the question that its rules ask."""
        of_policies = tuple(leaf for policy in self.policies.values() for leaf in policy.leaves)
        return (*of_policies, InstanceFacts()) if any(hook.asks for hook in self.hooks) else of_policies

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
