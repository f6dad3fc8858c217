"""The stack of the controller: what the functions store in and are woken by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from infra.queue import QueueWithDeadLetters
from infra.records import RecordsTable

if TYPE_CHECKING:
    from constructs import Construct


class Controller(cdk.Stack):
    """One table, two queues with dead-letter queues."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id, description="Usher: holds and releases lifecycle actions")
        RecordsTable(self, "Records")
        QueueWithDeadLetters(self, "Inbox", visibility_timeout=cdk.Duration.minutes(1))
        QueueWithDeadLetters(self, "WakeUps", visibility_timeout=cdk.Duration.minutes(6))
