"""Usher as it is deployed, with reconcile: the instance signals when its work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.arena.world import SceneWorld
from benchmarks.storm_usher import UsherInStorm
from usher_simulator.trials.faults import Thing

if TYPE_CHECKING:
    from benchmarks.storm_plan import Storm


class UsherInScene(SceneWorld, UsherInStorm):
    """A scene with Usher in it. What it costs is counted by tests/lives.py."""

    things = frozenset({Thing.RECONCILED})

    def __init__(self, storm: Storm) -> None:
        super().__init__(storm)
