"""The function `release`, which CloudFormation calls."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from usher import handlers
from usher.aws.enrolled import EnrolledHooks
from usher.aws.groups import GroupsApi
from usher.aws.telemetry import flushing
from usher.release import Release
from usher.wiring import machine


def handler() -> handlers.Handler:
    """What lets go of everything."""
    made = machine.parts()
    releasing = Release(
        looks=made.looks,
        hooks=GroupsApi(made.auto_scaling),
        enrolments=EnrolledHooks(made.dynamodb, made.settings.table, machine.now, 0),
        open_actions=made.records,
        respond=_put_answer,
        wait=time.sleep,
        work=machine.several_at_once(),
    )

    def handler(event: handlers.Event, context: handlers.Context | None = None) -> handlers.Event:
        releasing.handle(event, lambda: handlers.has_time(context))
        return {}

    return flushing(handler, made.metrics)


def _put_answer(url: str, answer: dict[str, Any]) -> None:
    """To the address that CloudFormation gave, which is one of its own buckets."""
    body = json.dumps(answer).encode()
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
