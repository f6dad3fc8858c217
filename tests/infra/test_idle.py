"""What an idle stack costs in a month: docs/operations.md has the lines, and tests/idle.py counts them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.idle import month

PAGE: Final = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
MOST: Final = 3.50  # dollars, without the dashboard
_, TABLE = PAGE.split("### An idle month")


def test_the_page_has_each_line_of_an_idle_month_and_their_sum() -> None:
    lines = month()
    rows = [f"| {name} | {line.amount:,.0f} | {line.dollars:.2f} |" for name, line in lines.items()]
    total = sum(line.dollars for line in lines.values())

    assert re.findall(r"^\| .+ \| [\d,]* ?\| [\d.]+ \|$", TABLE, re.MULTILINE) == [
        *rows,
        f"| sum | | {total:.2f} |",
    ]
    without_dashboard = total - lines["dashboard"].dollars
    assert f"**${without_dashboard:.2f}**" in TABLE
    assert without_dashboard <= MOST
