"""A condition that asks AWS: which call it makes next, and what it reads from the reply.

It makes no call itself. It says which one as a value, and is handed the reply as a value, so that
all of its logic is here, pure, and one adapter (usher.aws.calls) makes every call.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from usher.core.conditions.verdict import Plain, Verdict
from usher.core.finding import COUNTS_FOR, ConditionStatus, Finding, Memory
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from usher.core.action import Action, Transition

_LONGEST_CALL: Final = timedelta(seconds=6)  # connecting 2 s, reading 4 s
_FIRST_BACKOFF: Final = timedelta(seconds=5)
_LONGEST_BACKOFF: Final = timedelta(seconds=60)
_MOST_DOUBLINGS: Final = 5
_ASKED_EVERY: Final = timedelta(seconds=30)
_TO_BE_SURE: Final = timedelta(seconds=5)
_LONGEST_TO_BE_SURE: Final = timedelta(seconds=20)  # however long it counts once it is sure
_NOTHING: Final[Memory] = {}
_WORST_FIRST: Final = (
    ConditionStatus.FAILED,
    ConditionStatus.PENDING,  # is known, and unknown is not
    ConditionStatus.UNKNOWN,
    ConditionStatus.HOLDS,
)


@frozen
class Permission:
    """What a condition needs of IAM, as data. Resources may hold {partition}, {region}, {account}."""

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    equals: tuple[tuple[str, str], ...] = ()  # a StringEquals condition


@frozen
class Shared:
    """How one answer serves many actions.

    It is kept as a record of its own, at most one per `every`. `reduced` makes of the answer what
    it says of each member, small enough to keep. Where the operation takes a list of members,
    `members_in` names its parameter: the call is then made for all that asked lately, `most` at once.
    """

    member: str
    reduced: Callable[[Any], Mapping[str, Any]]
    every: timedelta = timedelta(seconds=20)
    members_in: str | None = None
    most: int = 100


@frozen
class Call:
    """One call on AWS. `service` and `operation` are boto3's and the API's names.

    `intent` makes it a call that changes something: it is stored as the condition's memory before
    the call is made. An answer to a `shared` call counts only if taken after `not_before`, and its
    data is what it says of the member, or None. Without `all_pages` a list may go on after the answer:
    every page is a request.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    intent: Memory | None = None
    shared: Shared | None = None
    not_before: datetime | None = None  # None: the first sight of the action
    longest: timedelta = _LONGEST_CALL  # one request; each page is one
    all_pages: bool = False


class ReplyKind(StrEnum):
    """What came back."""

    ANSWERED = "answered"
    REFUSED = "refused"  # AWS says no; `code` says why
    TIMED_OUT = "timed out"  # asked, and no answer came in time
    UNKNOWN = "unknown"  # busy, unreachable, not permitted: this says nothing of the condition


@frozen
class Reply:
    """The reply to a call. `data` is the answer, as boto3 gives it, without its metadata.

    `not_permitted`: the call is denied until someone changes something, so it is unknown.
    """

    kind: ReplyKind
    data: Any = None
    code: str = ""
    text: str = ""
    not_permitted: bool = False


@frozen
class Found:
    """What a condition reads from a reply.

    `ask_again_after` None: it stays so for good, or, where unknown, until the backoff is over.
    `go_on`: nothing yet, the condition has another call to make at once. `not_permitted` is set by who makes
    the calls: what AWS says where it denied one of them.
    """

    status: ConditionStatus
    detail: str = ""
    ask_again_after: timedelta | None = None
    memory: Memory = field(default_factory=dict)
    go_on: bool = False
    not_permitted: str = ""

    @classmethod
    def next_call(cls, memory: Memory) -> Found:
        """Nothing yet: the next call is made at once, with this memory."""
        return cls(status=ConditionStatus.UNKNOWN, memory=memory, go_on=True)

    @classmethod
    def holds(cls, detail: str, ask_again_after: timedelta | None = None, memory: Memory = _NOTHING) -> Found:
        """It is as it is waited for."""
        status = ConditionStatus.HOLDS
        return cls(status=status, detail=detail, ask_again_after=ask_again_after, memory=memory)

    @classmethod
    def pending(cls, detail: str, ask_again_after: timedelta, memory: Memory = _NOTHING) -> Found:
        """It is known not to be so yet."""
        status = ConditionStatus.PENDING
        return cls(status=status, detail=detail, ask_again_after=ask_again_after, memory=memory)

    @classmethod
    def unknown(cls, detail: str, memory: Memory, ask_again_after: timedelta | None = None) -> Found:
        """Nobody can say; it is asked again, after a backoff where no time is given."""
        status = ConditionStatus.UNKNOWN
        return cls(status=status, detail=detail, ask_again_after=ask_again_after, memory=memory)

    @classmethod
    def failed(cls, detail: str) -> Found:
        """It will never be so."""
        return cls(status=ConditionStatus.FAILED, detail=detail)


