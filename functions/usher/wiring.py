"""The one place that asks the machine: clients, clock, ids and environment, put together for Lambda."""

from __future__ import annotations

import json
import os
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config

from usher import handlers
from usher.aws.announcing import EventBus, announce_handler
from usher.aws.answers import Answers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.budget import CallBudget
from usher.aws.calls import AwsCalls
from usher.aws.enrolled import EnrolledHooks
from usher.aws.groups import GroupsApi
from usher.aws.queues import DeadLetterQueue, WakeUpQueue
from usher.aws.records import Records
from usher.aws.result_limits import SentResults
from usher.aws.telemetry import NAMESPACE, PowertoolsTelemetry, flushing
from usher.aws.waiting import WaitingApi
from usher.core import configuration
from usher.core.enrolment import Wanted
from usher.enrolment import Enrolment
from usher.hook_timeouts import HookTimeouts
from usher.intake import Intake
from usher.looks import Looks
from usher.probing import Prober
from usher.reconcile import Reconcile
from usher.release import Release
from usher.same_wait import SameWait
from usher.settings import EnrolmentSettings, Settings
from usher.silence import Silence
from usher.turns import Turns

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.policy import Configuration

_AT_ONCE: Final = 8  # looks of a sweep: a call takes up to 0.6 s (aws-facts 9.4), and ten fit into a second
_ONE_ATTEMPT: Final = Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 1})
_FEW_ATTEMPTS: Final = Config(
    connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 3, "mode": "standard"}
)


def now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What the functions are made of."""

    settings: Settings
    records: Records
    looks: Looks
    dead_letters: DeadLetterQueue
    auto_scaling: AutoScalingClient
    waiting: WaitingApi
    dynamodb: DynamoDBClient
    telemetry: PowertoolsTelemetry
    metrics: Metrics

    def configuration(self) -> Configuration:
        """The hooks file, as it was compiled at synth."""
        return configuration.parse(json.loads(self.settings.hooks.read_text(encoding="utf-8")))


@cache
def parts() -> Parts:
    """The parts, from this machine's environment. Raises SettingsRefused."""
    settings = Settings.from_environment(os.environ)
    sqs = boto3.client("sqs", config=_FEW_ATTEMPTS)
    dynamodb: DynamoDBClient = boto3.client("dynamodb", config=_FEW_ATTEMPTS)
    auto_scaling: AutoScalingClient = boto3.client("autoscaling", config=_ONE_ATTEMPT)
    metrics = Metrics(namespace=NAMESPACE)
    telemetry = PowertoolsTelemetry(Logger(service="usher"), metrics)
    budget = CallBudget(dynamodb, settings.table, settings.calls_per_second)
    waiting = WaitingApi(auto_scaling, AwsCalls())
    records = Records(dynamodb, settings.table, now)
    looks = Looks(
        store=records,
        auto_scaling=SameWait(
            calls=AutoScalingApi(auto_scaling), activities=waiting, budget=budget, clock=now
        ),
        budget=budget,
        limits=SentResults(dynamodb, settings.table),
        probing=Prober(calls=AwsCalls(), answers=Answers(dynamodb, settings.table), clock=now),
        wake_ups=WakeUpQueue(sqs, settings.wake_ups_url),
        telemetry=telemetry,
        clock=now,
        new_id=new_id,
        hook_timeouts=HookTimeouts(
            live=waiting,
            store=records,
            turns=Turns(budget=budget, telemetry=telemetry),
            telemetry=telemetry,
            clock=now,
        ),
    )
    return Parts(
        settings=settings,
        records=records,
        looks=looks,
        dead_letters=DeadLetterQueue(sqs, settings.dead_letters_url),
        auto_scaling=auto_scaling,
        waiting=waiting,
        dynamodb=dynamodb,
        telemetry=telemetry,
        metrics=metrics,
    )


def intake() -> handlers.Handler:
    """The handler of the function `intake`."""
    made = parts()
    taking = Intake(
        configuration=made.configuration(),
        store=made.looks.store,
        wake_ups=made.looks.wake_ups,
        dead_letters=made.dead_letters,
        telemetry=made.looks.telemetry,
        clock=now,
        new_id=new_id,
        home=made.settings.home,
    )
    return flushing(handlers.intake_handler(taking), made.metrics)


def wake() -> handlers.Handler:
    """The handler of the function `wake`."""
    made = parts()
    handler = handlers.wake_handler(made.looks, made.dead_letters)
    return flushing(handler, made.metrics)


def sweep() -> handlers.Handler:
    """The handler of the function `sweep`. Raises SettingsRefused."""
    made = parts()
    settings = EnrolmentSettings.from_environment(os.environ)
    enrolment = Enrolment(
        wanted=Wanted(hooks=made.configuration().hooks, targets=settings.targets),
        groups=GroupsApi(made.auto_scaling),
        records=EnrolledHooks(made.dynamodb, made.settings.table, now, settings.per_hour),
        open_actions=made.records,
        turns=made.looks.turns,
        telemetry=made.telemetry,
        clock=now,
        wait=time.sleep,
    )
    hooks = made.configuration().hooks
    silence = Silence(hooks=hooks, store=made.looks.store, telemetry=made.telemetry)
    work = ThreadPoolExecutor(max_workers=_AT_ONCE).map
    handler = handlers.sweep_handler(made.looks, _reconcile(made), enrolment, silence, work=work)
    return flushing(handler, made.metrics)


def _reconcile(made: Parts) -> Reconcile:
    return Reconcile(
        configuration=made.configuration(),
        live=made.waiting,
        instances=made.waiting,
        auto_scaling=made.looks.auto_scaling,
        store=made.records,
        turns=made.looks.turns,
        wake_ups=made.looks.wake_ups,
        telemetry=made.telemetry,
        clock=now,
        wait=time.sleep,
        new_id=new_id,
    )


def release() -> handlers.Handler:
    """The handler of the function `release`, which CloudFormation calls."""
    made = parts()
    releasing = Release(
        looks=made.looks,
        hooks=GroupsApi(made.auto_scaling),
        enrolments=EnrolledHooks(made.dynamodb, made.settings.table, now, 0),
        open_actions=made.records,
        respond=_put_answer,
        wait=time.sleep,
        work=ThreadPoolExecutor(max_workers=_AT_ONCE).map,
    )

    def handler(event: handlers.Event, context: handlers.Context | None = None) -> handlers.Event:
        releasing.handle(event, lambda: handlers.has_time(context))
        return {}

    return flushing(handler, made.metrics)


def announce() -> handlers.Handler:
    """The handler of the function `announce`, which reads the stream of the table."""
    metrics = Metrics(namespace=NAMESPACE)
    telemetry = PowertoolsTelemetry(Logger(service="usher"), metrics)
    bus = EventBus(boto3.client("events", config=_FEW_ATTEMPTS))
    return flushing(announce_handler(bus, telemetry), metrics)


def _put_answer(url: str, answer: dict[str, Any]) -> None:
    """To the address that CloudFormation gave, which is one of its own buckets."""
    body = json.dumps(answer).encode()
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
