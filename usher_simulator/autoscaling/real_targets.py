"""The world outside, for real: queues, topics, functions, buses and load balancers behind endpoints.

Only endpoints that the environment names are spoken to, in the names of the AWS SDKs
(`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_SQS` ...): a simulator has no business in a real account.
"""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from usher_simulator.autoscaling.notifications import REGION
from usher_simulator.autoscaling.outside import Undeliverable
from usher_simulator.own_clients import DIRECT, without_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from usher_simulator.autoscaling.groups import Group, Hook

# As botocore spells them in AWS_ENDPOINT_URL_<service>.
_SPELT: Final = {
    "elbv2": "ELASTIC_LOAD_BALANCING_V2",
    "events": "EVENTBRIDGE",
    "lambda": "LAMBDA",
    "sns": "SNS",
    "sqs": "SQS",
    "sts": "STS",
}
_PARTS_OF_AN_ARN: Final = 6
# The last two: what answers is no AWS, and an endpoint that is no URL.
_FAILURES: Final = (BotoCoreError, ClientError, ResponseParserError, ValueError)
# One attempt: a put waits for its test message. An endpoint on the same machine answers, late where that is
# busy, or is not there.
_CONFIG: Final = DIRECT.merge(Config(connect_timeout=10, read_timeout=120, retries={"total_max_attempts": 1}))


class AwsOutside:
    """Implements usher_simulator.autoscaling.outside.Outside with boto3 clients.

    A test message goes out within the call, and fails it; others use the engine meanwhile, for the
    target may ask Auto Scaling something before it takes the message. Everything else is sent by one
    thread in the order in which it was asked for. So a slow queue never holds the engine. Where a message
    of an action cannot be delivered, `undeliverable` is told the action's token.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        undeliverable: Callable[[str], None],
        let_go: Callable[[], AbstractContextManager[None]],
        say: Callable[[str], None],
    ) -> None:
        self._environment = environment
        self._undeliverable = undeliverable
        self._let_go = let_go
        self._say = say
        self._said: set[str] = set()
        self._session = Session(  # where the environment has no keys, boto3 looks for some itself
            botocore_session=without_profile() if environment.get("AWS_ACCESS_KEY_ID") else None,
            region_name=REGION,
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        )
        self._making = Lock()  # sessions are not made for threads
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closed = False
        self._sender = Thread(target=self._send, name="sender")
        self._sender.start()

    def close(self) -> None:
        """End the thread, after what it is sending right now."""
        self._closed = True
        self._jobs.put(None)
        self._sender.join()

    def event(self, event: Mapping[str, Any]) -> None:
        """Put on the default bus. A bus that takes no events of aws.* is no fault of the hook's."""
        self._jobs.put(lambda: self._put_event(event))

    def notify(self, hook: Hook, body: Mapping[str, Any], subject: str) -> None:
        """Publish with the hook's role. Raises Undeliverable only for a test message."""
        token = body.get("LifecycleActionToken")
        if token is None:
            with self._let_go():
                self._publish(hook, body, subject)
        else:
            self._jobs.put(lambda: self._publish_or_tell(hook, body, subject, token))

    def register(self, group: Group, instance_id: str) -> None:
        """Add the instance to the target groups of its group."""
        arns = group.settings.get("TargetGroupARNs") or []
        self._jobs.put(lambda: self._balance("register_targets", arns, instance_id))

    def deregister(self, group: Group, instance_id: str) -> None:
        """Take the instance from the target groups of its group."""
        arns = group.settings.get("TargetGroupARNs") or []
        self._jobs.put(lambda: self._balance("deregister_targets", arns, instance_id))

    # -- in the thread ------------------------------------------------------------------------

    def _send(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._closed:
                job()

    def _put_event(self, event: Mapping[str, Any]) -> None:
        entry = {
            "Time": event["time"],
            "Source": event["source"],
            "Resources": event["resources"],
            "DetailType": event["detail-type"],
            "Detail": _json(event["detail"]),
        }
        try:
            answer = self._call("events", REGION, "put_events", Entries=[entry])
        except Undeliverable as refusal:
            self._say_once(f"No event bus takes the events of Auto Scaling: {refusal}")
            return
        for refused in answer.get("Entries", []):
            if "ErrorCode" in refused:
                why = f"{refused['ErrorCode']}: {refused.get('ErrorMessage', '')}"
                self._say_once(f"The event bus refuses the events of Auto Scaling: {why}")

    def _publish_or_tell(self, hook: Hook, body: Mapping[str, Any], subject: str, token: str) -> None:
        try:
            self._publish(hook, body, subject)
        except Undeliverable:
            self._undeliverable(token)

    def _balance(self, operation: str, target_groups: Sequence[str], instance_id: str) -> None:
        for arn in target_groups:
            try:
                targets = [{"Id": instance_id}]
                self._call("elbv2", _parts(arn)[3], operation, TargetGroupArn=arn, Targets=targets)
            except Undeliverable as refusal:
                self._say_once(f"{operation} failed for {arn}: {refusal}")

    # -- in either ----------------------------------------------------------------------------

    def _publish(self, hook: Hook, body: Mapping[str, Any], subject: str) -> None:
        arn = hook.target_arn or ""
        try:
            self._publish_to(arn, hook.role_arn, _json(body), subject)
        except (Undeliverable, KeyError) as refusal:  # KeyError: an answer that lacks what AWS's has
            self._say_once(f"Cannot deliver to {arn}: {refusal}")
            raise Undeliverable(arn) from refusal

    def _publish_to(self, arn: str, role_arn: str | None, text: str, subject: str) -> None:
        _, _, service, region, account, name = _parts(arn)
        if service not in ("sqs", "sns", "lambda"):
            raise Undeliverable(f"{arn} is no queue, topic or function")
        role = self._assume(role_arn, region) if role_arn else {}
        call = partial(self._call, service, region, credentials=role)
        match service:
            case "sqs":
                url = call("get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
                call("send_message", QueueUrl=url, MessageBody=text)
            case "sns":
                call("publish", TopicArn=arn, Message=text, Subject=subject)
            case "lambda":
                call("invoke", FunctionName=arn, InvocationType="Event", Payload=text)

    def _assume(self, role_arn: str, region: str) -> dict[str, str]:
        answer = self._call("sts", region, "assume_role", RoleArn=role_arn, RoleSessionName="AutoScaling")
        given = answer["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def _call(
        self,
        service: str,
        region: str,
        operation: str,
        *,
        credentials: Mapping[str, str] | None = None,
        **asked: object,
    ) -> Any:  # noqa: ANN401 - the answer of any operation
        """Call an operation with a client of its own. Raises Undeliverable for whatever goes wrong."""
        endpoint = self._endpoint(service)
        try:
            with self._making:
                client = self._session.client(
                    service, region_name=region, endpoint_url=endpoint, config=_CONFIG, **(credentials or {})
                )
            with closing(client):
                return getattr(client, operation)(**asked)
        except _FAILURES as error:
            raise Undeliverable(str(error)) from error

    def _endpoint(self, service: str) -> str:
        names = (f"AWS_ENDPOINT_URL_{_SPELT[service]}", "AWS_ENDPOINT_URL")
        for name in names:
            if self._environment.get(name):
                return self._environment[name]
        raise Undeliverable(f"set {' or '.join(reversed(names))}")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _parts(arn: str) -> list[str]:
    parts = arn.split(":", _PARTS_OF_AN_ARN - 1)
    if len(parts) != _PARTS_OF_AN_ARN:
        raise Undeliverable(f"{arn!r} is no ARN")
    return parts


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
