"""An account of simulated Auto Scaling in one process: engine, operations, and a boto3 client to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from usher_simulator.autoscaling.client import auto_scaling_client
from usher_simulator.autoscaling.engine import Assumptions, Fleet
from usher_simulator.autoscaling.latencies import PROMPT
from usher_simulator.autoscaling.service import AutoScalingService
from usher_simulator.autoscaling.simulated_targets import SimulatedOutside
from usher_simulator.autoscaling.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_autoscaling import AutoScalingClient

    from usher_simulator.autoscaling.latencies import Latencies


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Everything that belongs together. The same seed gives the same account, to the last id."""

    clock: VirtualClock
    outside: SimulatedOutside
    fleet: Fleet
    service: AutoScalingService
    client: AutoScalingClient
    new_id: Callable[[], str]


def an_account(
    start: datetime, seed: int = 0, latencies: Latencies = PROMPT, assumptions: Assumptions | None = None
) -> Account:
    """A new, empty account on a virtual clock that stands at `start`."""
    random = Random(seed)  # noqa: S311 - a simulation's
    clock = VirtualClock(start)
    outside = SimulatedOutside(clock=clock, random=random)

    def new_id() -> str:
        return str(uuid.UUID(int=random.getrandbits(128), version=4))

    fleet = Fleet(
        clock=clock,
        outside=outside,
        latencies=latencies,
        new_id=new_id,
        new_instance_id=lambda: f"i-0{random.getrandbits(64):016x}",
        assumptions=assumptions or Assumptions(),
    )
    service = AutoScalingService(fleet)
    client = auto_scaling_client(service, new_id)
    return Account(clock=clock, outside=outside, fleet=fleet, service=service, client=client, new_id=new_id)
