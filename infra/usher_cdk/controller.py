"""The stack of the controller: ways in, records, functions, clocks, and what watches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_event_sources as event_sources

from usher.core.policy import Channel
from usher.provision import TABLE
from usher_cdk import permissions
from usher_cdk.announcing import Announce
from usher_cdk.asset import asset_of
from usher_cdk.configuration import WAKE_AT_ONCE
from usher_cdk.forwarding import Forward
from usher_cdk.functions import UsherFunction
from usher_cdk.key import TO_USE, customer_key
from usher_cdk.notifications import BusRules, HookRole, HookTopic, notifies_by
from usher_cdk.provisioning import ProvisionedHooks
from usher_cdk.queue import QueueWithDeadLetters
from usher_cdk.records import RecordsTable
from usher_cdk.schedule import SweepSchedule
from usher_cdk.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct, IDependable

    from usher_cdk.configuration import Deployment

INTAKE_TIMEOUT: Final = cdk.Duration.seconds(10)
WAKE_TIMEOUT: Final = cdk.Duration.seconds(60)
QUESTIONS_TIMEOUT: Final = cdk.Duration.seconds(60)
SWEEP_TIMEOUT: Final = cdk.Duration.seconds(60)
PROVISION_TIMEOUT: Final = cdk.Duration.minutes(15)  # as long as a function may take
_OWN_GROUPS: Final = "usher:own_groups"
_NOT_HERE: Final = "own_groups counts in the applied hooks file alone: use `usher apply --own-group`"
_LOADS_SEVERAL: Final = ("intake", "wake", "sweep", "provision")  # records at once
_TAKES_MESSAGES: Final = (
    "intake",
    "wake",
    "questions",
)  # and puts what it cannot understand to the dead letters
_HAS_QUESTIONS_ASKED: Final = ("intake", "wake", "questions", "sweep")
_VISIBILITY: Final = 6  # times the function's timeout, as AWS advises for event source mappings
_SOON: Final = (
    3  # times intake's: after an outage what came meanwhile is heard within a minute; a copy harms nobody
)


class Controller(cdk.Stack):
    """Everything, and the hooks as its last resource.

    What hooks point at (inbox, topic, intake, role) is the same in every configuration: it must
    never be replaced, since a hook on its way out points there still.
    """

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment) -> None:
        super().__init__(scope, construct_id, description="Usher: holds and releases lifecycle actions")
        self._deployment = deployment
        self._asset = asset_of(deployment)
        self._key = customer_key(self) if deployment.customer_key else None
        self.records = RecordsTable(self, "Records", key=self._key, streams=deployment.announce)
        self.inbox = self._queue("Inbox", INTAKE_TIMEOUT, kept=True, times=_SOON)
        self.wake_ups = self._queue("WakeUps", WAKE_TIMEOUT, kept=False)  # hints; the records are the truth
        self.questions_queue = self._queue("QuestionsQueue", QUESTIONS_TIMEOUT, kept=False)  # hints, too
        self.events = self._queue(
            "Events", INTAKE_TIMEOUT, kept=False, times=_SOON
        )  # the inbox brings the hooks' own
        self.hook_role = HookRole(self, "HookRole", inbox=self.inbox, key=self._key)
        self.topic = self._topic()
        self.intake = self._intake()
        self.wake = self._wake()
        self.questions = self._questions()
        self.sweep = self._sweep()
        self.provision = self._provision()
        self.announce = self._announce() if deployment.announce else None
        bus = BusRules(self, "Bus", deployment=deployment, to=self.events)
        self.schedule = SweepSchedule(self, "Schedule", sweep=self.sweep, key=self._key)
        self._count_dead_letters()
        watch = Watch(self, "Watch", controller=self, email=deployment.alarm_email, key=self._key)
        if deployment.dashboard:
            watch.show()
        tells: list[IDependable] = [watch]  # alarms ring, and events are forwarded, until all is released
        if deployment.forward_to is not None:
            tells.append(Forward(self, "Forward", bus_arn=deployment.forward_to))
        self.hooks = self._hooks(bus, *tells)
        if deployment.hooks_from_table and deployment.own_groups:
            cdk.Annotations.of(self).add_warning_v2(_OWN_GROUPS, _NOT_HERE)
        self._tell()

    def _hooks(self, *others: IDependable) -> ProvisionedHooks:
        """After everything, and gone before anything."""
        queues = (self.inbox, self.events, self.wake_ups, self.questions_queue)
        functions = (self.intake, self.wake, self.questions, self.sweep, self.provision)
        parts = (self.records, self.schedule, *([self.announce] if self.announce else []))
        return ProvisionedHooks(
            self,
            "Provisioned",
            function=self.provision.function,
            file=None if self._deployment.hooks_from_table else self._deployment.file,
            before=(*queues, self.hook_role, self.topic, *functions, *parts, *others),
        )

    def _queue(
        self, construct_id: str, timeout: cdk.Duration, *, kept: bool, times: int = _VISIBILITY
    ) -> QueueWithDeadLetters:
        visibility = cdk.Duration.seconds(times * int(timeout.to_seconds()))
        return QueueWithDeadLetters(
            self, construct_id, visibility_timeout=visibility, kept=kept, key=self._key
        )

    def _topic(self) -> HookTopic:
        raw = self._deployment.sns_raw_delivery
        topic = HookTopic(self, "Topic", inbox=self.inbox, raw=raw, key=self._key)
        self.hook_role.may_publish(topic.topic)
        return topic

    def _function(
        self,
        module: str,
        timeout: cdk.Duration,
        dead_letters: QueueWithDeadLetters,
        *,
        feeds_itself: bool = False,
        reserved: int = 0,
        traced: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> UsherFunction:
        """What all functions share: the records, the wake-ups, and a place for what is not understood."""
        function = UsherFunction(
            self,
            module.capitalize(),
            module=module,
            asset=self._asset,
            environment={
                "USHER_ACCOUNT": cdk.Stack.of(self).account,
                "USHER_TABLE": self.records.table.table_name,
                "USHER_WAKE_UPS_URL": self.wake_ups.queue.queue_url,
                "USHER_QUESTIONS_URL": self.questions_queue.queue.queue_url,
                "USHER_DEAD_LETTERS_URL": dead_letters.dead_letters.queue_url,
                "USHER_CALLS_PER_SECOND": f"{self._deployment.calls_per_second:g}",
                **({"USHER_HOOKS_FROM": TABLE} if self._deployment.hooks_from_table else {}),
                **(environment or {}),
            },
            timeout=timeout,
            log_retention_days=self._deployment.log_retention_days,
            key=self._key,
            feeds_itself=feeds_itself,
            reserved=reserved,
            traced=traced,
        )
        permissions.grant_records(function, self.records.table, of_several=module in _LOADS_SEVERAL)
        queues = [self.wake_ups.queue.queue_arn]
        if module in _HAS_QUESTIONS_ASKED:
            queues.append(self.questions_queue.queue.queue_arn)
        if module in _TAKES_MESSAGES:
            queues.append(dead_letters.dead_letters.queue_arn)
        function.may(("sqs:SendMessage",), queues)
        if self._key is not None:
            function.may(TO_USE, (self._key.key_arn,))
        return function

    def _intake(self) -> UsherFunction:
        intake = self._function("intake", INTAKE_TIMEOUT, self.inbox)
        for queue in (self.inbox.queue, self.events.queue):
            intake.function.add_event_source(
                event_sources.SqsEventSource(
                    queue, batch_size=10, report_batch_item_failures=True, max_concurrency=20
                )
            )
        if notifies_by(self._deployment, Channel.LAMBDA):
            self._take_direct_invocations(intake)
        return intake

    def _take_direct_invocations(self, intake: UsherFunction) -> None:
        """Auto Scaling invokes by its service-linked role; what fails is not lost but in the inbox."""
        default = self.format_arn(
            service="iam",
            region="",
            resource="role",
            resource_name="aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
        )
        role = self._deployment.service_linked_role or default
        intake.function.add_permission("HookTarget", principal=iam.ArnPrincipal(role))
        intake.send_failures(self.inbox.queue, retries=2, oldest=cdk.Duration.minutes(5))

    def _wake(self) -> UsherFunction:
        """On which heartbeats and results depend: it has no right to ask what a condition wants to know."""
        reserved = self._deployment.wake_concurrency
        wake = self._function("wake", WAKE_TIMEOUT, self.wake_ups, feeds_itself=True, reserved=reserved)
        permissions.grant_lifecycle_actions(wake)
        wake.function.add_event_source(
            event_sources.SqsEventSource(
                self.wake_ups.queue,
                batch_size=1,  # a slow call for one action must not delay the heartbeat of another
                report_batch_item_failures=True,
                max_concurrency=WAKE_AT_ONCE,
            )
        )
        return wake

    def _questions(self) -> UsherFunction:
        asks = self._function("questions", QUESTIONS_TIMEOUT, self.questions_queue, feeds_itself=True)
        permissions.grant_conditions(asks, self._deployment.configuration)
        asks.function.add_event_source(
            event_sources.SqsEventSource(
                self.questions_queue.queue,
                batch_size=1,  # a question may take most of a minute
                report_batch_item_failures=True,
                max_concurrency=50,
            )
        )
        return asks

    def _sweep(self) -> UsherFunction:
        sweep = self._function(
            "sweep", SWEEP_TIMEOUT, self.wake_ups, traced=False, environment=self._targets()
        )  # each trace of its 43,200 runs a month would be paid for, and say what the log says
        permissions.grant_lifecycle_actions(sweep)
        permissions.grant_indexes(sweep, self.records.table)
        permissions.grant_enrolment(sweep, self.records.table, self.hook_role.role)
        return sweep

    def _count_dead_letters(self) -> None:
        queues = (self.inbox, self.events, self.wake_ups, self.questions_queue, self.schedule)
        letters = [each.dead_letters for each in queues]
        urls = " ".join(each.queue_url for each in letters)
        self.sweep.function.add_environment("USHER_ALL_DEAD_LETTERS_URLS", urls)
        self.sweep.may(("sqs:GetQueueAttributes",), [each.queue_arn for each in letters])

    def _provision(self) -> UsherFunction:
        provision = self._function("provision", PROVISION_TIMEOUT, self.wake_ups, environment=self._targets())
        permissions.grant_lifecycle_actions(provision)
        permissions.grant_indexes(provision, self.records.table)
        permissions.grant_enrolment(provision, self.records.table, self.hook_role.role)
        permissions.grant_putting(provision, (self.sweep, provision), self._deployment.configuration)
        provision.may(("cloudformation:DescribeStacks",), (self.stack_id,))
        return provision

    def _announce(self) -> Announce:
        return Announce(
            self,
            "Announce",
            table=self.records.table,
            asset=self._asset,
            log_retention_days=self._deployment.log_retention_days,
            key=self._key,
        )

    def _targets(self) -> dict[str, str]:
        """What whoever puts hooks must know."""
        return {
            "USHER_INBOX_ARN": self.inbox.queue.queue_arn,
            "USHER_HOOK_ROLE_ARN": self.hook_role.role.role_arn,
            "USHER_INTAKE_ARN": self.intake.function.function_arn,
            "USHER_TOPIC_ARN": self.topic.topic.topic_arn,
            "USHER_ENROLMENTS_PER_HOUR": str(self._deployment.enrolments_per_hour),
        }

    def _tell(self) -> None:
        """What people and other stacks look up."""
        for name, value in (
            ("TableName", self.records.table.table_name),
            ("InboxUrl", self.inbox.queue.queue_url),
            ("EventsUrl", self.events.queue.queue_url),
            ("WakeUpsUrl", self.wake_ups.queue.queue_url),
            ("QuestionsUrl", self.questions_queue.queue.queue_url),
            ("InboxArn", self.inbox.queue.queue_arn),
            ("HookRoleArn", self.hook_role.role.role_arn),
            ("IntakeArn", self.intake.function.function_arn),
            ("TopicArn", self.topic.topic.topic_arn),
            ("EnrolmentsPerHour", str(self._deployment.enrolments_per_hour)),
            ("CallsPerSecond", f"{self._deployment.calls_per_second:g}"),
        ):
            cdk.CfnOutput(self, name, value=value, export_name=f"{self.stack_name}-{name}")
        cdk.CfnOutput(
            self, "Hooks", value=self.hooks.report, description="What the deploy did with the hooks"
        )
