"""What most functions are made of, put together for Lambda."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import boto3

from usher.aws.autoscaling import AutoScalingApi
from usher.aws.budget import BudgetTable
from usher.aws.enrolled import EnrolledHooks
from usher.aws.places import PlaceTable
from usher.aws.queues import DeadLetterQueue, QuestionQueue, WakeUpQueue
from usher.aws.records import RecordTable
from usher.aws.result_limits import SentResults
from usher.aws.waiting import WaitingApi
from usher.core import compiled
from usher.core.compiled import InEffect
from usher.core.frozen import frozen
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.evaluator import Evaluator
from usher.evaluation.hook_timeouts import HookTimeouts
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.outage.slow_table import RequestDeadline, hurried
from usher.settings import Settings
from usher.wiring import machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aws_lambda_powertools import Metrics
    from botocore.config import Config
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

    from usher.aws.telemetry import PowertoolsTelemetry
    from usher.core.compiled import Compiled
    from usher.hooks_source import VersionsInEffect
    from usher.invocation import Handler


@frozen
class Parts:
    """What the functions are made of."""

    settings: Settings
    records: RecordTable
    evaluator: Evaluator
    dead_letters: DeadLetterQueue
    auto_scaling: AutoScalingClient
    waiting: WaitingApi
    dynamodb: DynamoDBClient
    sqs: SQSClient
    telemetry: PowertoolsTelemetry
    metrics: Metrics
    limit: RequestDeadline  # that all requests to the table keep

    def file(self) -> Compiled:
        """The hooks file, as it was compiled at synth."""
        return compiled.read(self.settings.hooks.read_text(encoding="utf-8"))

    def versions(self) -> VersionsInEffect:
        """The versions of the hooks file that are applied at run time."""
        from usher.aws.file_versions import FileVersionsTable  # noqa: PLC0415 - only where they are
        from usher.hooks_source import VersionsInEffect  # noqa: PLC0415 - likewise

        table = FileVersionsTable(self.dynamodb, self.settings.table)
        return VersionsInEffect(versions=table, telemetry=self.telemetry)

    def by_file(self, make: Callable[[InEffect], Handler]) -> Handler:
        """A handler for the hooks file that counts, wherever it is."""
        if not self.settings.is_applied:
            return make(InEffect(file=self.file()))
        from usher.hooks_source import ByVersion  # noqa: PLC0415 - as in `versions`

        return ByVersion(in_effect=self._unhurried(self.versions().at), make=make, clock=machine.now)

    def _unhurried(self, at: Callable[[datetime], InEffect]) -> Callable[[datetime], InEffect]:
        """What is asked for first is not late, whatever the invocation before had no time for."""

        def read(now: datetime) -> InEffect:
            self.limit.lift()
            return at(now)

        return read

    def items(self, most_per_hour: int = 0, digest: str | None = None) -> EnrolledHooks:
        """The items of the hooks."""
        return EnrolledHooks(self.dynamodb, self.settings.table, machine.now, most_per_hour, digest)


@cache
def parts(table: Config = machine.FEW_ATTEMPTS) -> Parts:
    """The parts, from this machine's environment; `table` says how long its answers may take.

    Raises SettingsRefused.
    """
    settings = Settings.from_environment(os.environ)
    limit = RequestDeadline()
    sqs = boto3.client("sqs", config=machine.IN_TIME)
    dynamodb: DynamoDBClient = hurried(boto3.client("dynamodb", config=table), limit, machine.now)
    auto_scaling: AutoScalingClient = boto3.client("autoscaling", config=machine.ONE_ATTEMPT)
    tells, metrics = machine.telemetry()
    budget = BudgetTable(dynamodb, settings.table, settings.calls_per_second)
    waiting = WaitingApi(auto_scaling)
    records = RecordTable(dynamodb, settings.table, machine.now)
    evaluator = Evaluator(
        store=records,
        auto_scaling=StaleWaitGuard(
            calls=AutoScalingApi(auto_scaling), activities=waiting, budget=budget, clock=machine.now
        ),
        budget=budget,
        limits=SentResults(dynamodb, settings.table),
        places=PlaceTable(dynamodb, settings.table),
        questions=QuestionQueue(sqs, settings.questions_url),
        wake_ups=WakeUpQueue(sqs, settings.wake_ups_url),
        telemetry=tells,
        clock=machine.now,
        new_id=machine.new_id,
        hook_timeouts=HookTimeouts(
            live=waiting,
            store=records,
            call_budget=CallBudget(budget=budget, telemetry=tells),
            telemetry=tells,
            clock=machine.now,
        ),
    )
    return Parts(
        settings=settings,
        records=records,
        evaluator=evaluator,
        dead_letters=DeadLetterQueue(sqs, settings.dead_letters_url),
        auto_scaling=auto_scaling,
        waiting=waiting,
        dynamodb=dynamodb,
        sqs=sqs,
        telemetry=tells,
        metrics=metrics,
        limit=limit,
    )
