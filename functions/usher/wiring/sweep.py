"""The function `sweep`. Like `wake` it can ask no condition's question."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import boto3

from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.instances import InstancesApi
from usher.aws.telemetry import flushing
from usher.outage.live_holds import LiveHolds
from usher.passes.reconcile import Reconcile
from usher.passes.silent_groups import SilentGroups
from usher.settings import EnrolmentSettings
from usher.wiring import enrolling, machine

if TYPE_CHECKING:
    from usher.wiring.machine import Parts


def handler() -> handlers.Handler:
    """What runs each minute. Raises SettingsRefused."""
    made = machine.parts()
    file = made.file()
    enrolment = enrolling.enrolment(made, EnrolmentSettings.from_environment(os.environ), file)
    hooks = file.configuration.hooks
    silence = SilentGroups(hooks=hooks, store=made.looks.store, telemetry=made.telemetry)
    work = machine.several_at_once()
    passes = (_reconcile(made), enrolment, silence)
    handler = handlers.sweep_handler(made.looks, *passes, work=work, without_table=_live_holds(made))
    return flushing(handler, made.metrics)


def _live_holds(made: Parts) -> LiveHolds:
    return LiveHolds(
        configuration=made.file().configuration,
        live=made.waiting,
        holds=AutoScalingApi(made.auto_scaling),
        wake_ups=made.looks.wake_ups,
        telemetry=made.telemetry,
        clock=machine.now,
        wait=time.sleep,
        new_id=machine.new_id,
        items=made.items(),
        calls_per_second=made.settings.calls_per_second,
    )


def _reconcile(made: Parts) -> Reconcile:
    return Reconcile(
        configuration=made.file().configuration,
        items=made.items(),
        live=made.waiting,
        instances=InstancesApi(boto3.client("ec2", config=machine.ONE_ATTEMPT)),
        auto_scaling=made.looks.auto_scaling,
        store=made.records,
        turns=made.looks.turns,
        wake_ups=made.looks.wake_ups,
        telemetry=made.telemetry,
        clock=machine.now,
        wait=time.sleep,
        new_id=machine.new_id,
    )
