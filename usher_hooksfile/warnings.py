"""The warnings of `usher check`: what a valid hooks file allows, and probably does not intend."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from usher.core import deadlines, duration
from usher.core.action import Transition
from usher.core.conditions.combined import AnyOf, Not
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.probe import Probe
from usher.core.globs import globs_meet
from usher.core.metadata import value_of
from usher.core.policy import METADATA_KEY
from usher.core.wait_moves import WAIT_MOVES
from usher_hooksfile.foreign_hooks import service_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from usher.core.conditions.verdict import Condition
    from usher.core.field import Path as FieldPath
    from usher.core.policy import Configuration, Hook, Policy, Rule


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """Something that is allowed, and probably not intended."""

    path: FieldPath
    text: str


def warnings(found: Configuration) -> list[Warned]:
    """Everything in a valid configuration that is allowed, and probably not intended."""
    each_policy = [warned for policy in found.policies.values() for warned in _of_policy(policy)]
    each_hook = [warned for index, hook in enumerate(found.hooks) for warned in _of_hook(hook, index)]
    pairs = [warned for pair in _pairs_by_tags(found.hooks) for warned in _of_pair(*pair)]
    return [*_of_unused(found), *each_policy, *each_hook, *pairs]


def _of_unused(found: Configuration) -> Iterator[Warned]:
    used = {rule.use.name for hook in found.hooks for rule in hook.rules}
    for name in found.policies:
        if name not in used:
            yield Warned(path=("policies", name), text=f"no hook uses the policy {name}")
    if not found.hooks:
        yield Warned(path=("hooks",), text="there is no hook, so Usher holds nothing")


def _of_policy(policy: Policy) -> Iterator[Warned]:
    """What it has twice, also inside of combinations."""
    known: list[Condition] = []
    for index, condition in enumerate(policy.until):
        for leaf in condition.leaves():
            if leaf in known:
                once = ", and starts it once" if leaf.starts else ""
                text = f"{policy.name} already has {leaf.in_words}{once}"
                yield Warned(path=("policies", policy.name, "until", index), text=text)
            known.append(leaf)


def _of_hook(hook: Hook, index: int) -> Iterator[Warned]:
    path = ("hooks", index)
    service = service_of(hook.name)
    if service is not None:
        text = f"{service} uses hooks named {hook.name}: give yours another name"
        yield Warned(path=(*path, "name"), text=text)
    if hook.group.glob is not None:
        yield from _of_wildcards(hook.group.glob, (*path, "group"))
    yield from _of_each_policy(hook, index)
    for number, rule in enumerate(hook.rules):
        yield from _of_rule(hook, rule, (*path, "policy", number, "when"))


def _of_wildcards(glob: str, path: FieldPath) -> Iterator[Warned]:
    plain = " and ".join(sign for sign in "?[" if sign in glob)
    if plain:
        yield Warned(
            path=path, text=f"in {glob} only * is a wildcard: {plain} must be part of the group's name"
        )


def _of_rule(hook: Hook, rule: Rule, path: FieldPath) -> Iterator[Warned]:
    when = dict(rule.when)
    for why in _unfitting(hook, when):
        yield Warned(path=path, text=f"a rule of {hook.name} never matches: {why}")
    if "group" in when:
        yield from _of_wildcards(when["group"], (*path, "group"))


def _unfitting(hook: Hook, when: Mapping[str, str]) -> Iterator[str]:
    transition, group, glob = hook.transition, when.get("group"), hook.group.glob
    if when.get("transition", transition) != transition:
        yield f"the hook holds {transition} instances"
    if group is not None and glob is not None and not globs_meet(glob, group):
        yield f"no group matches both {glob} and {group}"
    if "after" in when and transition is Transition.LAUNCHING:
        yield "after: launch_failed applies to terminating instances only"
    if hook.metadata is not None:
        yield from _other_metadata(hook.metadata, when)
    places = {field: when[field] for field in ("origin", "destination") if field in when}
    moves = [move for move in WAIT_MOVES if move.transition is transition]
    if not any(all(getattr(move, field) == place for field, place in places.items()) for move in moves):
        asked = " and ".join(f"{field} {place}" for field, place in places.items())
        yield f"no {transition} instance has {asked}"


def _other_metadata(metadata: str, when: Mapping[str, str]) -> Iterator[str]:
    if when.get("metadata", metadata) != metadata:
        yield "the hook has other metadata"
    for field, wanted in when.items():
        key = field.removeprefix(METADATA_KEY)
        if key != field and value_of(metadata, key) != wanted:
            yield f"the metadata of the hook has no {wanted} at the key {key}"


def _of_each_policy(hook: Hook, index: int) -> Iterator[Warned]:
    """Of each policy once, however many of the hook's rules use it."""
    for policy in {rule.use.name: rule.use for rule in hook.rules}.values():
        wrong_way = _of_launches(policy) if hook.transition is Transition.TERMINATING else ()
        for text in (*_hopeless(hook, policy), *wrong_way):
            yield Warned(path=("hooks", index, "policy"), text=f"{hook.name} with {policy.name}: {text}")


