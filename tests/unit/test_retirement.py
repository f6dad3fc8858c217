"""The second look at a hook that is to be deleted: whoever waits in it by then keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import at
from tests.unit.test_ownership import ITEM
from usher.core.frozen import replace
from usher.core.hook_items import HookState
from usher.core.live_waits import LiveGroup
from usher.passes.retirement import Departure, Retirement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from usher.core.hook_items import Enrolled

QUIET = replace(
    ITEM, state=HookState.RETIRING, retiring_since=at(-600), let_through_from=at(-540), quiet_at=at(-300)
)


@dataclass
class World:
    """Implements what Departure needs: nobody is seen in the group, and the records come to know somebody."""

    in_use: list[bool]
    stored: list[Enrolled] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def hooks_in_use(self) -> Collection[tuple[str, str]]:
        return {QUIET.key} if self.in_use.pop(0) else set()

    def live_groups(self, names: Collection[str] | None, next_slot: object) -> Iterator[LiveGroup]:  # noqa: ARG002
        yield LiveGroup(
            name="web", tags=(), members={}, has_pool=False, seen_at=at(0), is_whole=True, arn="arn:web"
        )

    def keep(self, record: Enrolled) -> Enrolled:
        self.stored.append(record)
        return record

    def forget(self, record: Enrolled) -> None:
        self.done.append(f"forgot {record.hook}")

    def delete_hook(self, record: Enrolled) -> None:
        self.done.append(f"deleted {record.hook}")


@pytest.mark.parametrize(
    ("in_use", "ends_as", "done"),
    [
        pytest.param([False, False], Retirement.DELETED, ["deleted drain", "forgot drain"], id="nobody"),
        pytest.param([True], Retirement.BUSY, [], id="somebody before"),
        pytest.param(
            [False, True], Retirement.BUSY, [], id="somebody while the calls waited for their slots"
        ),
    ],
)
def test_a_record_that_is_quicker_than_the_live_state_keeps_the_hook_until_the_delete_is_announced(
    in_use: list[bool], ends_as: Retirement, done: list[str]
) -> None:
    """Intake may work by a file that has the hook again, and hold in it what the group does not show yet."""
    world = World(in_use)
    of: Any = world  # as far as it is asked
    departure = Departure(hooks=of, live=of, items=of, open_actions=of, clock=lambda: at(0))
    assert departure.step(QUIET, lambda: at(0)) is ends_as
    assert world.done == done
    if ends_as is Retirement.BUSY:
        assert (world.stored[-1].quiet_at, world.stored[-1].deleting_at) == (None, None)
