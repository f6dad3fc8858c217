"""The answers that evaluations in different containers share, in the table of the actions.

pk                              sk
ANSWER#sha256 of the question   NEWEST           the newest answer
                                LEASE            when somebody went to ask last
                                MEMBER#member    whom the next call is to be made for, too
"""

from __future__ import annotations

import hashlib
import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import table
from usher.core import iso_time
from usher.ports.conditions import SharedAnswer
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item

MOST_BYTES: Final = 350_000  # compressed: an item holds 400 KB (aws-facts 5)
_ENLISTED_FOR: Final = timedelta(minutes=5)
_KEPT: Final = timedelta(hours=1)
_SHOWN: Final = 1000  # characters of a question, for whoever reads the table


class Answers:
    """Implements usher.ports.conditions.SharedAnswers."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._table = table.Table(client, table_name)

    def newest(self, question: str) -> SharedAnswer | None:
        """See usher.ports.conditions.SharedAnswers."""
        item = self._table.get(_key(question, "NEWEST"))
        if item is None:
            return None
        members = json.loads(zlib.decompress(item["members"]["B"]))
        refusal = table.from_json(item, "refusal") if "refusal" in item else None
        return SharedAnswer(
            taken_at=iso_time.parse(item["taken_at"]["S"]),
            members=members,
            refusal=(refusal[0], refusal[1]) if refusal else None,
        )

    def enlist(self, question: str, member: str, now: datetime) -> None:
        """See usher.ports.conditions.SharedAnswers. Written anew at half of the time: reading is cheaper."""
        key = _key(question, f"MEMBER#{member}")
        known = self._table.get(key)
        if known is not None and iso_time.parse(known["until"]["S"]) - now > _ENLISTED_FOR / 2:
            return
        until = now + _ENLISTED_FOR
        contents = {"member": table.text(member), "until": table.text(iso_time.stored(until))}
        self._table.store(key, contents, until + _KEPT)

    def enlisted(self, question: str, now: datetime) -> Sequence[str]:
        """See usher.ports.conditions.SharedAnswers."""
        items = self._table.items(_pk(question), "MEMBER#")
        return sorted(item["member"]["S"] for item in items if iso_time.parse(item["until"]["S"]) > now)

    def lease(self, question: str, now: datetime, every: timedelta) -> bool:
        """See usher.ports.conditions.SharedAnswers. Where the answer is lost nobody asks for `every`."""
        return self._table.store(
            _key(question, "LEASE"),
            {"leased_at": table.text(iso_time.stored(now))},
            now + every + _KEPT,
            "attribute_not_exists(leased_at) OR leased_at <= :before",
            {":before": table.text(iso_time.stored(now - every))},
        )

    def keep(self, question: str, answer: SharedAnswer) -> None:
        """See usher.ports.conditions.SharedAnswers."""
        members = zlib.compress(json.dumps(dict(answer.members), separators=(",", ":")).encode())
        if len(members) > MOST_BYTES:
            size = f"has {len(members)} bytes, and at most {MOST_BYTES} can be kept"
            raise Unavailable(f"the answer to {question[:_SHOWN]} {size}")
        taken_at = table.text(iso_time.stored(answer.taken_at))
        contents: Item = {
            "question": table.text(question[:_SHOWN]),
            "taken_at": taken_at,
            "members": {"B": members},
        }
        if answer.refusal is not None:
            contents["refusal"] = table.as_json(answer.refusal)
        condition = "attribute_not_exists(taken_at) OR taken_at < :taken_at"
        keep_until = answer.taken_at + _KEPT
        self._table.store(_key(question, "NEWEST"), contents, keep_until, condition, {":taken_at": taken_at})


def _key(question: str, sk: str) -> Item:
    return table.key(_pk(question), sk)


def _pk(question: str) -> str:
    """A question may be longer than a key."""
    return f"ANSWER#{hashlib.sha256(question.encode()).hexdigest()}"
