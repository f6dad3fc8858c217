"""What a sweep with its reconcile reads of many open actions: counted, on the real adapters."""

from __future__ import annotations

from benchmarks.scale import swept

OPEN = 3_200
MOST_UNITS_OF_100_000 = 3_500


def test_a_pass_reads_the_rows_of_open_actions_and_loads_no_record_that_is_not_in_doubt() -> None:
    none, many = swept(0), swept(OPEN)

    assert many["loaded"] == 0
    assert many["read_units"] - none["read_units"] <= MOST_UNITS_OF_100_000 * OPEN / 100_000
