from __future__ import annotations

import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools import Logger, Metrics

from usher.aws.telemetry import NAMESPACE, PowertoolsTelemetry
from usher.ports.errors import CallRefused, Denied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 8
EACH = 401


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
def test_what_several_threads_count_is_told_once_and_in_events_that_cloudwatch_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = Metrics(namespace=NAMESPACE)
    telemetry = PowertoolsTelemetry(Logger(service="usher"), metrics)

    def count(_: int) -> None:
        for _ in range(EACH):
            telemetry.count("Heartbeats")

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(count, range(THREADS)))
    metrics.flush_metrics()

    told = [json.loads(line)["Heartbeats"] for line in capsys.readouterr().out.splitlines()]
    assert sum(map(len, told)) == THREADS * EACH
    assert max(map(len, told)) <= 100  # aws: EMF takes 100 values of a metric


def test_a_count_of_nothing_is_not_sent_but_no_seconds_are(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(namespace=NAMESPACE)
    telemetry = PowertoolsTelemetry(Logger(service="usher"), metrics)

    for name in ("HookDrift", "OverdueLooks", "SecondsToExpiry"):
        telemetry.count(name, 0)
    telemetry.count("Heartbeats", 2)
    metrics.flush_metrics()

    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    (block,) = told["_aws"]["CloudWatchMetrics"]
    assert {each["Name"] for each in block["Metrics"]} == {"SecondsToExpiry", "Heartbeats"}


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        pytest.param(CallRefused("AccessDenied"), {"Trouble", "Refused"}, id="a call that is refused"),
        pytest.param(
            Denied("AccessDenied"), {"Trouble", "TableDenied", "Refused"}, id="a table that says no"
        ),
        pytest.param(Unavailable("no answer"), {"Trouble"}, id="what may answer later"),
    ],
)
def test_trouble_that_someone_must_end_counts_for_the_alarm_on_what_is_refused(
    error: Exception, counted: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = Metrics(namespace=NAMESPACE)
    PowertoolsTelemetry(Logger(service="usher", stream=io.StringIO()), metrics).trouble("it failed", error)
    metrics.flush_metrics()

    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    (block,) = told["_aws"]["CloudWatchMetrics"]
    assert {each["Name"] for each in block["Metrics"]} == counted