@frozen
class Later:
    """Nothing was found, because it could not be asked yet: ask again at `at`.

    `memory` is what the calls of this turn have told already.
    """

    at: datetime
    memory: Memory = field(default_factory=dict)


class Probe(Plain):
    """A condition whose verdict is what was found when AWS was asked."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """What it waits for, in a few words; equal conditions have equal names, others have others."""

    @property
    def in_words(self) -> str:
        """See Condition."""
        return self.name

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """What its calls need of IAM."""
        return ()

    @property
    def takes_two_answers(self) -> bool:
        """Whether one answer that it holds is not enough.

        An API that is eventually consistent may say once what was not so yet: an empty list, a
        state of before. What is the last word of something that ended needs no second one.
        """
        return True

    @property
    def asked_every(self) -> timedelta:
        """How long it is until it is asked again, at the most."""
        return _ASKED_EVERY

    def doubts(self, transition: Transition, patience: timedelta) -> tuple[str, ...]:  # noqa: ARG002
        """What is probably not meant, where a hook of `transition` waits for it no longer than `patience`."""
        return ()

    @abstractmethod
    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        """The call to make next."""

    @abstractmethod
    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        """What the reply to `call` says."""

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """What was found. Once that is old it is unknown again, unless it failed.

        An evaluation asks nothing itself, so none is due for it.
        """
        found = finding_of(self, action)
        if found is None or _is_of_before(found, action):
            return Verdict(status=ConditionStatus.UNKNOWN, detail=f"{self.name}: not asked yet")
        old = found.ask_again_at is not None and found.asked_at + COUNTS_FOR <= now
        if old and found.status is not ConditionStatus.FAILED:
            held = found.status is ConditionStatus.HOLDS
            detail = f"{self.name}: {'held when last asked' if held else found.detail}"
            return Verdict(status=ConditionStatus.UNKNOWN, detail=detail)
        return Verdict(status=found.status, detail=f"{self.name}: {found.detail}")

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:
        """Itself, where nothing was found yet, or it is time to ask again."""
        found = finding_of(self, action)
        if found is None or _is_of_before(found, action):
            return (self,)
        return (self,) if found.ask_again_at is not None and found.ask_again_at <= now else ()


def _is_of_before(found: Finding, action: Action) -> bool:
    """Whether it was asked before the first sight of the action, by some clock that is behind."""
    return found.asked_at < action.first_seen_at


def finding_of(probe: Probe, action: Action) -> Finding | None:
    """What was found last of `probe`, for `action`."""
    return next((found for found in action.findings if found.condition == probe.name), None)


def worst(statuses: Iterable[ConditionStatus]) -> ConditionStatus:
    """How something stands of which several parts must hold."""
    return min(statuses, key=_WORST_FIRST.index)


def not_answered(reply: Reply, memory: Memory, missing: Mapping[str, str]) -> Found:
    """What a reply says that is no answer: failed for good on the codes of `missing`, else unknown.

    `missing` has the codes by which AWS says that a thing does not exist, and what that thing is.
    """
    if reply.kind is ReplyKind.REFUSED and reply.code in missing:
        return Found.failed(f"{missing[reply.code]} does not exist: {reply.text}")
    detail = f"{reply.kind}: {reply.text}" if reply.kind is not ReplyKind.UNKNOWN else reply.text
    return Found.unknown(detail, memory)


def as_finding(probe: Probe, found: Found, before: Finding | None, asked_at: datetime) -> Finding:
    """What is kept of `found`. What is unknown is asked again with backoff.

    What holds for the first time is asked once more, unless one answer is enough.
    """
    unknown = found.status is ConditionStatus.UNKNOWN
    unknowns = (before.unknowns if before else 0) + 1 if unknown else 0
    held = before is not None and (before.confirmed_once or before.status is ConditionStatus.HOLDS)
    if found.status is ConditionStatus.HOLDS and probe.takes_two_answers and not held:
        return Finding(
            condition=probe.name,
            status=ConditionStatus.PENDING,
            detail=f"{found.detail}; asked once more to be sure",
            asked_at=asked_at,
            ask_again_at=asked_at + min(found.ask_again_after or _TO_BE_SURE, _LONGEST_TO_BE_SURE),
            memory=found.memory,
            confirmed_once=True,
        )
    again_after = found.ask_again_after
    before_denials = before.denials if before else 0
    if unknown and again_after is None:
        again_after = min(_FIRST_BACKOFF * 2 ** min(unknowns - 1, _MOST_DOUBLINGS), _LONGEST_BACKOFF)
    return Finding(
        condition=probe.name,
        status=found.status,
        detail=found.detail,
        asked_at=asked_at,
        ask_again_at=None if again_after is None else asked_at + again_after,
        unknowns=unknowns,
        memory=found.memory,
        confirmed_once=unknown and held,
        denials=before_denials + int(not unknown) if found.status is not ConditionStatus.HOLDS else 0,
    )
