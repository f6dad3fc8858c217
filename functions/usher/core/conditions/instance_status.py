"""`instance_status: ok` holds once EC2's system check and instance check are both ok."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.action import Transition
from usher.core.conditions.answer import members, text
from usher.core.conditions.probe import Call, Found, Permission, Probe, ReplyKind, Shared, not_answered, worst
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.shape import Constant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.probe import Reply
    from usher.core.field import Field
    from usher.core.finding import Memory

_EVERY: Final = timedelta(seconds=30)  # EC2 makes its checks once a minute
_MOST: Final = 100  # InstanceIds of one call

# What the instance's state says already; None: its checks decide. A state that is not here is unknown.
STATES: Final[Mapping[str, ConditionStatus | None]] = {
    "pending": ConditionStatus.PENDING,
    "running": None,
    "stopping": ConditionStatus.PENDING,  # it may be started again, out of a warm pool
    "stopped": ConditionStatus.PENDING,
    "shutting-down": ConditionStatus.FAILED,
    "terminated": ConditionStatus.FAILED,
}

# What one check of a running instance says. A status that is not here is unknown.
CHECKS: Final[Mapping[str, ConditionStatus]] = {
    "ok": ConditionStatus.HOLDS,
    "initializing": ConditionStatus.PENDING,
    "impaired": ConditionStatus.PENDING,  # it may recover
    "insufficient-data": ConditionStatus.UNKNOWN,
    "not-applicable": ConditionStatus.UNKNOWN,
}


_OK: Final = Constant("ok")


@frozen
class InstanceStatus(Probe):
    """Holds while both checks are ok; fails where the instance ends."""

    shape = _OK

    @classmethod
    def parse(cls, field: Field) -> InstanceStatus:
        """From `ok`, the only status that is waited for."""
        _OK.read(field)
        return cls()

    @property
    def name(self) -> str:
        """See Probe."""
        return "instance_status ok"

    @property
    def transition(self) -> Transition:
        """See Plain."""
        return Transition.LAUNCHING

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """Describing the status of instances, which IAM cannot confine."""
        return (Permission(actions=("ec2:DescribeInstanceStatus",)),)

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:  # noqa: ARG002 - a Probe
        """The status of all instances that wait for it, a hundred at once."""
        return Call(
            service="ec2",
            operation="DescribeInstanceStatus",
            all_pages=True,
            parameters={"IncludeAllInstances": True},  # else only those that run
            shared=Shared(
                member=action.instance_id,
                reduced=_by_instance,
                every=_EVERY,
                members_in="InstanceIds",
                most=_MOST,
            ),
        )

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:  # noqa: ARG002
        """The state first, then the two checks."""
        if reply.kind is not ReplyKind.ANSWERED:
            return not_answered(reply, memory, {})
        status, detail = _read(reply.data)
        return Found(status=status, detail=detail, ask_again_after=_EVERY, memory=memory)


def _read(described: object) -> tuple[ConditionStatus, str]:
    if described is None:
        return ConditionStatus.UNKNOWN, "EC2 does not show the instance"
    state = text(described, "state")
    status = STATES.get(state, ConditionStatus.UNKNOWN)
    if status is not None:
        return status, f"the instance is {state or 'in no state'}"
    checks = {check: text(described, check) for check in ("system", "instance")}
    detail = ", ".join(f"{check} check {result or 'missing'}" for check, result in checks.items())
    return worst(CHECKS.get(result, ConditionStatus.UNKNOWN) for result in checks.values()), detail


def _by_instance(answer: object) -> dict[str, Any]:
    """Of each instance its state and its two checks."""
    return {
        text(status, "InstanceId"): {
            "state": text(status, "InstanceState", "Name"),
            "system": text(status, "SystemStatus", "Status"),
            "instance": text(status, "InstanceStatus", "Status"),
        }
        for status in members(answer, "InstanceStatuses")
    }
