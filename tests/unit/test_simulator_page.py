"""docs/simulator.md lists what the simulator does: operations, refusals, assumptions, moves."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.simulator_page import refusals
from usher_simulator.autoscaling import moves
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.engine import Assumptions
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError, Request, service_model

PAGE: Final = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
STATES: Final = ("modelled", "simplified", "assumed", "absent", "a choice", "drawn")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = PAGE.split(f"### {heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    lines = table[0].splitlines()[2:] if table else []
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


OPERATIONS: Final = {operation: state for operation, state, _ in rows("Operations")}


def test_every_operation_of_the_api_is_listed_as_it_is() -> None:
    simulated = set(an_account(datetime(2026, 3, 1, tzinfo=UTC)).service.operations)
    assert set(OPERATIONS) == set(service_model().operation_names)
    assert {one for one, state in OPERATIONS.items() if not state.startswith("absent")} == simulated


@pytest.mark.parametrize(
    "operation", [one for one, state in OPERATIONS.items() if state.startswith("absent")]
)
def test_an_absent_operation_is_refused_as_one_that_nobody_may_call(operation: str) -> None:
    account = an_account(datetime(2026, 3, 1, tzinfo=UTC))
    with pytest.raises(ApiError) as refused:
        account.service(Request(operation=operation, parameters={}))
    assert (refused.value.code, refused.value.status) == ("AccessDenied", 403)


def test_every_refusal_is_listed_and_no_other() -> None:
    listed = [(code.strip("`"), text) for code, text, _ in rows("Refusals")]
    assert sorted(listed) == sorted(refusals())


@pytest.mark.parametrize(
    "heading", ["Operations", "Refusals", "Hooks", "Lifecycle actions", "Moves", "Groups", "Messages", "Time"]
)
def test_every_row_has_a_state(heading: str) -> None:
    states = [row[2] if heading == "Refusals" else row[1] for row in rows(heading)]
    assert states
    assert [state for state in states if not any(word in state for word in STATES)] == []


@pytest.mark.parametrize("switch", [field.name for field in fields(Assumptions)])
def test_every_switch_has_its_row(switch: str) -> None:
    assert f"`{switch}`" in PAGE


@pytest.mark.parametrize("kind", moves.KINDS, ids=lambda kind: kind.name)
def test_every_move_is_named(kind: moves.MoveKind) -> None:
    assert f"| {kind.name} |" in PAGE


@pytest.mark.parametrize("by", [by for by in EndedBy if by is not EndedBy.OTHER])
def test_every_end_of_a_wait_is_named(by: EndedBy) -> None:
    assert f"`{by}`" in PAGE
