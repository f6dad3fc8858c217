"""Simulated Auto Scaling behind a URL, for one test: its time stands still until the test lets it pass.

Whatever makes a boto3 client with `environment` set speaks to it, in this process or another.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.client import respond_to
from usher_simulator.autoscaling.http_server import AnswerLost, Server
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import ApiError, service_model
from usher_simulator.own_clients import own_client, past_proxies
from usher_simulator.spans import span_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.query_protocol import Request
    from usher_simulator.autoscaling.simulated_targets import SimulatedOutside
    from usher_simulator.autoscaling.virtual_clock import VirtualClock

_START: Final = datetime(2026, 3, 1, tzinfo=UTC)


class Faults:
    """What goes wrong with the next calls of an operation."""

    def __init__(self, expire: Callable[[str], None]) -> None:
        self._throttled: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self.expire = expire

    def throttle(self, operation: str, times: int = 1) -> None:
        """Refuse the next calls as AWS does where too many come: nothing is done."""
        self._throttled[_known(operation)] += times

    def lose_answer(self, operation: str, times: int = 1) -> None:
        """Do what the next calls ask, and close the connection without an answer."""
        self._lost[_known(operation)] += times

    def refusal(self, request: Request) -> ApiError | None:
        """What the service is to refuse this call with."""
        if self._take(self._throttled, request.operation):
            return ApiError("Throttling", "Rate exceeded")
        return None

    def loses(self, operation: str) -> bool:
        """Whether the answer of this call is lost."""
        return self._take(self._lost, operation)

    def _take(self, counts: Counter[str], operation: str) -> bool:
        counts[operation] -= 1
        if counts[operation] < 0:
            del counts[operation]
            return False
        return True


def _known(operation: str) -> str:
    if operation not in service_model().operation_names:
        raise ValueError(f"no operation is called {operation}; write, for instance, CompleteLifecycleAction")
    return operation


class Clock:
    """The time of the simulator."""

    def __init__(self, advance: Callable[[timedelta], None], now: Callable[[], datetime]) -> None:
        self._advance = advance
        self._now = now

    @property
    def now(self) -> datetime:
        """The time."""
        return self._now()

    def advance(self, span: str) -> None:
        """Let time pass, such as `90s`, `10m` or `1h30m`; what is due meanwhile happens in its order."""
        self._advance(span_of(span))


@dataclass(kw_only=True)
class Simulated:
    """A simulated account. What it tells is told between two steps of its clock, in the test's own thread."""

    url: str
    clock: Clock
    faults: Faults
    client: Any  # a boto3 client of it
    fleet: Fleet
    _outside: SimulatedOutside
    _pending: deque[Callable[[], object]] = field(default_factory=deque)

    @property
    def environment(self) -> Mapping[str, str]:
        """What boto3 needs to find it, and no account of AWS."""
        return {
            "AWS_ENDPOINT_URL_AUTO_SCALING": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            # Whatever ~/.aws/config says: with any of them a client would not look at the endpoint.
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "AWS_USE_DUALSTACK_ENDPOINT": "false",
            "AWS_USE_FIPS_ENDPOINT": "false",
            **past_proxies(os.environ),
        }

    def target(self, arn: str, take: Callable[[str], object]) -> None:
        """Who takes the messages for the ARN of a queue, topic or function, as text: a test, or moto's."""
        self._outside.targets[arn] = lambda text: self._pending.append(lambda: take(text))

    def no_target(self, arn: str) -> None:
        """From now on that ARN takes no message."""
        self._outside.targets.pop(arn, None)

    def on_event(self, take: Callable[[Mapping[str, Any]], object]) -> None:
        """Who takes the events of the default bus. By default they come 3.5 to 130 s late, as recorded."""
        self._outside.bus = lambda event: self._pending.append(lambda: take(event))

    def create_group(
        self, name: str, hooks: Sequence[Mapping[str, Any]] = (), desired: int = 0, **settings: object
    ) -> None:
        """A group of at most 10 instances; hooks as LifecycleHookSpecificationList has them."""
        sizes = {"MinSize": 0, "MaxSize": 10, "DesiredCapacity": desired}
        asked = sizes | ANY_SOURCE | settings
        self.client.create_auto_scaling_group(
            AutoScalingGroupName=name, LifecycleHookSpecificationList=list(hooks), **asked
        )

    def states(self, group: str) -> list[str]:
        """The lifecycle states of its instances, oldest first; also of those in its warm pool."""
        found = self.fleet.groups.get(group)
        return [one.state for one in found.instances.values() if one.state] if found else []

    def actions(self, group: str) -> list[Wait]:
        """Every lifecycle action that the group ever had: when it began, how long it lasts, what ended it."""
        return self.fleet.waits.of_group(group)


@contextmanager
def simulated(seed: int = 0) -> Iterator[Simulated]:
    """A new, empty account on a free loopback port, while a block runs."""
    account, lock = an_account(_START, seed), Lock()
    clock, fleet = account.clock, account.fleet

    def expire(group: str) -> None:
        with lock:
            for wait in fleet.waits.of_group(group):
                fleet.waits.expire(wait)

    faults = Faults(expire)
    account.service.fault = faults.refusal

    def respond(body: str) -> tuple[int, str, str]:
        asked: list[str] = []

        def answer(request: Request) -> Mapping[str, Any]:
            asked.append(request.operation)
            return account.service(request)

        with lock:
            request_id = account.new_id()
            status, text = respond_to(body, answer, request_id)
            if any(faults.loses(operation) for operation in asked):
                raise AnswerLost
        return status, text, request_id

    with Server(0, respond) as server:
        listener = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        listener.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        client = own_client("autoscaling", url, "us-east-1", **keys)
        one = Simulated(
            url=url,
            clock=Clock(lambda span: _pass(clock, lock, one, span), clock),
            faults=faults,
            client=client,
            fleet=fleet,
            _outside=account.outside,
        )
        try:
            yield one
        finally:
            client.close()
            server.shutdown()
            server.hang_up()
            listener.join()


def _pass(clock: VirtualClock, lock: Lock, one: Simulated, span: timedelta) -> None:
    """Step by step; what is told is taken outside the lock, so that it may call the API."""
    end = clock() + span
    while True:
        with lock:
            due = clock.next_at is not None and clock.next_at <= end
            if due:
                clock.step()
            else:
                clock.run_until(end)
        while one._pending:  # noqa: SLF001 - its own
            one._pending.popleft()()  # noqa: SLF001
        if not due:
            return
