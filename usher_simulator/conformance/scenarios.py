"""Scenarios as data: calls, time that passes, and what must be answered and told.

conformance/README.md has the format. A file is YAML: `given` (anchors, which nothing reads) and `scenarios`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from usher_simulator.spans import span_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OF_A_CALL: Final = {"call", "with", "answer", "error", "keep", "within", "times"}
_OF_A_SCENARIO: Final = {"name", "source", "needs", "steps"}
NEEDS: Final = ("clock", "events", "targets", "health")


class InvalidScenario(ValueError):  # noqa: N818 - it reads as what happened
    """A scenario file breaks the format; the text names the scenario and says what is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of an operation, and what must come of it."""

    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = None  # a part of the answer; None: any
    error: Mapping[str, Any] | None = None  # code and message of a refusal
    keep: Mapping[str, str] = field(default_factory=dict)  # names for values of the answer, by JMESPath
    within: timedelta = timedelta(0)  # how long it may take until the answer is as expected
    times: int = 1  # how often it is made; `${n}` counts from 1


@dataclass(frozen=True, slots=True)
class Advance:
    """Time passes."""

    span: timedelta


@dataclass(frozen=True, slots=True)
class Told:
    """What the event bus, or the target of the hooks, was told since the scenario began, in order."""

    by: str  # "events" or "messages"
    expected: list[Any]


@dataclass(frozen=True, slots=True)
class Do:
    """Something happens outside the API."""

    what: str  # "target gone" | "instance ended"
    of: str = ""


Step: TypeAlias = Call | Advance | Told | Do


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """Steps, and the source that says that they must go so."""

    name: str
    source: str
    needs: frozenset[str]
    steps: tuple[Step, ...]
    file: str


def load(folder: Path) -> list[Scenario]:
    """All scenarios below a folder, by file. Raises InvalidScenario, OSError."""
    found = [
        _scenario(written, file.stem)
        for file in sorted(folder.rglob("*.yaml"))
        for written in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("scenarios") or []
    ]
    names = [scenario.name for scenario in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidScenario(f"{twice[0]}: two scenarios have this name")
    return found


def _scenario(written: Any, file: str) -> Scenario:  # noqa: ANN401 - whatever the file has
    name = written.get("name") if isinstance(written, dict) else None
    if not isinstance(name, str):
        raise InvalidScenario(f"{file}: a scenario must have a name")
    _only(name, written, _OF_A_SCENARIO)
    if not written.get("source") or not written.get("steps"):
        raise InvalidScenario(f"{name}: a scenario must have a source and steps")
    needs = frozenset(written.get("needs") or [])
    if needs - set(NEEDS):
        raise InvalidScenario(f"{name}: needs must be of {', '.join(NEEDS)}")
    steps = tuple(_step(name, step) for step in written["steps"])
    return Scenario(name=name, source=str(written["source"]), needs=needs, steps=steps, file=file)


def _step(scenario: str, written: Mapping[str, Any]) -> Step:
    match next(iter(written)):
        case "call":
            _only(scenario, written, _OF_A_CALL)
            return Call(
                operation=written["call"],
                parameters=written.get("with") or {},
                answer=written.get("answer"),
                error=written.get("error"),
                keep=written.get("keep") or {},
                within=_span(scenario, written.get("within", "0s")),
                times=int(written.get("times", 1)),
            )
        case "advance":
            return Advance(_span(scenario, written["advance"]))
        case "events" | "messages" as by:
            return Told(by, written[by])
        case "do":
            return Do(written["do"], str(written.get("of", "")))
        case unknown:
            raise InvalidScenario(f"{scenario}: no step is called {unknown}")


def _only(scenario: str, written: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(written) - known)
    if unknown:
        raise InvalidScenario(f"{scenario}: unknown key {unknown[0]}")


def _span(scenario: str, text: str) -> timedelta:
    try:
        return span_of(text)
    except ValueError as error:
        raise InvalidScenario(f"{scenario}: {error}") from error
