"""Whole records with their timelines, many at a time: in as few requests as DynamoDB allows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from usher.aws import table
from usher.aws.items import findings, state
from usher.aws.record_format import UNREADABLE
from usher.core import questions
from usher.core.finding import merged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from usher.core.action import Action, Entry
    from usher.core.finding import Findings

READ_AT_ONCE: Final = 100


class Story(NamedTuple):
    """An action, and the lines of its timeline in the order of time."""

    action: Action
    timeline: Sequence[Entry]


@dataclass(kw_only=True, slots=True)
class StoriesRead:
    """Stories, and the ids of those that cannot be read."""

    stories: list[Story] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class Stories(Protocol):
    """The records of actions, open or closed, with their timelines."""

    def read(self, ids: Sequence[str]) -> StoriesRead:
        """Those of these ids that are still recorded."""
        ...


class StoriesTable:
    """Implements Stories on DynamoDB. Most records hold their whole timeline themselves."""

    def __init__(self, dynamodb: Any, table_name: str) -> None:  # noqa: ANN401 - a client of boto3
        self._table = table.Table(dynamodb, table_name)

    def read(self, ids: Sequence[str]) -> StoriesRead:
        """See Stories."""
        found = StoriesRead()
        actions: list[Action] = []
        for item in self._table.get_all([state.key(action_id) for action_id in ids]):
            try:
                actions.append(state.from_item(item))
            except UNREADABLE:
                found.unreadable.append(item["pk"]["S"].removeprefix("ACTION#"))
        known = self._findings(actions)
        found.stories = [self._story(action, known.get(action.id)) for action in actions]
        return found

    def _findings(self, actions: Sequence[Action]) -> dict[str, Findings]:
        asked = [findings.key(action.id) for action in actions if questions.are_in(action.policy)]
        return {item["action_id"]["S"]: findings.from_item(item) for item in self._table.get_all(asked)}

    def _story(self, action: Action, known: Findings | None) -> Story:
        timeline = merged(self._lines(action), known)
        return Story(action=replace(action, findings=known.found if known else ()), timeline=timeline)

    def _lines(self, action: Action) -> Sequence[Entry]:
        """Only of a record that does not hold its first line the earlier lines are read."""
        if not action.recent or action.recent[0].number > 1:
            return findings.lines(self._table.items(f"ACTION#{action.id}", "LINE#"), action.recent)
        return action.recent


def in_turn(stories: Stories, ids: Sequence[str]) -> Iterator[StoriesRead]:
    """The stories of many actions, some at a time."""
    for part in table.in_parts(ids, READ_AT_ONCE):
        yield stories.read(part)
