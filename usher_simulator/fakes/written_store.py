"""The store in memory, which keeps of each value what the table would: its written form, read back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from usher.aws import evidence_format, record_format
from usher.aws.items.findings import finding_from_data, finding_to_data
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action, ActivityEnd, Signal
    from usher.core.evidence import Kept
    from usher.core.finding import Findings
    from usher.ports.records import Raw

# After a rollback, records hold what a later release wrote.
_OF_A_LATER_RELEASE: Final = {"of_a_later_release": {"since": [1]}}


def read_back(action: Action) -> Action:
    """The action as the next function reads it; lines that are too many for it are items of their own."""
    read = record_format.action_from_data(_through_json(record_format.action_to_data(action.as_stored)))
    return replace(read, recent=action.recent) if action.has_full_lines else read


class WrittenStore(MemoryStore):
    """See MemoryStore."""

    def _put(self, action: Action, raw: Raw | None) -> None:
        super()._put(read_back(action), raw)

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.records.EvidenceStore."""
        written = _through_json(evidence_format.signal_to_data(signal))
        return super().keep_signal(evidence_format.signal_from_data(written))

    def keep_move_end(self, activity_end: ActivityEnd) -> None:
        """See usher.ports.records.EvidenceStore."""
        written = _through_json(evidence_format.activity_end_to_data(activity_end))
        super().keep_move_end(evidence_format.activity_end_from_data(written))

    def keep_findings(self, action: Action, findings: Findings) -> None:
        """See usher.ports.records.FindingsKept."""
        written = {
            "found": [finding_to_data(each) for each in findings.found],
            "lines": [record_format.entry_to_data(each) for each in findings.lines],
        }
        read = _through_json(written)
        found = tuple(map(finding_from_data, read["found"]))
        lines = tuple(map(record_format.entry_from_data, read["lines"]))
        super().keep_findings(action, replace(findings, found=found, lines=lines))


def _through_json(data: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(json.dumps({**data, **_OF_A_LATER_RELEASE}))
    return written
