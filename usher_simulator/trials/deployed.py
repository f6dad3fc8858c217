"""The settings of the functions and queues, as infra/usher_cdk/controller.py has them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.settings import EnrolmentSettings
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLS_PER_SECOND: Final = 10.0  # as a deployment has it that says nothing else
_OUTAGE: Final = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """Those of one function."""

    function: str
    timeout: timedelta
    batch_size: int = 10
    most_at_once: int = 20
    feeds_itself: bool = False  # its recursive loop setting is Allow
    again_after: int = 6  # times its timeout, as AWS advises for an event source mapping

    @property
    def visibility_timeout(self) -> timedelta:
        """After it a message comes again that was not taken."""
        return self.again_after * self.timeout

    @property
    def most_receives(self) -> int:
        """An outage of hours sends nothing to the dead letters."""
        return math.ceil(_OUTAGE / self.visibility_timeout)


INTAKE: Final = Deployed(function="intake", timeout=timedelta(seconds=10), again_after=3)
WAKE: Final = Deployed(
    function="wake", timeout=timedelta(seconds=60), batch_size=1, most_at_once=50, feeds_itself=True
)
QUESTIONS: Final = Deployed(
    function="questions", timeout=timedelta(seconds=60), batch_size=1, most_at_once=50, feeds_itself=True
)
SWEEP: Final = Deployed(function="sweep", timeout=timedelta(seconds=60))
PROVISION: Final = Deployed(function="provision", timeout=timedelta(minutes=15))
ENROLMENTS_PER_HOUR: Final = 50  # as a deployment has it that says nothing else
ROLE: Final = "arn:aws:iam::111122223333:role/usher"
_PLACE: Final = f"{REGION}:{ACCOUNT}"
TARGETS: Final[Mapping[str, str]] = {
    "sqs": f"arn:aws:sqs:{_PLACE}:usher-inbox",
    "sns": f"arn:aws:sns:{_PLACE}:usher-topic",
    "lambda": f"arn:aws:lambda:{_PLACE}:function:usher-intake",
}
HOOK_TARGETS: Final = EnrolmentSettings(
    inbox_arn=TARGETS["sqs"],
    topic_arn=TARGETS["sns"],
    intake_arn=TARGETS["lambda"],
    hook_role_arn=ROLE,
    per_hour=ENROLMENTS_PER_HOUR,
).targets
