"""An account of simulated Auto Scaling in one process: engine, operations, and a boto3 client to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from simulator.clock import VirtualClock
from simulator.fleet import Assumptions, Fleet
from simulator.latencies import PROMPT
from simulator.outside import SimulatedOutside
from simulator.service import AutoScalingService
from simulator.wire import auto_scaling_client

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_autoscaling import AutoScalingClient

    from simulator.latencies import Latencies


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Everything that belongs together. The same seed gives the same account, to the last id."""

    clock: VirtualClock
    outside: SimulatedOutside
    fleet: Fleet
    service: AutoScalingService
    client: AutoScalingClient


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
    return Account(clock=clock, outside=outside, fleet=fleet, service=service, client=client)
