"""The reconcile pass: live wait states against the records, in few describe calls.

Nothing here is taken for granted of an event. What waits unknown is adopted, if a heartbeat by
instance shows that our hook holds it; what a record holds and the live state does not show is
evaluated, and asks. Each call waits for a slot of the shared budget; with none in sight the pass
ends, and the next one finds what is left.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from usher.core import live_waits
from usher.core.frozen import frozen
from usher.core.open_waits import OpenWaits, Place
from usher.core.ownership import terms_on
from usher.core.round_robin import share
from usher.evaluation.call_budget import NoCallLeft
from usher.evaluation.record_writer import RecordWriter
from usher.evaluation.wake_ups import WakeUpScheduler
from usher.passes.adoption import Adoption
from usher.passes.doubt import Doubt
from usher.passes.drift import Drift
from usher.passes.failing_groups import PassedOver
from usher.passes.retained import RetainedPass
from usher.passes.scene import Scene
from usher.ports.errors import GroupGone, Moved, Throttled, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from usher.core.action import Action
    from usher.core.hook_items import Enrolled
    from usher.core.live_waits import LiveGroup
    from usher.core.policy import Configuration
    from usher.core.wait_moves import WaitKind
    from usher.evaluation.call_budget import CallBudget
    from usher.ports.autoscaling import AutoScaling, InstanceStates, LiveWaits
    from usher.ports.hooks import AllHookItems
    from usher.ports.queues import WakeUps
    from usher.ports.records import ReconcileStore
    from usher.ports.telemetry import EnrolmentTelemetry

    NextSlot = Callable[[], datetime]

INTERVAL: Final = timedelta(minutes=2)
MOST_POOLS: Final = 20  # warm pools that one pass describes; all in turn
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Reconcile:
    """Everything that a pass touches."""

    configuration: Configuration
    items: AllHookItems
    live: LiveWaits
    instances: InstanceStates
    auto_scaling: AutoScaling
    store: ReconcileStore
    call_budget: CallBudget
    wake_ups: WakeUps
    telemetry: EnrolmentTelemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], object]  # in seconds, as time.sleep
    new_id: Callable[[], str]
    drifted: dict[str, int] = field(default_factory=dict)  # hooks by group, as long as the container lives

    @property
    def name(self) -> str:
        """As Pass."""
        return "reconcile"

    def run(self, has_time: Callable[[], bool] = lambda: True) -> None:
        """One pass, as far as time and slots go. Where Auto Scaling is busy it ends.

        Where a call on one group fails, that group is passed over. Raises CallRefused where one was refused,
        once all had their turn. What drifted is counted in each pass, also where its group has no turn in it:
        the alarm goes off again where nothing is counted.
        """
        try:
            self._run(partial(self.call_budget.wait_for_slot, self.clock, self.wait, has_time))
        except NoCallLeft:
            self.telemetry.count("ReconcilePutOff")
        except TryLater as busy:
            if isinstance(busy, Throttled):
                self.call_budget.back_off(self.clock())
                self.telemetry.count("Throttled")
            self.telemetry.count("ReconcilePutOff")
        finally:
            self.telemetry.count("HookDrift", sum(self.drifted.values()))

    def _run(self, next_slot: NextSlot) -> None:
        open_waits = self._open_waits()
        items = self._items()
        if not (self.configuration.hooks or open_waits.groups or items):
            return
        passed_over = PassedOver(telemetry=self.telemetry)
        scene = self._scene(open_waits, items, next_slot, passed_over)
        doubt, adoption, drift = self._doubt(), self._adoption(), self._drift()
        doubt.run(scene)
        adoption.run(scene, self._in_turn(scene.groups.values()), next_slot, passed_over)
        drift.run(scene, self._number(), next_slot, passed_over)
        RetainedPass(store=self.store, telemetry=self.telemetry, clock=self.clock).run(scene)
        passed_over.check()

    def _open_waits(self) -> OpenWaits:
        """The open actions, as their rows have them: no record is loaded."""
        found = OpenWaits()
        places: dict[tuple[str, str, WaitKind | None], Place] = {}
        for row in self.store.open_rows():
            place = (row.group, row.hook, row.wait)
            if place not in places:
                places[place] = Place(group=row.group, hook=row.hook, wait=row.wait)
            found.add(places[place], row.instance_id, row.action_id)
        return found

    def _items(self) -> Mapping[str, Sequence[Enrolled]]:
        """The items of hooks by group; one of another release that this one cannot read is left out."""
        found: defaultdict[str, list[Enrolled]] = defaultdict(list)
        for item in self.items.enrolled():
            if item.selector is not None:
                found[item.group].append(item)
        return found

    def _scene(
        self,
        open_waits: OpenWaits,
        items: Mapping[str, Sequence[Enrolled]],
        next_slot: NextSlot,
        passed_over: PassedOver,
    ) -> Scene:
        listed_at = self.clock()
        of_records = open_waits.groups | items.keys()
        names = self.configuration.group_names
        asked = None if names is None else names | of_records
        groups: dict[str, LiveGroup] = {}
        for group in self.live.live_groups(asked, next_slot):
            if group.name in of_records or live_waits.hooks_on(self.configuration.hooks, group):
                groups[group.name] = self._unsettled(group, open_waits, items)
        with_pool = sorted(name for name, group in groups.items() if group.has_pool)
        for name in share(with_pool, MOST_POOLS, self._number()):
            with passed_over.on(name), suppress(GroupGone):
                groups[name] = groups[name].with_pool(self.live.pool(name, next_slot))
        return Scene(groups=groups, listed_at=listed_at, open_waits=open_waits, items=items)

    def _unsettled(
        self, group: LiveGroup, open_waits: OpenWaits, items: Mapping[str, Sequence[Enrolled]]
    ) -> LiveGroup:
        """The group with those members of which there is something to ask, mostly few or none.

        With all of them where a pool may show them, too, and otherwise.
        """
        if group.has_pool:
            return group
        ours = terms_on(self.configuration, items.get(group.name, ()), group.name)
        unknown = {one.member.instance_id for one in live_waits.unrecorded(group, ours, open_waits)}
        return open_waits.settle(group, unknown)

    def _number(self) -> int:
        """Counts the passes, so that each group has its turn."""
        return (self.clock() - _EPOCH) // INTERVAL

    def _in_turn(self, groups: Iterable[LiveGroup]) -> Sequence[LiveGroup]:
        """All of them, beginning with another one in each pass: one that ends early gets to all in time."""
        ordered = sorted(groups, key=lambda group: group.name)
        first = self._number() % len(ordered) if ordered else 0
        return [*ordered[first:], *ordered[:first]]

    def _doubt(self) -> Doubt:
        return Doubt(
            instances=self.instances,
            store=self.store,
            telemetry=self.telemetry,
            clock=self.clock,
            change=self._change,
        )

    def _adoption(self) -> Adoption:
        return Adoption(
            configuration=self.configuration,
            live=self.live,
            auto_scaling=self.auto_scaling,
            store=self.store,
            writer=self._writer(),
            telemetry=self.telemetry,
            clock=self.clock,
            change=self._change,
        )

    def _drift(self) -> Drift:
        return Drift(
            configuration=self.configuration,
            live=self.live,
            store=self.store,
            telemetry=self.telemetry,
            clock=self.clock,
            change=self._change,
            known=self.drifted,
        )

    def _writer(self) -> RecordWriter:
        return RecordWriter(
            store=self.store,
            wake_ups=WakeUpScheduler(queue=self.wake_ups, telemetry=self.telemetry, clock=self.clock),
            new_id=self.new_id,
        )

    def _change(self, action: Action, change: Callable[[Action], Action]) -> None:
        """Store a change on top of whatever is newest; the next pass finds what keeps on moving."""
        newest = action

        def changed(now_stored: Action) -> Action:
            nonlocal newest
            newest = now_stored
            return change(now_stored)

        with suppress(Moved):
            after = self._writer().update(action, changed)
            if after is not None:
                self.call_budget.release_replaced(newest.booked_at, self.clock(), kept=after.booked_at)
