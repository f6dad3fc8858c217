"""Policies, guessed from what a group runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from usher.core.action import Transition
from usher.core.conditions.targets import MOST_GROUPS
from usher.core.field import ConfigurationRefused
from usher.core.policies import parse_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher_cli.init.groups import Group

_PATIENCE: Final = {Transition.LAUNCHING: "15m", Transition.TERMINATING: "1h"}

_OF_ECS: Final = (
    "the tags of the group show that it runs container instances of Amazon ECS. An installed Usher needs the "
    "right to its cluster in ClusterArns: `usher upgrade --cluster-arn ARN` after `usher install`"
)
_TO_SEND: Final = (
    "For that it needs the AWS CLI or an SDK, and in its instance profile the right events:PutEvents"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """A policy, a name for it, and why it is guessed."""

    name: str
    until: list[dict[str, Any]]
    because: str
    transition: Transition

    def policy(self, *, observed: bool) -> dict[str, Any]:
        """The policy as in the file. Whatever fails, an instance gets CONTINUE in the end."""
        policy = {"until": self.until, "give_up_after": _PATIENCE[self.transition], "on_give_up": "CONTINUE"}
        if self.transition is Transition.TERMINATING:
            policy["on_failure"] = "CONTINUE"
        return policy | ({"mode": "observe"} if observed else {})


def guess(group: Group, transition: Transition) -> Guess:
    """The first guess that the parser accepts: a tag can have any value."""
    guesses = _launching(group) if transition is Transition.LAUNCHING else _terminating(group)
    return next(each for each in guesses if _is_sound(each))


def _is_sound(guessed: Guess) -> bool:
    try:
        parse_policy(guessed.name, json.dumps(guessed.policy(observed=True)))
    except ConfigurationRefused:
        return False
    return True


def _launching(group: Group) -> Iterator[Guess]:
    yield from _of_ecs(group, "active", Transition.LAUNCHING)
    yield Guess(
        name="ready",
        until=[{"signal": "ready"}],
        because="nothing shows what the group runs: each new instance must send the signal `ready`. "
        + _TO_SEND,
        transition=Transition.LAUNCHING,
    )


def _terminating(group: Group) -> Iterator[Guess]:
    yield from _of_ecs(group, "drained", Transition.TERMINATING)
    if group.target_groups:
        most = "" if len(group.target_groups) <= MOST_GROUPS else f" (here the first {MOST_GROUPS})"
        yield Guess(
            name="targets-drained",
            until=[{"targets": {"groups": list(group.target_groups[:MOST_GROUPS]), "state": "drained"}}],
            because=f"target groups are attached to the group{most}. Auto Scaling deregisters an instance "
            "from them before the hook: use target groups in which something else registers it",
            transition=Transition.TERMINATING,
        )
    yield Guess(
        name="finished",
        until=[{"signal": "finished"}],
        because="nothing shows what the group runs: each instance must send the signal `finished`. "
        + _TO_SEND,
        transition=Transition.TERMINATING,
    )


def _of_ecs(group: Group, state: str, transition: Transition) -> Iterator[Guess]:
    """With the cluster that a tag names; without it where that cannot be a cluster's name."""
    if not group.is_of_ecs:
        return
    name, because = f"ecs-{state}", _OF_ECS
    if group.cluster is not None:
        until: list[dict[str, Any]] = [{"ecs": {"state": state, "cluster": group.cluster}}]
        yield Guess(name=name, until=until, because=because, transition=transition)
    yield Guess(name=name, until=[{"ecs": state}], because=because, transition=transition)
