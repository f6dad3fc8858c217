"""The terms of a lifecycle action: what the hooks files that were in force when it was recorded say of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import TYPE_CHECKING, Any

from usher_simulator.trials.condition_truths import facts_of
from usher_simulator.trials.policy_model import seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.policy_model import Written

    Tags = Collection[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """What a rule may ask besides the move. `facts`: of its instance; None: nobody could tell them."""

    launch_failed: bool
    metadata: str | None
    facts: Written | None


@dataclass(frozen=True, kw_only=True, slots=True)
class InForce:
    """A hooks file, as it is written, and since when it was deployed."""

    since: datetime
    file: Written

    def hooks_on(self, group: str, name: str, tags: Tags = ()) -> list[Written]:
        """The hooks of that name on a group. `tags` are all that the group ever had."""
        return [each for each in self.file["hooks"] if each["name"] == name and selects(each, group, tags)]

    def names(self, group: str, tags: Tags = ()) -> bool:
        """Whether any hook is for that group."""
        return any(selects(each, group, tags) for each in self.file["hooks"])

    def policies_of(self, hook: Written) -> list[Written]:
        """Every policy that a hook may use."""
        rules = hook["policy"]
        names = [rule["use"] for rule in rules] if isinstance(rules, list) else [rules]
        return [self.file["policies"][name] for name in names]

    def chosen(self, hook: Written, wait: Wait, case: Circumstances) -> Written:
        """The policy of the first rule that fits a lifecycle action in a case."""
        rules = hook["policy"]
        if not isinstance(rules, list):
            policy: Written = self.file["policies"][rules]
            return policy
        move: dict[str, Any] = {
            "origin": wait.origin,
            "destination": wait.destination,
            "transition": wait.transition,
            "after": "launch_failed" if case.launch_failed else None,
            "metadata": case.metadata,
            **(case.facts or {}),
        }
        fitting = (rule for rule in rules if _fits(rule.get("when", {}), wait.group, move))
        first: Written = self.file["policies"][next(fitting)["use"]]
        return first


def _fits(when: Mapping[str, Any], group: str, move: Mapping[str, Any]) -> bool:
    return all(_is_so(field, wanted, {**move, "group": group}) for field, wanted in when.items())


def _is_so(field: str, wanted: Any, move: Mapping[str, Any]) -> bool:  # noqa: ANN401 - as YAML brings it
    """Whether one field of a `when` fits. What is not known of the instance fits nothing."""
    told = move.get(field)
    match field:
        case "group" | "availability_zone" | "instance_type":
            return told is not None and fnmatchcase(told, wanted)
        case "tags":
            return told is not None and wanted.items() <= told.items()
        case _:
            return told == wanted or (isinstance(wanted, dict) and _has_keys(told, wanted))


def _has_keys(metadata: str | None, wanted: Mapping[str, str]) -> bool:
    """Of metadata as they are drawn: an object of texts, or no JSON."""
    if metadata is None or not metadata.startswith("{"):
        return False
    told: dict[str, str] = json.loads(metadata)
    return wanted.items() <= told.items()


def selects(hook: Written, group: str, tags: Tags) -> bool:
    """Whether a hook of a hooks file is for a group."""
    wanted = hook["group"]
    if isinstance(wanted, str):
        return fnmatchcase(group, wanted)
    return set(wanted["tags"].items()) <= set(tags)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What may count for an action: of several files, at a deploy, each may have been the one.

    `gone_since`: when the first file was deployed that does not have its hook any more. `metadata`: what may
    stand on its hook, which is changed after the file is.
    """

    hooks: Sequence[tuple[InForce, Written]]
    timeouts: frozenset[timedelta]
    gone_since: datetime | None
    metadata: frozenset[str | None]

    def policies(self, wait: Wait, *, launch_failed: bool, facts_known: bool) -> list[Written]:
        """The policies under which it may be. That its launch failed may have become known too late."""
        facts = facts_of(wait.instance_id)
        cases = product({False, launch_failed}, self.metadata, [facts] if facts_known else [facts, None])
        found = [
            file.chosen(hook, wait, Circumstances(launch_failed=failed, metadata=metadata, facts=known))
            for failed, metadata, known in cases
            for file, hook in self.hooks
        ]
        apart = {id(each): each for each in found}.values()  # mostly one, many times
        return list({json.dumps(each, sort_keys=True): each for each in apart}.values())

    @property
    def is_observed(self) -> bool:
        """Whether it may be under a policy that only observes."""
        return any(
            policy.get("mode") == "observe" for file, hook in self.hooks for policy in file.policies_of(hook)
        )

    @property
    def defaults(self) -> set[str]:
        """The default results of its hook: another one may stand than the file has by then."""
        return {hook.get("default_result", "ABANDON") for _, hook in self.hooks}

    @property
    def limits(self) -> list[Mapping[str, Any]]:
        """The limits of its hook; one without any is an empty one."""
        return [hook.get("limits", {}) for _, hook in self.hooks]

    @property
    def selected(self) -> str:
        """The groups that its hook selects: results of a former selection do not count with its own."""
        return str(sorted({str(hook["group"]) for _, hook in self.hooks}))


def terms(deployed: Sequence[InForce], in_force: Sequence[InForce], wait: Wait, tags: Tags) -> Terms:
    """Of an action that is recorded while the files of `in_force` may count, of all `deployed` so far."""
    hooks = list(_on(in_force, wait, tags))
    gone_since = None
    if not hooks or len({id(file) for file, _ in hooks}) < len(in_force):
        gone_since = min(file.since for file in in_force if not _has(file, wait, tags))
    if not hooks:  # on its way out: the last file that had it counts
        had = [file for file in deployed if _has(file, wait, tags)]
        hooks = list(_on(had[-1:], wait, tags))
        last = deployed.index(had[-1]) if had else 0
        gone_since = next((file.since for file in deployed[last + 1 :]), None)
    timeouts = {seconds(hook.get("heartbeat_timeout", "1h")) for _, hook in _on(deployed, wait, tags)}
    return Terms(
        hooks=hooks,
        timeouts=frozenset({*timeouts, wait.heartbeat_timeout}),
        gone_since=gone_since,
        metadata=frozenset(hook.get("metadata") for _, hook in _on(deployed, wait, tags)),
    )


def _on(files: Iterable[InForce], wait: Wait, tags: Tags) -> Iterable[tuple[InForce, Written]]:
    for file in files:
        for hook in file.hooks_on(wait.group, wait.hook, tags):
            if hook["transition"] == wait.transition:
                yield file, hook


def _has(file: InForce, wait: Wait, tags: Tags) -> bool:
    return any(_on([file], wait, tags))