def _hopeless(hook: Hook, policy: Policy) -> Iterator[str]:
    patience = deadlines.patience(hook.heartbeat_timeout, policy.give_up_after)
    gives_up = f"gives up after {duration.written(patience)}"
    for leaf in _needed(policy):
        if isinstance(leaf, Elapsed) and leaf.after > patience:
            yield f"elapsed {duration.written(leaf.after)} never holds, since it {gives_up}"
    for leaf in dict.fromkeys(policy.leaves):
        if isinstance(leaf, Probe):
            yield from _of_probe(leaf, hook.transition, patience)
    if policy.until and policy.stalled_after is not None and policy.stalled_after >= patience:
        yield f"stalled_after {duration.written(policy.stalled_after)} never applies, since it {gives_up}"


def _needed(policy: Policy) -> list[Condition]:
    """The conditions without which the policy never succeeds."""
    whole = (condition for condition in policy.until if not isinstance(condition, AnyOf | Not))
    return [leaf for condition in whole for leaf in condition.leaves()]


def _of_probe(probe: Probe, transition: Transition, patience: timedelta) -> Iterator[str]:
    if probe.asked_every >= patience:
        every = duration.written(probe.asked_every)
        yield (
            f"{probe.name} may be asked only once (every {every}), because it gives up after "
            f"{duration.written(patience)}"
        )
    yield from probe.doubts(transition, patience)


def _of_launches(policy: Policy) -> Iterator[str]:
    """What is for launches, on a termination. The other way round the parser refuses it."""
    turned_round = [leaf for one in policy.until if isinstance(one, Not) for leaf in one.leaves()]
    for leaf in dict.fromkeys(policy.leaves):
        if leaf.transition is Transition.LAUNCHING and leaf not in turned_round:
            yield f"waits for {leaf.in_words} although the instance is terminating"


def _pairs_by_tags(hooks: Sequence[Hook]) -> Iterator[tuple[tuple[int, Hook], tuple[int, Hook]]]:
    """Of hooks of one name, of which one at least goes by tags: two others of one group are refused."""
    of_name: dict[str, list[tuple[int, Hook]]] = defaultdict(list)
    for index, hook in enumerate(hooks):
        of_name[hook.name].append((index, hook))
    for numbered in of_name.values():
        for pair in combinations(numbered, 2) if any(_by_tags(hook) for _, hook in numbered) else ():
            if any(_by_tags(hook) for _, hook in pair):
                yield pair


def _by_tags(hook: Hook) -> bool:
    return hook.group.glob is None


def _of_pair(one: tuple[int, Hook], other: tuple[int, Hook]) -> Iterator[Warned]:
    (_, first), (index, second) = one, other
    if not first.group.may_share(second.group):
        return
    if first.transition is second.transition and first.name == second.name:
        yield Warned(path=("hooks", index, "name"), text=_of_one_name(first, second))


def _of_one_name(first: Hook, second: Hook) -> str:
    """One of them goes by tags at least: two that do not are refused."""
    return (
        f"hook {second.name} is defined for {first.group} and for {second.group}: a group that matches both "
        f"gets neither"
    )
