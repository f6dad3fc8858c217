"""The enrolment, which the functions `sweep` and `provision` share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from usher.aws.groups import GroupsApi
from usher.core.wanted_hooks import Wanted
from usher.passes.enrolment import Enrolment
from usher.wiring import machine

if TYPE_CHECKING:
    from usher.core.compiled import InEffect
    from usher.settings import EnrolmentSettings
    from usher.wiring.parts import Parts


def enrolment(made: Parts, settings: EnrolmentSettings, of: InEffect) -> Enrolment:
    """The enrolment for a hooks file."""
    return Enrolment(
        wanted=Wanted(
            hooks=of.file.configuration.hooks,
            targets=settings.targets,
            own_groups=frozenset(of.file.own_groups),
        ),
        file=of.in_force,
        groups=GroupsApi(made.auto_scaling),
        live=made.waiting,
        records=made.items(settings.per_hour, of.file.digest),
        open_actions=made.records,
        call_budget=made.evaluator.call_budget,
        telemetry=made.telemetry,
        clock=machine.now,
        wait=time.sleep,
    )
