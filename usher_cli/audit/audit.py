"""All promises that records can show, held against the records of some actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher_cli.audit import by_policy, explained, together
from usher_cli.audit.by_default import Evaluations, never_by_default

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from usher_cli.audit.told import Told
    from usher_cli.audit.verdicts import Verdict

_OF_EACH: Final = (
    explained.one_result,
    by_policy.never_early,
    explained.only_ours,
    by_policy.in_time,
    explained.explained,
)


def audited(all_told: Sequence[Told]) -> Iterator[Verdict]:
    """What is broken, and what is unknown, in the order of the actions, then of all of them together."""
    evaluations = Evaluations(all_told)
    for told in all_told:
        for check in _OF_EACH:
            yield from check(told)
        yield from never_by_default(told, evaluations)
    yield from together.limits(all_told)
    yield from together.at_once(all_told)
