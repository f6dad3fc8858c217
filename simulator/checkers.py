"""Every checker of the judge, by promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulator.judge.changes import ChangesHarmNobody
from simulator.judge.events_out import EventsOut
from simulator.judge.explained import Explained
from simulator.judge.in_time import InTime
from simulator.judge.level_not_edge import LevelNotEdge
from simulator.judge.never_by_default import NeverByDefault
from simulator.judge.never_early import NeverEarly
from simulator.judge.nothing_lost import NothingLost
from simulator.judge.one_result import OneResult
from simulator.judge.only_ours import OnlyOurs
from simulator.judge.started_once import StartedOnce
from simulator.judge.true_ends import TrueEnds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.judge.scene import MakeChecker

CHECKERS: Final[Sequence[MakeChecker]] = (
    OneResult,
    NeverEarly,
    NeverByDefault,
    NothingLost,
    OnlyOurs,
    LevelNotEdge,
    InTime,
    Explained,
    TrueEnds,
    ChangesHarmNobody,
    EventsOut,
    StartedOnce,
)
