"""How long `usher audit` takes over 10,000 actions: records from DynamoDB's answers to the last verdict.

The records are those of seeded trials, each many times over. An answer is JSON as DynamoDB sends it, and
botocore parses it; there is no HTTP. Prints one JSON line.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from itertools import count, cycle, islice
from time import process_time
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.parsers import create_parser

from usher.aws.items import state
from usher_cli.audit.audit import Audit
from usher_cli.audit.told import Told
from usher_cli.history.stories import READ_AT_ONCE, StoriesTable, in_turn
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from usher.aws.table import Item
    from usher.core.action import Action

_ACTIONS: Final = 10_000
_SEEDS: Final = range(1, 11)
_NAME: Final = "records"


class Answers:
    """A DynamoDB client with the answers that are asked for, parsed as botocore parses them."""

    def __init__(self, items: dict[str, Item]) -> None:
        self._items = {pk: _as_json(item) for pk, item in items.items()}
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        model = boto3.client("dynamodb", region_name="us-east-1", **keys).meta.service_model
        self._shape = model.operation_model("BatchGetItem").output_shape
        self._parser = create_parser("json")

    def batch_get_item(self, RequestItems: dict[str, Any], **_: object) -> Any:  # noqa: ANN401, N803 - boto3's
        """The records; what was found of their conditions is not asked for here."""
        asked = [key["pk"]["S"] for key in RequestItems[_NAME]["Keys"] if key["sk"]["S"] == "STATE"]
        told = {"Responses": {_NAME: [self._items[pk] for pk in asked]}, "UnprocessedKeys": {}}
        body = json.dumps(told).encode()
        return self._parser.parse({"body": body, "headers": {}, "status_code": 200}, self._shape)

    def query(self, **_: object) -> dict[str, Any]:
        """Earlier lines: none."""
        return {"Items": []}


def _as_json(item: Item) -> dict[str, Any]:
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value
        for name, value in item.items()
    }


def records() -> Iterator[Item]:
    """The records of some trials, over and over, each with an id of its own."""
    actions = [action for seed in _SEEDS for action in _of_trial(seed) if action.recent]
    for number, action in zip(count(), cycle(actions), strict=False):
        yield {**state.key(f"action-{number}"), **state.to_item(replace(action, id=f"action-{number}"))}


def _of_trial(seed: int) -> Sequence[Action]:
    trial = Trial(seed)
    trial.run()
    return trial.usher.memory.actions()


def main() -> None:
    """Run the benchmark."""
    items = {item["pk"]["S"]: item for item in islice(records(), _ACTIONS)}
    stories = StoriesTable(Answers(items), _NAME)
    ids = [pk.removeprefix("ACTION#") for pk in items]
    begun = process_time()
    read = [story for part in in_turn(stories, ids) for story in part.stories]
    reading = process_time() - begun
    audit = Audit()
    begun = process_time()
    for story in read:
        audit.add(Told(action=story.action, timeline=story.timeline))
    verdicts = audit.verdicts()
    judging = process_time() - begun
    print(json.dumps({
        "actions": len(read),
        "at_once": READ_AT_ONCE,
        "read_s": round(reading, 2),
        "audit_s": round(judging, 2),
        "cpu_s": round(reading + judging, 2),
        "verdicts": len(verdicts),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
