"""What an idle stack uses in a month of 30 days, counted, and what that costs.

Twenty minutes of the deployed simulation in which nothing waits, after two of the same, and the resources
of the template, with what the sweep asks of the dead-letter queues. Two passes are not in it, which read one
item for each hook every two minutes: the enrolment, and that for silent groups.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from moto import mock_aws

from benchmarks.prices import MONTHLY, PRICES
from tests.contract.dynamodb import a_client
from tests.lives import AWS_CALL_S, KINDS, STORE_CALL_S, Counted, Life, hooks_of
from usher.passes.dead_letters import EVERY_MINUTES
from usher_simulator.trials.calm import Calm
from usher_simulator.trials.faults import Thing
from usher_simulator.trials.judge.scene import Checker

if TYPE_CHECKING:
    from usher_simulator.trials.effects import Call

_TEMPLATE: Final = Path(__file__).parent / "infra" / "golden" / "Usher.json"
_WARM_UP_S: Final = 120
_MINUTES: Final = 20
_TIMES: Final = 30 * 24 * 60 // _MINUTES
_POLLS_OF_A_QUEUE: Final = 5 * 3 * _MINUTES * _TIMES  # five pollers, 20 seconds each (aws-facts 5)
_MILLION: Final = 1e6


class _Everything(Counted):
    """The sweeps are counted, too."""

    @property
    def _is_counted(self) -> bool:
        return self.effects.invocation is not None

    def _is_of_a_sweep(self, *_: object) -> bool:
        return False

    def _invoke(self, settings: Any, *arguments: Any) -> Any:
        self.life.invocations[settings.function] += settings.function == "sweep"
        return super()._invoke(settings, *arguments)


class _Described(Checker):
    """Counts the calls of Auto Scaling."""

    usher: _Everything

    def called(self, _: Call) -> None:
        """All are describes."""
        self.usher.life.auto_scaling += 1


class _Idle(Calm):
    """A group without instances, its hook, and reconcile."""

    deployment: ClassVar[Any] = _Everything
    things = frozenset({Thing.RECONCILED})

    def __init__(self) -> None:
        super().__init__(hooks_of(KINDS["b"]))
        self.everything = cast("_Everything", self.usher)
        described = _Described(self.scene)
        described.usher = self.everything
        self.audience.checkers.append(described)

    def minutes(self) -> tuple[Life, frozenset[str]]:
        """What it uses, and the metrics that it sends."""
        self.pass_time(_WARM_UP_S)
        self.everything.life = Life()
        self.telemetry.counts.clear()
        self.pass_time(60 * _MINUTES)
        return self.everything.life, frozenset(+self.telemetry.counts)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a month has of something, and its dollars."""

    amount: float
    dollars: float


def month() -> dict[str, Line]:
    """The lines of an idle month, by what is paid for."""
    with mock_aws():
        Counted.client, Counted.kind = a_client(), KINDS["b"]
        life, metrics = _Idle().minutes()
    invocations = _TIMES * life.invoked
    template = json.loads(_TEMPLATE.read_text(encoding="utf-8"))["Resources"]
    resources = list(template.values())
    letters = sum("DeadLetters" in name for name in template if template[name]["Type"] == "AWS::SQS::Queue")
    asked = letters * _MINUTES // EVERY_MINUTES
    calls = life.store_and_queue_calls + asked
    seconds = _TIMES * (calls * STORE_CALL_S + life.auto_scaling * AWS_CALL_S)
    queues = sum(each["Type"] == "AWS::Lambda::EventSourceMapping" for each in resources)
    of_millions = {
        "invocation": invocations,
        "second of a function": seconds,
        "read unit": _TIMES * life.units.reads,
        "write unit": _TIMES * life.writes,
        "queue request": queues * _POLLS_OF_A_QUEUE + _TIMES * (3 * life.sent.total() + asked),
        "run of a schedule": _TIMES * life.invocations["sweep"],
        "log of an invocation": invocations,
        "trace": _TIMES
        * sum(life.invocations[each] for each in _traced(resources)),  # of so few X-Ray takes each
    }
    of_months = {
        "metric": len(metrics),
        "metric of an alarm": sum(map(_metrics_of, resources)),
        "dashboard": sum(each["Type"] == "AWS::CloudWatch::Dashboard" for each in resources),
    }
    lines = {
        name: Line(amount=amount, dollars=amount * PRICES[name] / _MILLION)
        for name, amount in of_millions.items()
    }
    return lines | {
        name: Line(amount=amount, dollars=amount * MONTHLY[name]) for name, amount in of_months.items()
    }


def _traced(resources: list[dict[str, Any]]) -> set[str]:
    """The functions that send traces."""
    return {
        each["Properties"]["Handler"].removesuffix(".handler")
        for each in resources
        if each["Type"] == "AWS::Lambda::Function" and "TracingConfig" in each["Properties"]
    }


def _metrics_of(resource: dict[str, Any]) -> int:
    """Each metric that an alarm looks at is paid for."""
    if resource["Type"] != "AWS::CloudWatch::Alarm":
        return 0
    several = resource["Properties"].get("Metrics", [])
    return sum("MetricStat" in each for each in several) or 1


def main() -> None:
    """Print the lines, and their sum."""
    lines = month()
    for name, line in lines.items():
        print(f"| {name} | {line.amount:,.0f} | {line.dollars:.2f} |")  # noqa: T201
    print(f"| sum | | {sum(line.dollars for line in lines.values()):.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()
