"""Hostile inputs from one seed: real messages that were tampered with, and what nobody would send."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

T = TypeVar("T")

MIB: Final = 1024 * 1024

_TEXTS: Final = (
    "",
    " ",
    "\n",
    "\r\nReason: fine",
    "\x00",
    "\x1b[31mred\x1b[0m",
    "\x7f",
    "\x9b31m",
    "\u2028",
    "\u202egnp",
    "\ud83d\ude00",  # a pair, in two halves
    "\U0001f600",
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "[red]markup[/red]",
    "<script>alert(1)</script>",
    "=1+1",
    "%s%n{0}",
    "ü" * 255,
    "a" * 256,
    "x" * 5000,
    "null",
    "i-0",
    "-" * 36,
    "*",
    "done",
    "autoscaling:EC2_INSTANCE_LAUNCHING",
    "autoscaling:TEST_NOTIFICATION",
    "usher.signal",
    "aws.ec2",
    "aws.ssm",
)
_TIMES: Final = (
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "2009-01-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-10-05T24:00:00Z",
    "2026-10-05T12:00:60Z",
    "2026-10-05T12:00:00",
    "2026-W40-1T00:00Z",
    "2026-10-05T12:00:00.1234567890Z",
    "2026-10-05T12:00:00+23:59:59.999999",
    "2199-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "١٢٣٤-10-05T12:00:00Z",
    "1791200000",
)
_NUMBERS: Final = (0, -1, 1, 1.5, -0.0, 1e308, float("nan"), float("inf"), 2**63, 10**400, True, False)
_DEPTHS: Final = (30, 90, 300, 900, 980, 1100, 20_000)
_MARK: Final = "raw-splice-"  # stands in JSON for what json.dumps cannot write
_STEPS: Final = (0, 1, 1, 1, 2, 3)
_ID: Final = re.compile(r"(?<=i-)[0-9a-f]{17}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAMAGES: Final = ("gone", "renamed", "wrapped", "text", *["another's"] * 3, *["hostile"] * 3)


class Hostile:
    """Draws inputs. The same seed, the same real messages, the same inputs."""

    def __init__(self, random: Random, messages: Sequence[str]) -> None:
        self.random = random
        self._messages = messages
        self._values = [json.loads(message) for message in messages]
        self._splices: list[str] = []

    def message(self) -> str:
        """The body of a message: most are real ones with something wrong in them."""
        made = self._drawn(
            (76, self._tampered_with),
            (6, lambda: self.text_damage(self.random.choice(self._messages))),
            (6, self._nonsense),
            (3, lambda: self.text_damage(self._tampered_with())),
            (8, lambda: self.random.choice(self._messages)),
            (1, self._large),
        )
        return made[: 2 * MIB]

    def wake_up(self, action_id: str, version: int) -> str:
        """The body of a wake-up: for that action, or for nothing there is."""
        body = {"action_id": action_id, "version": version}
        return self._drawn(
            (60, lambda: self._written(self.damaged(body))),
            (15, lambda: self.text_damage(json.dumps(body))),
            (15, self.message),
            (10, lambda: json.dumps(body)),
        )

    def lines(self) -> str:
        """What a file of captured traffic might hold."""
        return self.random.choice(("\n", "\r\n", "\n\n", ",")).join(
            self._drawn(
                (50, self.message),
                (40, lambda: self._written(self.damaged(self._captured()))),
                (10, self._nonsense),
            )[:100_000]
            for _ in range(self.random.randint(1, 40))
        )

    def damaged(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """A copy of JSON data with one to three things wrong in it."""
        copied = json.loads(json.dumps(value))
        for _ in range(self.random.choice(_STEPS)):
            copied = self._damaged_once(copied)
        return copied

    def text_damage(self, text: str) -> str:
        """A text with something cut, flipped, doubled or put in."""
        at, to = sorted(self.random.randint(0, len(text)) for _ in range(2))
        return self._drawn(
            (3, lambda: text[:at]),
            (3, lambda: text[:at] + text[to:]),
            (2, lambda: text[:to] + text[at:]),
            (3, lambda: text[:at] + self.random.choice(_TEXTS) + text[at:]),
            (3, lambda: text[:at] + chr(self.random.randrange(0x11_0000)) + text[at + 1 :]),
            (1, text.swapcase),
            (1, lambda: "\ufeff" + text),
        )

    # -- how a message is made ---------------------------------------------------------------

    def _drawn(self, *ways: tuple[int, Callable[[], T]]) -> T:
        (way,) = self.random.choices([way for _, way in ways], [weight for weight, _ in ways])
        return way()

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _tampered_with(self) -> str:
        value = self.random.choice(self._values)
        return self._written(self.damaged(self._of_a_new_instance(value) if self._chance(0.4) else value))

    def _of_a_new_instance(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """The same of an instance and an action that nobody heard of: all their ids are new."""

        def another(found: re.Match[str]) -> str:
            return "".join(c if c == "-" else self.random.choice("0123456789abcdef") for c in found[0])

        return json.loads(_ID.sub(another, json.dumps(value)))

    def _captured(self) -> dict[str, Any]:
        moment = self.random.choice((*_TIMES, "2026-10-05T12:00:00Z", "2026-10-05T13:00:00Z"))
        value = self.random.choice(self._values)
        body = value if self._chance(0.5) else json.dumps(value)
        return {"received_at": moment, "body": body}

    def _nonsense(self) -> str:
        letters = "".join(chr(self.random.randrange(0x300)) for _ in range(self.random.randrange(40)))
        depth = self._depth()
        return self.random.choice(
            (
                letters,
                self.random.randbytes(50).decode("latin-1"),
                self.random.randbytes(50).decode(errors="surrogateescape"),
                self._written(self._hostile()),
                "[" * depth,
                "[" * depth + "]" * depth,
                '{"a":' * depth + "1" + "}" * depth,
                '{"detail-type":' * depth + '""' + "}" * depth,
                "9" * 5000,
                f'{{"LifecycleTransition":{"9" * 4000}}}',
                '{"Event":NaN,"LifecycleTransition":-Infinity}',
            )
        )

    def _large(self) -> str:
        """A real message, padded to the size that SQS takes, one byte more, or one less."""
        value = dict(self.random.choice(self._values))
        size = MIB + self.random.choice((-1, 0, 1))
        filling = self.random.choice(("x", "é"))
        value["Padding"] = ""
        room = size - len(json.dumps(value, ensure_ascii=False).encode())
        value["Padding"] = filling * (room // len(filling.encode())) + "x" * (room % len(filling.encode()))
        return json.dumps(value, ensure_ascii=False)

    def _written(self, value: Any) -> str:  # noqa: ANN401 - any JSON
        """The text of JSON data, with the raw splices in it, and sometimes a key twice."""
        text = json.dumps(value, ensure_ascii=self._chance(0.5))
        if isinstance(value, dict) and value and self._chance(0.05):
            key = self.random.choice(list(value))
            twice = f"{json.dumps(key)}:{json.dumps(self._hostile())}"
            text = f"{{{twice},{text[1:]}" if self._chance(0.5) else f"{text[:-1]},{twice}}}"
        for number, splice in enumerate(self._splices):
            text = text.replace(f'"{_MARK}{number}"', splice)
        self._splices.clear()
        return text

    # -- what goes wrong in it ---------------------------------------------------------------

    def _damaged_once(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        holders = _holders(value)
        if not holders or self._chance(0.02):
            return self._hostile()
        holder = self.random.choice(holders)
        key = self.random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        self._damage(holder, key)
        return value

    def _damage(self, holder: Any, key: Any) -> None:  # noqa: ANN401 - of a list or an object
        match self.random.choice(_DAMAGES):
            case "gone":
                del holder[key]
            case "renamed" if isinstance(holder, dict):
                holder[self.random.choice((f"{key} ", key.swapcase(), key + "\x00", ""))] = holder.pop(key)
            case "wrapped":
                holder[key] = self.random.choice(([holder[key]], {"Value": holder[key]}))
            case "text" if isinstance(holder[key], str):
                holder[key] = self.text_damage(holder[key])
            case "another's":
                holder[key] = self._of_another(key, holder[key])
            case _:
                holder[key] = self._hostile()

    def _of_another(self, key: Any, instead: Any) -> Any:  # noqa: ANN401 - any JSON
        """What another real message has there: tokens, instances, groups and hooks of others."""
        found = [
            holder[key]
            for value in self.random.choices(self._values, k=8)
            for holder in _holders(value)
            if isinstance(holder, dict) and key in holder
        ]
        return self.random.choice(found) if found else instead

    def _hostile(self) -> Any:  # noqa: ANN401 - any JSON
        choice = self.random.choice
        return self._drawn(
            (3, lambda: choice(_TEXTS)),
            (1, lambda: choice(_TIMES)),
            (1, lambda: choice(_NUMBERS)),
            (1, lambda: choice((None, [], {}, [[]], {"": ""}, [None] * 300))),
            (1, self._deep),
            (1, lambda: self._spliced(choice(("1" * 4000, "-1e99999", "NaN", "1" * 5000, "0x10")))),
        )

    def _deep(self) -> str:
        depth = self._depth()
        return self._spliced("[" * depth + "]" * depth)

    def _depth(self) -> int:
        """Often near the depth at which Python gives up."""
        return self.random.choice((*_DEPTHS, self.random.randint(900, 1000)))

    def _spliced(self, raw: str) -> str:
        self._splices.append(raw)
        return f"{_MARK}{len(self._splices) - 1}"


def _holders(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    """Every list and object in JSON data that holds anything."""
    found, rest = [], [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict | list) and one:
            found.append(one)
            rest += one.values() if isinstance(one, dict) else one
    return found
