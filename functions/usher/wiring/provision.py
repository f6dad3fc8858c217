"""The function `provision`, which CloudFormation calls."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from typing import Any

import boto3

from usher.aws.groups import GroupsApi
from usher.aws.stacks import StackStatus
from usher.aws.telemetry import flushing
from usher.core.compiled import InEffect
from usher.invocation import Context, Event, Handler, has_time
from usher.provision import Provision
from usher.release import Release
from usher.settings import EnrolmentSettings
from usher.wiring import enrolling, machine
from usher.wiring.parts import parts


def handler() -> Handler:
    """What puts the hooks of a deploy, and lets go of everything. Raises SettingsRefused."""
    made = parts()
    settings = EnrolmentSettings.from_environment(os.environ)
    releasing = Release(
        evaluate=made.evaluator.evaluate,
        store=made.records,
        auto_scaling=made.evaluator.auto_scaling,
        call_budget=made.evaluator.call_budget,
        telemetry=made.telemetry,
        clock=machine.now,
        new_id=machine.new_id,
        targets=settings.targets,
        hooks=GroupsApi(made.auto_scaling),
        live=made.waiting,
        enrolments=made.items(),
        open_actions=made.records,
        wait=time.sleep,
        work=machine.several_at_once(),
    )
    provisioning = Provision(
        enrolment=lambda file: enrolling.enrolment(made, settings, InEffect(file=file)),
        in_effect=lambda: made.versions().at(machine.now()),
        release=releasing,
        status=StackStatus(boto3.client("cloudformation", config=machine.FEW_ATTEMPTS)),
        respond=_put_answer,
    )

    def handler(event: Event, context: Context | None = None) -> Event:
        provisioning.handle(event, lambda: has_time(context))
        return {}

    return flushing(handler, made.metrics)


def _put_answer(url: str, answer: dict[str, Any]) -> None:
    """To the address that CloudFormation gave, which is one of its own buckets."""
    body = json.dumps(answer).encode()
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
