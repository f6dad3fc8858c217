"""Scaling activities: begun, ended, and kept for six weeks; they outlive their group (aws-facts 11.2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.autoscaling.groups import Activity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usher_simulator.autoscaling.groups import Group, Instance
    from usher_simulator.autoscaling.virtual_clock import VirtualClock

_KEPT: Final = timedelta(weeks=6)


class Activities:
    """All scaling activities of a fleet. Those of a group that is there stand in the group, newest first."""

    def __init__(self, clock: VirtualClock, new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._of_deleted: list[Activity] = []  # newest first

    def begin(self, group: Group, description: str, cause: str, instance: Instance | None = None) -> Activity:
        """A new scaling activity of a group, and of the instance that it moves."""
        activity = Activity(
            id=self._new_id(),
            group=group.name,
            group_arn=group.arn,
            description=description,
            cause=cause,
            started_at=self._clock(),
            status="InProgress",
            progress=0,
            zone=instance.zone if instance else None,
            subnet=instance.subnet if instance else None,
        )
        group.activities.insert(0, activity)
        return activity

    def end(self, activity: Activity, status: str, message: str | None = None) -> None:
        """End a scaling activity."""
        activity.status, activity.progress, activity.ended_at = status, 100, self._clock()
        if message:
            activity.message = message
            activity.description += f".  Status Reason: {message}"

    def keep(self, group: Group) -> None:
        """The group is gone; its activities stay."""
        for activity in group.activities:
            activity.of_deleted_group = True
        self._of_deleted = sorted(
            group.activities + self._of_deleted, key=lambda one: one.started_at, reverse=True
        )

    def of_deleted(self) -> Iterator[Activity]:
        """Those of groups that are gone, newest first, from the last six weeks."""
        oldest = self._clock() - _KEPT
        return (activity for activity in self._of_deleted if activity.started_at >= oldest)
