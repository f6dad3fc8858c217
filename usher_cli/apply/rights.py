"""What the rights of an installed stack cover, by its parameters, and what a hooks file needs besides."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from usher.core.conditions.probe import Probe
from usher.core.policy import Channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from usher.core.conditions.probe import Permission
    from usher.core.policy import Configuration, Policy

LISTS: Final = {  # of resources that conditions may use, by what their ARNs have
    ":function:": "FunctionArns",
    ":document/": "DocumentArns",
    ":cluster/": "ClusterArns",
}


def _option(parameter: str) -> str:
    """Of `usher upgrade`, e.g. `--function-arn` for FunctionArns."""
    return f"--{parameter.removesuffix('Arns').lower()}-arn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rights:
    """What the stack's parameters say; a stack that has none of them tells nothing."""

    parameters: Mapping[str, str]
    inbox_arn: str  # tells partition, Region and account
    other_maker: str = ""  # who made the stack, if not `usher install`

    def lacking(self, configuration: Configuration) -> Iterator[str]:
        """What the file needs and the stack may not: a line each, with what to do."""
        if not self.parameters.keys().isdisjoint(LISTS.values()):
            yield from _never_granted(configuration)
        told: set[tuple[str, str]] = set()
        for policy in configuration.policies.values():
            needed = [arn for each in _permissions(policy) for arn in each.resources]
            for arn, parameter in self._listed(needed):
                if (arn, parameter) not in told and not self._covers(parameter, arn):
                    told.add((arn, parameter))
                    yield (
                        f"policy {policy.name} needs {arn}, which {parameter} of the stack does not have: "
                        f"{self._to_add(parameter)}, and then apply the file"
                    )

    def _to_add(self, parameter: str) -> str:
        if self.other_maker:
            return f"add it to {parameter} by what made the stack ({self.other_maker})"
        return f"run `usher upgrade` with {_option(parameter)} for it and for all that the stack has"

    def _listed(self, resources: Iterable[str]) -> Iterator[tuple[str, str]]:
        _, partition, _, region, account, _ = self.inbox_arn.split(":", 5)
        for resource in resources:
            arn = resource.format(partition=partition, region=region, account=account)
            for part, parameter in LISTS.items():
                if part in arn and parameter in self.parameters:
                    yield arn, parameter

    def _covers(self, parameter: str, arn: str) -> bool:
        listed = self.parameters[parameter].split(",")
        return any(fnmatchcase(arn, each.strip()) for each in listed if each.strip())


def _permissions(policy: Policy) -> list[Permission]:
    return [each for leaf in policy.leaves if isinstance(leaf, Probe) for each in leaf.permissions]


def _never_granted(configuration: Configuration) -> Iterator[str]:
    """What the installed template grants by no parameter."""
    for policy in configuration.policies.values():
        if any("ecs:ListClusters" in each.actions for each in _permissions(policy)):
            yield f"policy {policy.name}: an installed Usher may not list ECS clusters: give it a cluster"
    for hook in configuration.hooks:
        if hook.notify is Channel.LAMBDA:
            yield (
                f"hook {hook.name} on {hook.group}: Auto Scaling may not invoke an installed Usher: "
                "it takes no notify: lambda"
            )
