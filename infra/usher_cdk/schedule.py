"""The clock of the sweep: EventBridge Scheduler, once a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from constructs import Construct

from usher_cdk.key import TO_SEND
from usher_cdk.permissions import arns_here
from usher_cdk.queue import dead_letter_queue

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

    from usher_cdk.functions import UsherFunction


class SweepSchedule(Construct):
    """Invokes the sweep. A run that fails is not tried again: the next one comes in a minute.

    EventBridge Scheduler invokes asynchronously, so Lambda's own two retries are switched off too. Its
    dead letters are the runs that it could not hand over; of one that fails the alarm SweepErrors tells.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, sweep: UsherFunction, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", key)
        sweep.try_again(retries=0, oldest=cdk.Duration.minutes(1))
        role = self._role(sweep, key)
        scheduler.Schedule(
            self,
            "EveryMinute",
            description="Usher evaluates what is overdue",
            schedule=scheduler.ScheduleExpression.rate(cdk.Duration.minutes(1)),
            target=targets.LambdaInvoke(
                sweep.function,
                role=role.without_policy_updates(),  # the CDK would grant every version, too
                dead_letter_queue=self.dead_letters,
                retry_attempts=0,
                max_event_age=cdk.Duration.minutes(1),
                input=scheduler.ScheduleTargetInput.from_object({"source": "usher.schedule"}),
            ),
            key=key,
        )

    def _role(self, sweep: UsherFunction, key: kms.IKey | None) -> iam.Role:
        """The role of this account's schedules only, with what one of them needs."""
        role = iam.Role(
            self,
            "Role",
            description="EventBridge Scheduler invokes Usher's sweep with it",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {
                        "aws:SourceAccount": cdk.Stack.of(self).account,
                        "aws:SourceArn": arns_here(self, "scheduler", "schedule-group/default"),
                    }
                },
            ),
        )
        needs = {"lambda:InvokeFunction": sweep.function.function_arn}
        needs["sqs:SendMessage"] = self.dead_letters.queue_arn
        for action, resource in needs.items():
            role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
        if key is not None:
            role.add_to_policy(iam.PolicyStatement(actions=list(TO_SEND), resources=[key.key_arn]))
        return role
