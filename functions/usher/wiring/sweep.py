"""The function `sweep`. Like `wake` it can ask no condition's question."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import boto3

from usher.aws.autoscaling import AutoScalingApi
from usher.aws.instances import InstancesApi
from usher.aws.queues import DeadLetterCounts
from usher.aws.telemetry import flushing
from usher.core.policy import Configuration
from usher.outage.heartbeat_news import HeartbeatNews
from usher.outage.live_holds import LiveHolds
from usher.passes.dead_letters import DeadLetterWatch
from usher.passes.reconcile import Reconcile
from usher.passes.silent_groups import SilentGroups
from usher.settings import EnrolmentSettings
from usher.sweep import Sweep
from usher.wiring import enrolling, machine
from usher.wiring.parts import parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.compiled import InEffect
    from usher.invocation import Handler, Pass
    from usher.wiring.parts import Parts

_NO_FILE: Final = Configuration(policies={}, hooks=())


def handler() -> Handler:
    """What runs each minute. Raises SettingsRefused."""
    made = parts()
    settings = EnrolmentSettings.from_environment(os.environ)
    instances = InstancesApi(boto3.client("ec2", config=machine.ONE_ATTEMPT))
    kept = DeadLetterCounts(made.sqs, made.settings.all_dead_letters_urls)
    letters = DeadLetterWatch(kept=kept, telemetry=made.telemetry, clock=machine.now)
    live_holds = _live_holds(made)  # whose memory outlasts a version of the file

    def make(of: InEffect) -> Handler:
        configuration = of.file.configuration
        passes: Sequence[Pass] = (
            _reconcile(made, configuration, instances),
            enrolling.enrolment(made, settings, of),
            SilentGroups(hooks=configuration.hooks, store=made.evaluator.store, telemetry=made.telemetry),
        )
        passes = passes if of.is_certain else ()
        return _sweep(made, (*passes, letters), replace(live_holds, configuration=configuration)).handle

    return flushing(made.by_file(make), made.metrics)


def _sweep(made: Parts, passes: Sequence[Pass], live_holds: LiveHolds) -> Sweep:
    evaluator = made.evaluator
    return Sweep(
        evaluate=evaluator.evaluate,
        store=made.records,
        wake_ups=evaluator.wake_ups,
        chains=evaluator.chains,
        call_budget=evaluator.call_budget,
        telemetry=made.telemetry,
        clock=machine.now,
        work=machine.several_at_once(),
        passes=passes,
        live_holds=live_holds,
    )


def _live_holds(made: Parts) -> LiveHolds:
    return LiveHolds(
        configuration=_NO_FILE,
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


def _reconcile(made: Parts, configuration: Configuration, instances: InstancesApi) -> Reconcile:
    return Reconcile(
        configuration=configuration,
        items=made.items(),
        live=made.waiting,
        instances=instances,
        auto_scaling=made.evaluator.auto_scaling,
        store=made.records,
        call_budget=made.evaluator.call_budget,
        wake_ups=made.evaluator.wake_ups,
        telemetry=made.telemetry,
        clock=machine.now,
        wait=time.sleep,
        new_id=machine.new_id,
    )
