"""Bugs of the enrolment, of deploys and of the removal."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs.bug import Bug
from usher import hooks_source, provision, release
from usher.aws import groups
from usher.core import enrolment, ownership
from usher.core.action import Result
from usher.core.enrolment_steps import Put
from usher.core.hook_items import FileInForce
from usher.intake import opening
from usher.passes.retirement import Departure, Retirement
from usher_simulator.trials.faults import Thing
from usher_simulator.trials.judge.changes import ChangesHarmNobody
from usher_simulator.trials.judge.never_early import NeverEarly
from usher_simulator.trials.judge.only_ours import OnlyOurs

if TYPE_CHECKING:
    from usher.core.hook_items import Enrolled


def _at_once(_: Any) -> Any:
    def step(self: Departure, record: Enrolled, turn: Any) -> Retirement:
        turn()
        self.hooks.delete_hook(record)
        self.items.forget(record)
        return Retirement.DELETED

    return step


def _not_put(plan: Any) -> Any:
    return lambda *given: tuple(step for step in plan(*given) if not isinstance(step, Put))


def _put_once(plan: Any) -> Any:
    def planned(*given: Any) -> Any:
        return tuple(step for step in plan(*given) if not (isinstance(step, Put) and step.record.put_at))

    return planned


def _of_the_newest_item(terms: Any) -> Any:
    def found(configuration: Any, items: Any, *rest: Any) -> Any:
        known = list(items)
        as_it_is = terms(configuration, known, *rest)
        newest = ownership.newest(known)
        return as_it_is if newest is None else ownership.Terms(hook=newest.own_hook, item=newest)

    return found


_enrolled = partial(Bug, things=frozenset({Thing.ENROLLED}), found_by=ChangesHarmNobody)

BUGS: Final = (
    _enrolled(
        name="deletes a hook on its way out while somebody waits",
        place=Departure,
        attribute="step",
        made=_at_once,
    ),
    _enrolled(
        name="takes no hook back that left the file",
        place=Departure,
        attribute="step",
        made=lambda _: lambda *_: Retirement.BUSY,
    ),
    _enrolled(name="puts no hook", place=enrolment, attribute="plan", made=_not_put),
    _enrolled(
        name="puts no hook again that others deleted", place=enrolment, attribute="plan", made=_put_once
    ),
    _enrolled(
        name="notes a hook as put without a call",
        place=groups.GroupsApi,
        attribute="put_hook",
        made=lambda _: lambda *_: None,
    ),
    _enrolled(
        name="takes an update for a removal",
        place=provision,
        attribute="_GOING",
        made=lambda going: (*going, "UPDATE_IN_PROGRESS"),
    ),
    _enrolled(
        name="lets through what its hook held before it left the file",
        place=ownership.Terms,
        attribute="lets_through",
        made=lambda _: lambda self, *_: self.item is not None,
        found_by=NeverEarly,
    ),
    _enrolled(
        name="begins under the newest item, not the file",
        place=opening,
        attribute="terms",
        found_by=OnlyOurs,
        made=_of_the_newest_item,
    ),
    _enrolled(
        name="works by an applied version for hours after the next",
        place=hooks_source,
        attribute="CACHED",
        found_by=OnlyOurs,
        made=lambda _: timedelta(hours=9),
    ),
    _enrolled(
        name="enrols by the version before for good",
        place=FileInForce,
        attribute="gives_way_to",
        made=lambda _: lambda *_: False,
    ),
    Bug(
        name="removal: abandons what waits",
        place=release,
        attribute="Result",
        made=lambda _: SimpleNamespace(CONTINUE=Result.ABANDON),
        found_by=NeverEarly,
        things=frozenset({Thing.ENROLLED, Thing.REMOVED}),
    ),
)
