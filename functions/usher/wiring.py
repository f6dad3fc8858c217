"""The one place that asks the machine: clients, clock, ids and environment, put together for Lambda."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config

from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.queues import DeadLetterQueue, WakeUpQueue
from usher.aws.records import Records
from usher.aws.telemetry import NAMESPACE, PowertoolsTelemetry, flushing
from usher.core import configuration
from usher.intake import Intake
from usher.looks import Looks
from usher.settings import Settings

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
    looks: Looks
    dead_letters: DeadLetterQueue
    metrics: Metrics


@cache
def parts() -> Parts:
    """The parts, from this machine's environment. Raises SettingsRefused."""
    settings = Settings.from_environment(os.environ)
    sqs = boto3.client("sqs", config=_FEW_ATTEMPTS)
    metrics = Metrics(namespace=NAMESPACE)
    looks = Looks(
        store=Records(boto3.client("dynamodb", config=_FEW_ATTEMPTS), settings.table, now),
        auto_scaling=AutoScalingApi(boto3.client("autoscaling", config=_ONE_ATTEMPT)),
        wake_ups=WakeUpQueue(sqs, settings.wake_ups_url),
        telemetry=PowertoolsTelemetry(Logger(service="usher"), metrics),
        clock=now,
        new_id=new_id,
    )
    dead_letters = DeadLetterQueue(sqs, settings.dead_letters_url)
    return Parts(settings=settings, looks=looks, dead_letters=dead_letters, metrics=metrics)


def intake() -> handlers.Handler:
    """The handler of the function `intake`."""
    made = parts()
    hooks = json.loads(made.settings.hooks.read_text(encoding="utf-8"))
    taking = Intake(
        configuration=configuration.parse(hooks),
        store=made.looks.store,
        wake_ups=made.looks.wake_ups,
        dead_letters=made.dead_letters,
        telemetry=made.looks.telemetry,
        clock=now,
        new_id=new_id,
    )
    return flushing(handlers.intake_handler(taking), made.metrics)


def wake() -> handlers.Handler:
    """The handler of the function `wake`."""
    made = parts()
    handler = handlers.wake_handler(made.looks, made.dead_letters, made.settings.calls_per_second)
    return flushing(handler, made.metrics)


def sweep() -> handlers.Handler:
    """The handler of the function `sweep`."""
    made = parts()
    return flushing(handlers.sweep_handler(made.looks, made.settings.calls_per_second), made.metrics)
