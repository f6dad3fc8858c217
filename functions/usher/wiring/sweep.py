"""The function `sweep`. Like `wake` it can ask no condition's question."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import boto3

from usher.aws.autoscaling import AutoScalingApi
from usher.aws.instances import InstancesApi
from usher.aws.telemetry import flushing
from usher.outage.heartbeat_news import HeartbeatNews
from usher.outage.live_holds import LiveHolds
from usher.passes.reconcile import Reconcile
from usher.passes.silent_groups import SilentGroups
from usher.settings import EnrolmentSettings
from usher.sweep import Sweep
from usher.wiring import enrolling, machine

if TYPE_CHECKING:
    from usher.invocation import Handler
    from usher.wiring.machine import Parts


def handler() -> Handler:
    """What runs each minute. Raises SettingsRefused."""
    made = machine.parts()
    file = made.file()
    enrolment = enrolling.enrolment(made, EnrolmentSettings.from_environment(os.environ), file)
    hooks = file.configuration.hooks
    silence = SilentGroups(hooks=hooks, store=made.evaluator.store, telemetry=made.telemetry)
    evaluator = made.evaluator
    sweep = Sweep(
        evaluate=evaluator.evaluate,
        store=made.records,
        wake_ups=evaluator.wake_ups,
        chains=evaluator.chains,
        call_budget=evaluator.call_budget,
        telemetry=made.telemetry,
        clock=machine.now,
        work=machine.several_at_once(),
        passes=(_reconcile(made), enrolment, silence),
        live_holds=_live_holds(made),
    )
    return flushing(sweep.handle, made.metrics)


def _live_holds(made: Parts) -> LiveHolds:
    return LiveHolds(
        configuration=made.file().configuration,
        live=made.waiting,
        holds=AutoScalingApi(made.auto_scaling),
        news=HeartbeatNews(
            wake_ups=made.evaluator.wake_ups,
            telemetry=made.telemetry,
            clock=machine.now,
            new_id=machine.new_id,
        ),
        telemetry=made.telemetry,
        clock=machine.now,
        wait=time.sleep,
        items=made.items(),
        calls_per_second=made.settings.calls_per_second,
    )


def _reconcile(made: Parts) -> Reconcile:
    return Reconcile(
        configuration=made.file().configuration,
        items=made.items(),
        live=made.waiting,
        instances=InstancesApi(boto3.client("ec2", config=machine.ONE_ATTEMPT)),
        auto_scaling=made.evaluator.auto_scaling,
        store=made.records,
        call_budget=made.evaluator.call_budget,
        wake_ups=made.evaluator.wake_ups,
        telemetry=made.telemetry,
        clock=machine.now,
        wait=time.sleep,
        new_id=machine.new_id,
    )
