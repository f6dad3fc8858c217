"""The alarms of the golden template, evaluated as CloudWatch does over datapoints that a test gives.

Simplified: where data is missing CloudWatch looks further back for some; here it counts as the alarm says.
"""

from __future__ import annotations

import json
import operator
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_TEMPLATE: Final = Path(__file__).parent / "infra" / "golden" / "Usher.json"
_HASH: Final = 8  # characters at the end of a logical id
_STATISTICS: Final[dict[str, Callable[[list[float]], float]]] = {"Sum": sum, "Minimum": min, "Maximum": max}
_COMPARISONS: Final = {"GreaterThanThreshold": operator.gt, "LessThanThreshold": operator.lt}


@dataclass(kw_only=True)
class Metrics:
    """Datapoints by namespace, metric and what they are of: a logical id without its hash, or nothing."""

    points: defaultdict[tuple[str, str, str], list[tuple[datetime, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def put(self, name: str, value: float, at: datetime, namespace: str = "Usher", of: str = "") -> None:
        """One datapoint."""
        self.points[namespace, name, of].append((at, value))


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm of the template."""

    name: str
    settings: dict[str, Any]

    @property
    def metric(self) -> tuple[str, str, str]:
        """Its key among the Metrics."""
        return self.settings["Namespace"], self.settings["MetricName"], self._of()

    @property
    def period(self) -> timedelta:
        """Of one datapoint."""
        return timedelta(seconds=self.settings["Period"])

    def _of(self) -> str:
        for dimension in self.settings.get("Dimensions", ()):
            value = dimension["Value"]
            name: str = value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]
            return name[:-_HASH]
        return ""

    def rings(self, metrics: Metrics, begin: datetime, end: datetime) -> bool:
        """Whether it rings at any time from `begin` to `end`."""
        within: defaultdict[int, list[float]] = defaultdict(list)
        for at, value in metrics.points[self.metric]:
            within[(at - begin) // self.period].append(value)
        breaches = [self._breaches(within[number]) for number in range((end - begin) // self.period)]
        of_all = self.settings["EvaluationPeriods"]
        enough = self.settings.get("DatapointsToAlarm", of_all)
        return any(sum(breaches[last - of_all : last]) >= enough for last in range(of_all, len(breaches) + 1))

    def _breaches(self, within: list[float]) -> bool:
        if not within:
            return bool(self.settings["TreatMissingData"] == "breaching")
        value = _STATISTICS[self.settings["Statistic"]](within)
        return bool(_COMPARISONS[self.settings["ComparisonOperator"]](value, self.settings["Threshold"]))


def alarms() -> list[Alarm]:
    """All of the template."""
    found = json.loads(_TEMPLATE.read_text(encoding="utf-8"))["Resources"]
    return [
        Alarm(name=name.removeprefix("Watch")[:-_HASH], settings=each["Properties"])
        for name, each in found.items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]


def ringing(metrics: Metrics, begin: datetime, end: datetime) -> set[str]:
    """The names of those that ring."""
    return {alarm.name for alarm in alarms() if alarm.rings(metrics, begin, end)}
