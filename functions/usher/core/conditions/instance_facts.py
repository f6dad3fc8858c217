"""What EC2 tells of an instance once, for rules that choose a policy by it. No hooks file waits for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from usher.core import deadlines
from usher.core.conditions import answer
from usher.core.conditions.probe import Call, Found, Permission, Probe, ReplyKind, finding_of, not_answered
from usher.core.conditions.verdict import Verdict
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.probe import Reply
    from usher.core.field import Field
    from usher.core.finding import Memory


# By the field of `when`. None: the instance has no such tag. What is not in it is unknown.
Facts: TypeAlias = "Mapping[str, str | None]"

ZONE: Final = "availability_zone"
TYPE: Final = "instance_type"
TAG_KEY: Final = "tags."  # before it, where a rule asks for one tag
LONGEST: Final = timedelta(seconds=90)
_LEAST: Final = timedelta(seconds=10)


def is_fact(field: str) -> bool:
    """Whether a field of `when` asks what only EC2 tells."""
    return field in (ZONE, TYPE) or field.startswith(TAG_KEY)


@frozen
class InstanceFacts(Probe):
    """Never holds: once it is answered, or its time is over, a policy is chosen in its place.

    Its memory: the facts that were told, of those that the candidates ask for.
    """

    @classmethod
    def parse(cls, field: Field) -> NoReturn:
        """See Plain."""
        raise field.refuse("must be a condition of a hooks file")

    @property
    def name(self) -> str:
        """See Probe."""
        return "what EC2 tells of the instance"

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """Describing instances, which IAM cannot confine."""
        return (Permission(actions=("ec2:DescribeInstances",)),)

    @property
    def takes_two_answers(self) -> bool:
        """See Probe. What it asks for does not change."""
        return False

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:  # noqa: ARG002 - a Probe
        """The instance; asked for by id, EC2 refuses what is gone."""
        return Call(
            service="ec2",
            operation="DescribeInstances",
            parameters={"Filters": [{"Name": "instance-id", "Values": [action.instance_id]}]},
            all_pages=True,
        )

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:  # noqa: ARG002
        """What it shows of the instance; where it shows none, it is asked again until the time is over."""
        if reply.kind is not ReplyKind.ANSWERED:
            return not_answered(reply, memory, {})
        reservations = answer.members(reply.data, "Reservations")
        instances = [one for each in reservations for one in answer.members(each, "Instances")]
        shown = [one for one in instances if answer.text(one, "InstanceId") == action.instance_id]
        if not shown:
            return Found.unknown("EC2 does not show the instance", memory)
        asked = {field for rule in action.policy.candidates for field in rule.facts}
        return told(facts_of(shown[0]), asked)

    def verdict(self, action: Action, now: datetime) -> Verdict:  # noqa: ARG002 - a Condition
        """See Condition."""
        found = finding_of(self, action)
        said = "not asked yet" if found is None else found.detail
        return Verdict(
            status=ConditionStatus.UNKNOWN, detail=f"{self.name}: {said}", evaluate_at=choose_by(action)
        )


def facts_of(described: object) -> dict[str, str]:
    """What DescribeInstances shows of one instance."""
    pairs = (
        (answer.text(tag, "Key"), answer.member(tag, "Value")) for tag in answer.members(described, "Tags")
    )
    facts = {f"{TAG_KEY}{key}": value for key, value in pairs if isinstance(value, str)}
    for field, path in ((ZONE, ("Placement", "AvailabilityZone")), (TYPE, ("InstanceType",))):
        if said := answer.text(described, *path):
            facts[field] = said
    return facts


def told(facts: Facts, asked: set[str]) -> Found:
    """The finding of what is asked for: a tag that the instance does not have is known not to be there."""
    known = {
        field: facts.get(field) for field in sorted(asked) if field in facts or field.startswith(TAG_KEY)
    }
    return Found.holds(in_words(known), memory=known)


def in_words(facts: Facts) -> str:
    """What is known of the instance."""
    return ", ".join(f"{field} {'none' if value is None else value}" for field, value in facts.items())


def choose_by(action: Action) -> datetime:
    """When the choice is made without what is not known by then.

    Well before the shortest patience of a candidate ends; where that is almost over at the first sight of
    the action, EC2 has some seconds for its answer nevertheless.
    """
    patience = min(
        deadlines.patience(action.hook.heartbeat_timeout, policy.give_up_after)
        for policy in action.policy.possible
    )
    first = action.first_seen_at
    timely = max(first + _LEAST, action.started_at + patience / 2)
    return min(first + LONGEST, timely, action.give_up_at)
