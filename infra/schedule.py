"""The clock of the sweep: EventBridge Scheduler, once a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from constructs import Construct

from infra.queue import dead_letter_queue

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_lambda as lambda_


class SweepSchedule(Construct):
    """Invokes the sweep. A run that fails is not tried again: the next one comes in a minute."""

    def __init__(
        self, scope: Construct, construct_id: str, *, sweep: lambda_.IFunction, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", key)
        scheduler.Schedule(
            self,
            "EveryMinute",
            description="Usher looks at what is overdue",
            schedule=scheduler.ScheduleExpression.rate(cdk.Duration.minutes(1)),
            target=targets.LambdaInvoke(
                sweep,
                dead_letter_queue=self.dead_letters,
                retry_attempts=0,
                max_event_age=cdk.Duration.minutes(1),
                input=scheduler.ScheduleTargetInput.from_object({"source": "usher.schedule"}),
            ),
            key=key,
        )
