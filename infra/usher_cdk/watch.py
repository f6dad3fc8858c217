"""The dashboard, and the alarms on what someone must act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from usher.aws.telemetry import NAMESPACE
from usher_cdk.announcing import LATE
from usher_cdk.permissions import arns_here

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

    from usher_cdk.controller import Controller

_MINUTE: Final = cdk.Duration.minutes(1)
_FIVE_MINUTES: Final = cdk.Duration.minutes(5)
_TWICE_IN: Final = 10  # minutes: a wake-up that fails comes again after six (its queue's visibility timeout)
_SOME_RUNS: Final = 5  # of the sweep; one in which nothing is overdue sends no value
_A_QUARTER: Final = 15  # minutes, with seven passes of the sweep: the hooks come after the controller
_LETTERS: Final = cdk.Duration.minutes(15)  # they are counted in every tenth
_HOUR: Final = cdk.Duration.hours(1)
_A_DAY_IN_HOURS: Final = 24
_OVER: Final = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
_QUIET: Final = cloudwatch.TreatMissingData.NOT_BREACHING


class Watch(Construct):
    """Alarms go to a topic of their own. CloudWatch cannot publish to one under the AWS-managed key."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        controller: Controller,
        email: str | None,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Alarms", enforce_ssl=True, master_key=key)
        self._let_alarms_publish()
        if email is not None:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self._controller = controller
        self._watch_letters()
        self._watch_functions()
        self._watch_promises()
        self._watch_announcing()
        self._watch_silence()

    def _let_alarms_publish(self) -> None:
        """A topic with a policy of its own has lost the default one, by which alarms may publish."""
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account},
                    "ArnLike": {"aws:SourceArn": arns_here(self, "cloudwatch", "alarm:*")},
                },
            )
        )

    def _alarm(  # noqa: PLR0913 - what differs between the alarms
        self,
        name: str,
        metric: cloudwatch.IMetric,
        says: str,
        *,
        threshold: float = 0,
        periods: int = 1,
        of_these: int | None = None,
        comparison: cloudwatch.ComparisonOperator = _OVER,
        missing: cloudwatch.TreatMissingData = _QUIET,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            alarm_description=f"{says} Runbook: docs/operations.md#{name.lower()}",
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=of_these,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))

    def _watch_letters(self) -> None:
        letters = _count("DeadLetters", statistic="Maximum", period=_LETTERS)
        self._alarm("DeadLetters", letters, "A message was not understood, or failed for hours.")

    def _watch_functions(self) -> None:
        for name, each in (
            ("Intake", self._controller.intake),
            ("Wake", self._controller.wake),
            ("Questions", self._controller.questions),
            ("Sweep", self._controller.sweep),
        ):
            errors = each.function.metric_errors(period=_MINUTE)
            self._alarm(f"{name}Errors", errors, f"The function {name.lower()} fails.")
        # A message that fails comes again, and Lambda counts no error: one that fails twice is no hiccup.
        says = "Messages, evaluations or questions fail, and are retried."
        self._alarm("Failures", _count("Failures"), says, periods=_TWICE_IN, of_these=2)

        throttles = self._controller.wake.function.metric_throttles(period=_MINUTE)
        says = "Lambda has no concurrency left for heartbeats: reserve some for the function wake."
        self._alarm("WakeThrottles", throttles, says, periods=2)

    def _watch_promises(self) -> None:
        says = "An action got the default result of its hook, or ended before Usher knew of it."
        self._alarm("Lost", _count("Lost"), says)
        without = _count("BeatsWithoutTable")
        self._alarm("BeatsWithoutTable", without, "Instances are held without DynamoDB, or without wake-ups.")
        says = "AWS refuses Usher's calls: a permission, a key, credentials, or no table."
        self._alarm("Refused", _count("Refused"), says)
        overdue = _count("OverdueLooks", statistic="Minimum")
        says = "Evaluations are over a minute overdue, in run after run."
        self._alarm("OverdueLooks", overdue, says, periods=_SOME_RUNS, of_these=3)
        says = "No message of a group that the file names is known: check the target of its hook."
        self._alarm("SilentGroups", _count("SilentGroups"), says, periods=_A_QUARTER, of_these=6)
        says = "Someone else changed or deleted a hook, or put one of the same name."
        drift = _count("HookDrift", period=_FIVE_MINUTES)  # it is counted in each pass, every two minutes
        self._alarm("HookDrift", drift, says)
        says = "Results are held back by a hook's limits, or a signal of too many names was not stored."
        self._alarm("LimitReached", _count("LimitReached"), says)
        retained = _count("RetainedHours", statistic="Maximum", period=_HOUR)
        says = "An instance has been retained for a day: `usher retained` lists them, with what they cost."
        self._alarm("RetainedInstances", retained, says, threshold=_A_DAY_IN_HOURS)
        over = _count("OverBudget")
        self._alarm("OverBudget", over, "More heartbeats are due than calls_per_second allows.", periods=3)

    def _watch_announcing(self) -> None:
        """A bus that refuses is no error of the function: it falls behind."""
        announce = self._controller.announce
        if announce is not None:
            behind = announce.function.metric("IteratorAge", period=_MINUTE, statistic="Maximum")
            says = "Events out are a quarter of an hour late."
            self._alarm("AnnouncementsLate", behind, says, threshold=LATE.to_milliseconds())

    def _watch_silence(self) -> None:
        """What does not run raises no error; so its silence must."""
        self._alarm(
            "NoSweep",
            self._controller.sweep.function.metric_invocations(period=_FIVE_MINUTES),
            "The sweep has not run for five minutes.",
            threshold=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        for name, queue, says in (
            ("OldMessage", self._controller.inbox, "A message waits in the inbox"),
            ("OldEvent", self._controller.events, "A signal, or another event of the event bus, waits"),
        ):
            age = queue.queue.metric_approximate_age_of_oldest_message(period=_MINUTE, statistic="Maximum")
            self._alarm(name, age, f"{says} for over five minutes.", threshold=300)
        invocations = self._controller.wake.function.metric_invocations(period=_FIVE_MINUTES)
        self._alarm(
            "WakeStorm",
            invocations,
            "There are very many wake-ups: check for a loop.",
            threshold=50_000,
            periods=3,
        )

    def show(self) -> None:
        """Make a dashboard."""
        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=cdk.Duration.hours(3))
        results = [
            _count("Completed", dimensions={"Result": result}, label=result)
            for result in ("CONTINUE", "ABANDON")
        ]
        margin = _count("SecondsToExpiry", statistic="Minimum")
        lag = [_count("NotificationLag", statistic=statistic) for statistic in ("p50", "Maximum")]
        dashboard.add_widgets(
            _graph("Actions", [_count("ActionsOpened"), *results, _count("EndedElsewhere")]),
            _graph("Lost (Defaulted), and overdue", [_count("Defaulted"), _count("OverdueLooks")]),
            _graph("Seconds to expiry at a heartbeat", [margin]),
        )
        not_understood = ("Rejected", "UnknownSignals", "Trouble", "ConditionUnknown")
        dashboard.add_widgets(
            _graph("Calls", [_count("Heartbeats"), _count("Throttled"), _count("Refused")]),
            _graph("Lag of notifications, seconds", lag),
            _graph("Not understood, and errors", [_count(name) for name in not_understood]),
        )


def _count(
    name: str,
    statistic: str = "Sum",
    dimensions: dict[str, str] | None = None,
    label: str | None = None,
    period: cdk.Duration = _MINUTE,
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        statistic=statistic,
        period=period,
        dimensions_map=dimensions,
        label=label,
    )


def _graph(title: str, metrics: list[cloudwatch.Metric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list[cloudwatch.IMetric](metrics), width=8)
