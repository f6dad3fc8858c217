"""The moves of an instance in which hooks run, and what each looks like to those outside.

aws-facts 2.8 and 2.9 have the states and places, 9.13 the descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Transition = Literal["launching", "terminating"]

# As the API and the messages name them.
TRANSITION_NAMES: Final[dict[Transition, str]] = {
    "launching": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminating": "autoscaling:EC2_INSTANCE_TERMINATING",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveKind:
    """One kind of move: `state` with `:Wait` and `:Proceed` behind it are its lifecycle states."""

    name: str
    transition: Transition
    state: str
    origin: str
    destination: str
    action: str
    description: str

    @property
    def is_launch(self) -> bool:
        """Whether launch hooks run in it."""
        return self.transition == "launching"


LAUNCH: Final = MoveKind(
    name="launch",
    transition="launching",
    state="Pending",
    origin="EC2",
    destination="AutoScalingGroup",
    action="Launch",
    description="Launching a new EC2 instance: {}",
)
LAUNCH_INTO_POOL: Final = MoveKind(
    name="launch into the warm pool",
    transition="launching",
    state="Warmed:Pending",
    origin="EC2",
    destination="WarmPool",
    action="Launch",
    description="Launching a new EC2 instance into warm pool: {}",
)
LAUNCH_FROM_POOL: Final = MoveKind(
    name="launch from the warm pool",
    transition="launching",
    state="Pending",
    origin="WarmPool",
    destination="AutoScalingGroup",
    action="Launch",
    description="Launching a new EC2 instance from warm pool: {}",
)
TERMINATE: Final = MoveKind(
    name="terminate",
    transition="terminating",
    state="Terminating",
    origin="AutoScalingGroup",
    destination="EC2",
    action="Terminate",
    description="Terminating EC2 instance: {}",
)
RETURN_TO_POOL: Final = MoveKind(
    name="return to the warm pool",
    transition="terminating",
    state="Warmed:Pending",
    origin="AutoScalingGroup",
    destination="WarmPool",
    action="Terminate",
    description="Scaling in EC2 instance into warm pool: {}",
)
TERMINATE_FROM_POOL: Final = MoveKind(
    name="terminate from the warm pool",
    transition="terminating",
    state="Warmed:Terminating",
    origin="WarmPool",
    destination="EC2",
    action="Terminate",
    description="Terminating EC2 instance from warm pool: {}",
)
REPLACE_ROOT_VOLUME: Final = MoveKind(
    name="replace the root volume",
    transition="terminating",
    state="ReplacingRootVolume",
    origin="AutoScalingGroup",
    destination="AutoScalingGroup",
    action="ReplaceRootVolume",
    description="Replacing root volume of EC2 instance: {}",
)
AFTER_ROOT_VOLUME: Final = MoveKind(
    name="come back with a new root volume",
    transition="launching",
    state="Pending",
    origin="AutoScalingGroup",
    destination="AutoScalingGroup",
    action="ReplaceRootVolume",
    description="Replacing root volume of EC2 instance: {}",
)
KINDS: Final = (
    LAUNCH,
    LAUNCH_INTO_POOL,
    LAUNCH_FROM_POOL,
    TERMINATE,
    RETURN_TO_POOL,
    TERMINATE_FROM_POOL,
    REPLACE_ROOT_VOLUME,
    AFTER_ROOT_VOLUME,
)
