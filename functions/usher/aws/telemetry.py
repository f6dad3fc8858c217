"""What operators see, by Powertools: one log event per notice and decision, and metrics as EMF."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from usher.ports.errors import CallRefused, is_denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools import Logger, Metrics

    from usher.core.action import Action
    from usher.invocation import Context, Event, Handler

NAMESPACE: Final = "Usher"
_SECONDS: Final = frozenset({"SecondsToExpiry", "NotificationLag"})
# Counted as the other, too, whose alarm is for both: an alarm of its own would be paid for all year (ADR 35).
ALARM_OF: Final = {
    "FailedMessages": "Failures",
    "FailedLooks": "Failures",
    "FailedQuestions": "Failures",
    "OverdueQuestions": "Failures",
    "Defaulted": "Lost",
    "KnownTooLate": "Lost",
    "TableDenied": "Refused",
    "EnrolmentConflicts": "HookDrift",
    "HeldByLimit": "LimitReached",
    "SignalsRefused": "LimitReached",
}


class PowertoolsTelemetry:
    """Implements usher.ports.telemetry.Telemetry and EnrolmentTelemetry."""

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics
        self._counting = Lock()  # the sweep counts in several threads, which Powertools does not expect

    def message_handled(self, kind: str, reason: str) -> None:
        """One log event per message."""
        level = self._logger.warning if kind == "rejected" else self._logger.info
        level("notice", extra={"kind": kind, "reason": reason})

    def decided(self, action: Action, decision: str, reason: str) -> None:
        """One log event per decision, with the same keys everywhere."""
        self._logger.info(
            "decision",
            extra={
                "token": action.token,
                "group": action.hook.group,
                "hook": action.hook.name,
                "instance_id": action.instance_id,
                "decision": decision,
                "reason": reason,
                "look_again_at": action.evaluate_at.isoformat() if action.evaluate_at else None,
            },
        )

    def count(self, metric: str, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None:
        """A metric of its own where it has dimensions, else one of the invocation's.

        A count of nothing is not sent: a metric without values costs nothing.
        """
        unit = MetricUnit.Seconds if metric in _SECONDS else MetricUnit.Count
        if not value and metric not in _SECONDS:
            return
        with self._counting:
            if not dimensions:
                self._metrics.add_metric(name=metric, unit=unit, value=value)
                if metric in ALARM_OF:
                    self._metrics.add_metric(name=ALARM_OF[metric], unit=unit, value=value)
                return
            with single_metric(name=metric, unit=unit, value=value, namespace=NAMESPACE) as single:
                for name, of in dimensions.items():
                    single.add_dimension(name=name, value=of)

    def enrolment(self, step: str, group: str, hook: str, reason: str) -> None:
        """One log event per step."""
        level = self._logger.warning if step == "conflict" else self._logger.info
        level("enrolment", extra={"step": step, "group": group, "hook": hook, "reason": reason})

    def trouble(self, what: str, error: Exception) -> None:
        """An error that is made up for, with its trace."""
        self._logger.error(what, exc_info=error)
        self.count("Trouble")
        if is_denied(error):
            self.count("TableDenied")
        if isinstance(error, CallRefused):
            self.count("Refused")


def flushing(handler: Handler, metrics: Metrics) -> Handler:
    """The handler, and after it the invocation's metrics go out; without a word where there are none."""

    def handle(event: Event, context: Context | None = None) -> Event:
        try:
            return handler(event, context)
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()

    return handle
