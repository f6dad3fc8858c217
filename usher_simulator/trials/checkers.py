"""Every checker of the judge, by promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher_simulator.trials.judge.changes import ChangesHarmNobody
from usher_simulator.trials.judge.events_out import EventsOut
from usher_simulator.trials.judge.explained import Explained
from usher_simulator.trials.judge.in_time import InTime
from usher_simulator.trials.judge.level_not_edge import LevelNotEdge
from usher_simulator.trials.judge.never_by_default import NeverByDefault
from usher_simulator.trials.judge.never_early import NeverEarly
from usher_simulator.trials.judge.nothing_lost import NothingLost
from usher_simulator.trials.judge.one_result import OneResult
from usher_simulator.trials.judge.only_ours import OnlyOurs
from usher_simulator.trials.judge.started_once import StartedOnce
from usher_simulator.trials.judge.true_ends import TrueEnds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_simulator.trials.judge.scene import MakeChecker

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
