"""The groups of an account with their hooks, as `usher init` reads them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from usher.aws.groups import GroupsApi, group_seen
from usher.core.globs import glob_fits
from usher.ports.errors import GroupGone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usher.core.action import Transition
    from usher.core.hook_items import GroupSeen, HookSeen

# A capacity provider adds it to its group (Amazon ECS API Reference, AutoScalingGroupProvider).
_ECS_MANAGED: Final = "AmazonECSManaged"
_NAMES_A_CLUSTER: Final = re.compile(r"ecs.*cluster", re.IGNORECASE)  # a tag that people choose
_OF_STACK: Final = "aws:cloudformation:stack-name"
_ARN: Final = re.compile(r"arn:[^:]*:autoscaling:(?P<region>[^:]*):(?P<account>[^:]*):")


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A group and its hooks, in the order of their names, with what shows what it runs."""

    seen: GroupSeen
    hooks: tuple[HookSeen, ...]
    target_groups: tuple[str, ...]  # ARNs

    @property
    def name(self) -> str:
        """The name."""
        return self.seen.name

    @property
    def account(self) -> str | None:
        """The account that it is in."""
        found = _ARN.match(self.seen.arn)
        return found["account"] if found else None

    @property
    def region(self) -> str | None:
        """The Region that it is in."""
        found = _ARN.match(self.seen.arn)
        return found["region"] if found else None

    @property
    def stack(self) -> str | None:
        """The CloudFormation stack that made it."""
        return dict(self.seen.tags).get(_OF_STACK)

    @property
    def is_of_ecs(self) -> bool:
        """Whether its tags show that it runs container instances of Amazon ECS."""
        return any(key == _ECS_MANAGED or _NAMES_A_CLUSTER.search(key) for key, _ in self.seen.tags)

    @property
    def cluster(self) -> str | None:
        """The ECS cluster, where a tag names it."""
        named = (value for key, value in self.seen.tags if _NAMES_A_CLUSTER.search(key))
        return next(filter(None, named), None)

    def hooks_of(self, transition: Transition) -> list[HookSeen]:
        """The hooks of a transition."""
        return [hook for hook in self.hooks if hook.settings.transition is transition]


def read(client: Any, glob: str, progress: Callable[[str], object]) -> Iterator[Group]:  # noqa: ANN401 - boto3's
    """The groups whose names match, in the order of their names; `progress` gets each name.

    One call for a hundred groups, and one for each group. A group that is deleted meanwhile is left out.
    Raises TryLater and CallRefused.
    """
    api = GroupsApi(client)
    described = [group for group in api.descriptions() if glob_fits(glob, group["AutoScalingGroupName"])]
    for group in sorted(described, key=lambda group: group["AutoScalingGroupName"]):
        seen = group_seen(group)
        progress(seen.name)
        with suppress(GroupGone):
            hooks = sorted(api.hooks_of(seen.name), key=lambda hook: hook.name)
            yield Group(
                seen=seen, hooks=tuple(hooks), target_groups=tuple(sorted(group.get("TargetGroupARNs", [])))
            )
