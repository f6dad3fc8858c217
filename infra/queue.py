"""A queue with its dead-letter queue."""

from __future__ import annotations

import math
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_OUTAGE: Final = cdk.Duration.hours(6)  # an outage this long sends no good message to the dead letters


class QueueWithDeadLetters(Construct):
    """An encrypted standard queue. Redrive serves crashes only, so it is wide."""

    def __init__(self, scope: Construct, construct_id: str, *, visibility_timeout: cdk.Duration) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        receives = math.ceil(_OUTAGE.to_seconds() / visibility_timeout.to_seconds())
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(4),
            visibility_timeout=visibility_timeout,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=receives),
        )
