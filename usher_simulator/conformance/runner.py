"""Runs a scenario on an endpoint, and says whether the endpoint agrees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import jmespath
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from usher_simulator.conformance.matching import differences, filled_in
from usher_simulator.conformance.scenarios import Advance, Call, Do, Told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.conformance.scenarios import Scenario, Step

_LOOK_EVERY: Final = timedelta(seconds=1)


class Endpoint(Protocol):
    """An implementation of Auto Scaling's API, and what else of it can be reached."""

    client: Any  # a boto3 client of Auto Scaling
    offers: frozenset[str]  # of scenarios.NEEDS

    def advance(self, span: timedelta) -> None:
        """Let time pass. Raises TooLong where nobody wants to wait so long."""
        ...

    def told(self, by: str, group: str) -> list[Any]:
        """What the event bus, or the target, was told of a group, in order."""
        ...

    def do(self, what: str, of: str) -> None:
        """Let something happen outside the API."""
        ...


class TooLong(Exception):  # noqa: N818 - it reads as what happened
    """The endpoint offers no virtual clock, and the time is too long to wait for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What an endpoint made of a scenario."""

    scenario: str
    status: str  # "agrees" | "differs" | "not run"
    why: str = ""  # the step and the difference, or what the endpoint does not offer


def run(scenario: Scenario, endpoint: Endpoint, number: int = 1) -> Outcome:
    """Run one scenario. `number` makes its names differ from those of others on the same endpoint."""
    lacks = sorted(scenario.needs - endpoint.offers)
    if lacks:
        return Outcome(scenario=scenario.name, status="not run", why=f"offers no {', '.join(lacks)}")
    try:
        why = _Run(endpoint, f"conformance-{number}").all(scenario.steps)
    except TooLong as too_long:
        return Outcome(scenario=scenario.name, status="not run", why=str(too_long))
    return Outcome(scenario=scenario.name, status="differs" if why else "agrees", why=why)


class _Run:
    """One run, with what its steps have kept."""

    def __init__(self, endpoint: Endpoint, group: str) -> None:
        self._endpoint = endpoint
        self._group = group
        self._kept: dict[str, Any] = {
            "group": group,
            "target": "arn:aws:sqs:us-east-1:111122223333:conformance",
            "role": "arn:aws:iam::111122223333:role/conformance",
        }

    def all(self, steps: tuple[Step, ...]) -> str:
        """The first difference, with its step; empty if there is none."""
        for number, step in enumerate(steps, start=1):
            try:
                why = self._one(step)
            except KeyError as unknown:
                why = f"nothing was kept as {unknown}"
            if why:
                said = step.operation if isinstance(step, Call) else type(step).__name__.lower()
                return f"step {number}, {said}: {why}"
        return ""

    def _one(self, step: Step) -> str:
        match step:
            case Advance():
                self._endpoint.advance(step.span)
                return ""
            case Do():
                self._endpoint.do(step.what, str(filled_in(step.of, self._kept)))
                return ""
            case Told():
                told = self._endpoint.told(step.by, self._group)
                return next(differences(filled_in(step.expected, self._kept), told, step.by), "")
            case Call():
                return next(filter(None, map(partial(self._within, step), range(1, step.times + 1))), "")

    def _within(self, step: Call, number: int) -> str:
        """Call until it is as expected, at most for so long, and no longer than anybody wants to wait."""
        self._kept["n"] = str(number)
        left = step.within
        while (why := self._call(step)) and left > timedelta(0):
            try:
                self._endpoint.advance(_LOOK_EVERY)
            except TooLong:
                return why
            left -= _LOOK_EVERY
        return why

    def _call(self, step: Call) -> str:
        given = filled_in(step.parameters, self._kept)
        try:
            answer = getattr(self._endpoint.client, xform_name(step.operation))(**given)
        except ClientError as error:
            return _refused(step, error.response["Error"], self._kept)
        except (BotoCoreError, ResponseParserError) as error:  # the second: what answers is no AWS
            return f"no answer: {error}"
        if step.error is not None:
            return f"expected {step.error.get('code')}, got an answer"
        answer.pop("ResponseMetadata", None)
        why = next(differences(filled_in(step.answer or {}, self._kept), answer), "")
        if not why:
            self._kept |= {name: jmespath.search(path, answer) for name, path in step.keep.items()}
        return why


def _refused(step: Call, error: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    if step.error is None:
        return f"expected an answer, got {error['Code']}: {error['Message']}"
    expected = {key.capitalize(): value for key, value in filled_in(step.error, kept).items()}
    return next(differences(expected, error, "error"), "")
