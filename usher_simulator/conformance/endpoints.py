"""Endpoints that scenarios can run on: the simulator in this process, and any other over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.conformance.runner import TooLong
from usher_simulator.conformance.scenarios import NEEDS

if TYPE_CHECKING:
    from usher_simulator.autoscaling.latencies import Latencies

TARGET: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:conformance"
_START: Final = datetime(2026, 3, 1, tzinfo=UTC)


class InProcess:
    """The simulator, new and empty, on a virtual clock."""

    offers = frozenset(NEEDS)

    def __init__(self, latencies: Latencies | None = None) -> None:
        self._account = an_account(_START) if latencies is None else an_account(_START, latencies=latencies)
        self._messages: list[Any] = []
        self._account.outside.targets[TARGET] = lambda text: self._messages.append(json.loads(text))
        self.client: Any = self._account.client

    def advance(self, span: timedelta) -> None:
        """See Endpoint."""
        self._account.clock.run_until(self._account.clock() + span)

    def told(self, by: str, group: str) -> list[Any]:
        """See Endpoint."""
        if by == "messages":
            return [body for body in self._messages if body["AutoScalingGroupName"] == group]
        events = self._account.outside.events
        return [event for event in events if event["detail"]["AutoScalingGroupName"] == group]

    def do(self, what: str, of: str) -> None:
        """See Endpoint."""
        if what == "instance ended":
            self._account.fleet.ec2_terminated(of)
        else:
            self._account.outside.targets.clear()


class Unreachable(Exception):  # noqa: N818 - it reads as what happened
    """Nothing answers there; the text says where and why."""


class OverHttp:
    """Any server of the API.

    Where it has no `clock`, a URL that takes a form such as `advance=40s`, time passes as it does there,
    and long waits are not run.
    """

    def __init__(self, url: str, longest_wait: timedelta, clock: str | None = None) -> None:
        self.offers = frozenset({"clock"} if clock else ())
        self._left = longest_wait
        self._clock = clock
        self.client: Any = boto3.client(
            "autoscaling",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106 - no secret
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
        )

    def try_it(self) -> None:
        """Raises Unreachable where nothing answers at the URL."""
        try:
            self.client.describe_lifecycle_hook_types()
        except BotoCoreError as error:
            raise Unreachable(str(error)) from error
        except (ClientError, ResponseParserError):  # it answers, and what it says is for the scenarios
            return

    def advance(self, span: timedelta) -> None:
        """See Endpoint. Raises Unreachable where the clock does not answer."""
        if self._clock is not None:
            form = urlencode({"advance": f"{span.total_seconds():g}s"}).encode()
            try:
                with urlopen(self._clock, data=form, timeout=30):  # noqa: S310 - a URL of the caller's own
                    return
            except OSError as error:
                raise Unreachable(f"the clock at {self._clock} does not answer: {error}") from error
        if span > self._left:
            raise TooLong("offers no virtual clock")
        self._left -= span
        Event().wait(span.total_seconds())

    def told(self, by: str, group: str) -> list[Any]:
        """See Endpoint."""
        raise NotImplementedError(by, group)

    def do(self, what: str, of: str) -> None:
        """See Endpoint."""
        raise NotImplementedError(what, of)
