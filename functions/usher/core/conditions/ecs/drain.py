"""Sets a container instance to DRAINING, and goes through its tasks until none is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.conditions.answer import text
from usher.core.conditions.ecs.answers import Incomplete, by_arn, read_own, short, texts
from usher.core.conditions.ecs.memory import Blocked, Listing, Registration, to_json
from usher.core.conditions.probe import Call, Found

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.ecs.answers import Description

POLL: Final = timedelta(seconds=20)
_LONGEST_POLL: Final = timedelta(minutes=2)
_PART: Final = 4  # of the time that it has taken already: what drains for long is asked less often
_MOST_DESCRIBED: Final = 100  # tasks in one call
_TASK_IS_OVER: Final = frozenset({"STOPPED", "DELETED"})
_TASK_IS_NOT_OVER: Final = frozenset(
    {"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"}
)


def again_after(action: Action, now: datetime) -> timedelta:
    """How soon it is asked again whether tasks are left: a quarter of the wait so far is the most it adds."""
    return min(max(POLL, (now - action.started_at) / _PART), _LONGEST_POLL)


def set_draining(kept: Registration, now: datetime) -> Call:
    """The call that is made once."""
    parameters = {"cluster": kept.cluster, "containerInstances": [kept.instance], "status": "DRAINING"}
    intent = to_json(replace(kept.settled(), sent_at=now))
    operation = "UpdateContainerInstancesState"
    return Call(service="ecs", operation=operation, parameters=parameters, intent=intent)


def was_set(kept: Registration, data: object, now: datetime) -> Found:
    """Where the answer does not say so for sure, the next description does."""
    instance = f"container instance {short(kept.instance)}"
    described = read_own(kept.instance, data)
    if isinstance(described, str):
        return Found.unknown(f"{instance} was not set to DRAINING: {described}", to_json(kept))
    if described.status != "DRAINING":
        raise Incomplete(f"status DRAINING of {instance}")
    confirmed = replace(kept, sent_at=now, confirmed=True)
    return Found.pending(f"{instance} was set to DRAINING", POLL, to_json(confirmed))


def begin_listing(kept: Registration, described: Description, now: datetime, pause: timedelta) -> Found:
    """While there are as many tasks as there were, what was said of them still holds."""
    if described.counts is None:
        raise Incomplete("counts of tasks")
    if (
        kept.blocked is not None
        and any(described.counts)
        and kept.blocked.by == (*described.counts, described.connected)
    ):
        return Found.pending(kept.blocked.said, pause, to_json(kept))
    return _go_on(kept, Listing.begun(now, described.counts, connected=described.connected))


def next_tasks(kept: Registration, listing: Listing) -> Call:
    """What goes on with a listing."""
    if listing.tasks:
        parameters = {"cluster": kept.cluster, "tasks": [*listing.tasks[:_MOST_DESCRIBED]]}
        return Call(service="ecs", operation="DescribeTasks", parameters=parameters)
    parameters = {
        "cluster": kept.cluster,
        "containerInstance": kept.instance,
        "desiredStatus": listing.desired,
    }
    return Call(service="ecs", operation="ListTasks", parameters=parameters, all_pages=True)


def hear_tasks(kept: Registration, listing: Listing, call: Call, data: object, pause: timedelta) -> Found:
    """What is listed is described next."""
    if call.operation == "ListTasks":
        return _after(kept, replace(listing, tasks=texts(data, "taskArns")), pause)
    asked = [short(arn) for arn in call.parameters["tasks"]]
    left = replace(listing, tasks=listing.tasks[len(asked) :])
    return _after(kept, _counted(left, asked, data), pause)


def _counted(listing: Listing, asked: list[str], data: object) -> Listing:
    """With those that are not over. One that is MISSING is gone; one that the answer leaves out is not."""
    tasks = {short(arn): task for arn, task in by_arn(data, "tasks", "taskArn").items()}
    failures = by_arn(data, "failures", "arn").items()
    missing = {short(arn) for arn, failure in failures if text(failure, "reason") == "MISSING"}
    states, example = Counter(listing.states), listing.example
    for task in [each for each in asked if each not in missing]:
        status = text(tasks.get(task), "lastStatus") or "of no status"
        if status not in _TASK_IS_OVER:
            states[status] += 1
            example = example or f"task {task} of {text(tasks.get(task), 'group') or 'no group'}"
    return replace(listing, states=dict(states), example=example)


def _go_on(kept: Registration, listing: Listing) -> Found:
    return Found.next_call(to_json(replace(kept, listing=listing)))


def _after(kept: Registration, listing: Listing, pause: timedelta) -> Found:
    if listing.tasks:
        return _go_on(kept, listing)
    if listing.desired == "RUNNING":
        return _go_on(kept, replace(listing, desired="STOPPED"))
    kept = kept.settled()
    if listing.states or any(listing.counts):
        return _tasks_left(kept, listing, pause)
    if kept.others:
        return Found.next_call(to_json(kept.next(is_done=True)))
    done = (*kept.done, kept.instance)
    again = kept if len(done) == 1 else Registration.of(kept.cluster, done)
    detail = f"container instance {short(kept.instance)} is DRAINING and has no task left"
    return Found.holds(detail, memory=to_json(again))


def _tasks_left(kept: Registration, listing: Listing, pause: timedelta) -> Found:
    running, pending = listing.counts
    states = ", ".join(f"{count} {state}" for state, count in sorted(listing.states.items()))
    tasks = f"{states}, e.g. {listing.example}" if states else f"{running} running, {pending} pending"
    detail = f"draining, tasks: {tasks}"
    if not listing.connected:
        detail += "; the agent is not connected, so ECS does not learn that a task has stopped"
    if states and _TASK_IS_NOT_OVER.isdisjoint(listing.states):
        return Found.unknown(f"{detail}; states that Usher does not know", to_json(kept))
    blocked = Blocked(by=(running, pending, listing.connected), said=detail)
    return Found.pending(detail, pause, to_json(replace(kept, blocked=blocked)))
