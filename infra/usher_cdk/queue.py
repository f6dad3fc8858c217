"""A queue with its dead-letter queue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

_OUTAGE: Final = cdk.Duration.hours(6)  # an outage this long sends no good message to the dead letters


class QueueWithDeadLetters(Construct):
    """An encrypted standard queue: a hook's target can be no FIFO queue. Redrive serves crashes only.

    With `kept`, its messages outlive the stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        visibility_timeout: cdk.Duration,
        kept: bool,
        key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", key)
        receives = math.ceil(_OUTAGE.to_seconds() / visibility_timeout.to_seconds())
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=_encryption(key),
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(4),
            visibility_timeout=visibility_timeout,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=receives),
            removal_policy=cdk.RemovalPolicy.RETAIN if kept else cdk.RemovalPolicy.DESTROY,
        )


def dead_letter_queue(scope: Construct, construct_id: str, key: kms.IKey | None) -> sqs.Queue:
    """A queue that keeps for 14 days what somebody must look at, also when the stack goes."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=_encryption(key),
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=cdk.Duration.days(14),
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )


def _encryption(key: kms.IKey | None) -> sqs.QueueEncryption:
    return sqs.QueueEncryption.SQS_MANAGED if key is None else sqs.QueueEncryption.KMS
