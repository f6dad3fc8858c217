"""What a record holds and the live state does not show is evaluated, and asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from usher.core import adoption, closing, evidence, reconcile
from usher.core.action import Outcome, Phase, Transition
from usher.core.frozen import frozen
from usher.ports.errors import CallRefused, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.live_waits import LiveGroup
    from usher.passes.scene import Scene
    from usher.ports.autoscaling import InstanceStates
    from usher.ports.records import ReconcileStore
    from usher.ports.telemetry import Telemetry

FORGOTTEN_BY_EC2: Final = timedelta(minutes=15)  # a new instance may be shown late, an ended one no more
_AT_ONCE: Final = 200  # of the records in doubt; as many instances as EC2 is asked about in a call
_ENDED_STATES: Final = ("shutting-down", "terminated")


@frozen
class Doubt:
    """What compares records with the live state. `change` stores on top of whatever is newest."""

    instances: InstanceStates
    store: ReconcileStore
    telemetry: Telemetry
    clock: Callable[[], datetime]
    change: Callable[[Action, Callable[[Action], Action]], None]

    def run(self, scene: Scene) -> None:
        """All three. Only the records are loaded of which their rows leave a doubt."""
        self._close_twins(scene)
        for name in scene.open_waits.groups:
            group = scene.groups.get(name)
            in_doubt = self.store.open_of(scene.open_waits.in_doubt(name, group))
            for actions in _parts(in_doubt):
                self._doubt(actions, group, group.seen_at if group else scene.listed_at)
                self._end_the_dead(reconcile.may_be_dead(actions, scene.groups))

    def _close_twins(self, scene: Scene) -> None:
        together = self.store.open_of(scene.open_waits.of_adopted())
        for adopted, other in adoption.twins(together):
            self.change(adopted, partial(_twin_closed, other=other, now=self.clock()))

    def _doubt(self, actions: Sequence[Action], group: LiveGroup | None, seen_at: datetime) -> None:
        for action in actions:
            if reconcile.waits_no_more(action, group, seen_at) is not None:
                self.change(action, partial(_doubted, group=group, seen_at=seen_at, now=self.clock()))

    def _end_the_dead(self, suspects: Sequence[Action]) -> None:
        """A hook holds an instance that EC2 has ended until its timeout (aws-facts 2.5)."""
        if not suspects:
            return
        asked_at = self.clock()
        try:
            states = self.instances.states(sorted({action.instance_id for action in suspects}))
        except (TryLater, CallRefused) as error:
            self.telemetry.trouble("EC2 did not answer whether unhealthy instances have ended", error)
            return
        now = self.clock()
        for action in suspects:
            state = states.get(action.instance_id)
            if state in _ENDED_STATES or (state is None and _is_forgotten(action, now)):
                self.store.keep_instance_end(action.instance_id, now)
                self.change(action, partial(evidence.due_now, now=now))
            elif state is not None:
                is_stopped = state == "stopped"
                self.store.keep_instance_state(action.instance_id, asked_at, is_stopped=is_stopped)
                if is_stopped:
                    self.change(action, partial(evidence.due_now, now=now))


def _parts(actions: Iterable[Action]) -> Iterator[Sequence[Action]]:
    """A few at once, so that little is kept of many."""
    left = iter(actions)
    while part := list(islice(left, _AT_ONCE)):
        yield part


def _twin_closed(action: Action, other: Action, now: datetime) -> Action:
    if action.phase is not Phase.OPEN:
        return action  # its result is on its way, and is the only one: the other meets "No active"
    reason = f"known by its token, as action {other.id}"
    return replace(closing.closed(action, Outcome.ENDED_ELSEWHERE, reason, now), booked_at=None)


def _doubted(action: Action, group: LiveGroup | None, seen_at: datetime, now: datetime) -> Action:
    """Asked anew of the newest state: it may have sent a heartbeat since."""
    detail = reconcile.waits_no_more(action, group, seen_at)
    return action if detail is None else reconcile.doubted(action, detail, now)


def _is_forgotten(action: Action, now: datetime) -> bool:
    """Whether EC2 not knowing an instance means that it is gone.

    That is no word of its own, so it ends no launch: what was taken for gone would be replaced.
    """
    is_old = now - action.started_at > FORGOTTEN_BY_EC2
    return is_old and action.hook.transition is Transition.TERMINATING
