"""Asks what a condition wants to know: its calls one after the other, or an answer that is shared."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.conditions.probe import Found, Later, Reply, ReplyKind, finding_of
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.policy import Mode
from usher.ports.conditions import SharedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from usher.core.action import Action
    from usher.core.conditions.probe import Call, Probe, Shared
    from usher.core.finding import Memory
    from usher.evaluation.call_budget import CallBudget
    from usher.ports.conditions import Calls, SharedAnswers

MOST_CALLS: Final = 6  # of one condition in one turn
_AUTO_SCALING: Final = "autoscaling"
_FULL: Final = datetime.max.replace(tzinfo=UTC)
_THROTTLES: Final = ("Throttling", "ThrottlingException", "RequestLimitExceeded")
_SOON: Final = timedelta(seconds=3)  # somebody else is asking just now
_CLOCKS: Final = timedelta(seconds=5)  # of two functions differ by less: else one answer might be two
_MOMENT: Final = timedelta(milliseconds=1)  # of equal times nobody knows which was first
_OBSERVED: Final = timedelta(hours=1)


@frozen
class Prober:
    """Implements usher.ports.conditions.Probing."""

    calls: Calls
    answers: SharedAnswers
    call_budget: CallBudget  # of Auto Scaling's calls, which a condition has none to spare of
    clock: Callable[[], datetime]

    def probe(
        self,
        probe: Probe,
        action: Action,
        memory: Memory,
        until: datetime,
        before_start: Callable[[Memory], None],
    ) -> Found | Later:
        """See usher.ports.conditions.Probing."""
        before = finding_of(probe, action)
        second = before is not None and (before.confirmed_once or before.denials == 1)
        since = before.asked_at + _CLOCKS if before is not None and second else action.first_seen_at
        denial = ""
        for _ in range(MOST_CALLS):
            now = self.clock()
            call = probe.ask(action, memory, now)
            if now + call.longest > until:
                return Later(at=until, memory=memory)
            if call.intent is not None:
                if action.policy.mode is Mode.OBSERVE:
                    return _would_start(call, memory)
                before_start(call.intent)
                memory = call.intent
            reply = self._reply(call, action, since, now, until)
            if not isinstance(reply, Reply):
                return Later(at=reply, memory=memory)
            denial = reply.text if reply.not_permitted else denial
            found = replace(probe.hear(action, memory, call, reply, self.clock()), not_permitted=denial)
            if not found.go_on:
                holds = found.status is ConditionStatus.HOLDS
                return replace(found, memory=memory) if holds and not found.memory else found
            memory = found.memory
        detail = f"it needs more than {MOST_CALLS} calls in a row"
        return Found(status=ConditionStatus.UNKNOWN, detail=detail, memory=memory, not_permitted=denial)

    def _reply(
        self, call: Call, action: Action, since: datetime, now: datetime, until: datetime
    ) -> Reply | datetime:
        """The reply; or when to ask again, where it is shared and none is new enough yet.

        A call that takes an older answer than the first sight of the action takes that one here too.
        """
        shared = call.shared
        if shared is None:
            return now + _SOON if self._booked(call, now) is _FULL else self._made(call, ())
        answer = self._newest(call, shared, now, until)
        if isinstance(answer, Reply):
            return answer
        if answer is None:
            return now + _SOON
        not_before = call.not_before or since
        least = not_before if not_before < action.first_seen_at else max(not_before, since)
        is_asked_for = shared.members_in is None or shared.member in answer.members
        if answer.taken_at < least or not (is_asked_for or answer.refusal):
            return max(now + _SOON, answer.taken_at + shared.every + _MOMENT)  # nobody asks before
        if answer.refusal is not None:
            code, text = answer.refusal
            return Reply(kind=ReplyKind.REFUSED, code=code, text=text)
        return Reply(kind=ReplyKind.ANSWERED, data=answer.members.get(shared.member))

    def _newest(
        self, call: Call, shared: Shared, now: datetime, until: datetime
    ) -> SharedAnswer | Reply | None:
        """The newest answer, a new one where it is old and nobody else asks; or what came instead."""
        question = _question(call)
        if shared.members_in is not None:
            self.answers.enlist(question, shared.member, now)
        newest = self.answers.newest(question)
        if newest is not None and newest.taken_at >= now - shared.every:
            return newest
        booked = self._booked(call, now)
        if booked is _FULL:
            return None
        if not self.answers.lease(question, now, shared.every):
            self.call_budget.release_replaced(booked, now)
            return None
        return self._ask_for_all(call, shared, question, now, until)

    def _ask_for_all(
        self, call: Call, shared: Shared, question: str, now: datetime, until: datetime
    ) -> SharedAnswer | Reply:
        """A new answer, kept for everyone, also where it is a refusal; or a reply that is unknown.

        For this member first, and for others as long as there is time for a call.
        """
        if shared.members_in is None:
            parts: list[list[str]] = [[]]
        else:
            others = set(self.answers.enlisted(question, now)) - {shared.member}
            asked = [shared.member, *sorted(others)]
            parts = [asked[start : start + shared.most] for start in range(0, len(asked), shared.most)]
        members: dict[str, Any] = {}
        for part in parts:
            if members and self.clock() + call.longest > until:
                break
            reply = self._made(call, part)
            if reply.kind is ReplyKind.REFUSED:
                return self._kept(question, now, refusal=(reply.code, reply.text))
            if reply.kind is not ReplyKind.ANSWERED:
                return reply
            members |= dict.fromkeys(part) | dict(shared.reduced(reply.data))
        return self._kept(question, now, members=members)

    def _booked(self, call: Call, now: datetime) -> datetime | None:
        """The slot of the budget that heartbeats live on, where the call is Auto Scaling's; or _FULL."""
        if call.service != _AUTO_SCALING:
            return None
        return self.call_budget.try_acquire(now) or _FULL

    def _made(self, call: Call, members: Sequence[str]) -> Reply:
        reply = self.calls.make(call, members)
        if call.service == _AUTO_SCALING and reply.code in _THROTTLES:
            self.call_budget.back_off(self.clock())
        return reply

    def _kept(
        self,
        question: str,
        now: datetime,
        members: Mapping[str, Any] | None = None,
        refusal: tuple[str, str] | None = None,
    ) -> SharedAnswer:
        answer = SharedAnswer(taken_at=now, members=members or {}, refusal=refusal)
        self.answers.keep(question, answer)
        return answer


def _question(call: Call) -> str:
    """What names a shared question: equal calls are one."""
    return f"{call.service} {call.operation} {json.dumps(call.parameters, sort_keys=True)}"


def _would_start(call: Call, memory: Memory) -> Found:
    detail = f"observe mode: would call {call.operation}"
    return Found(status=ConditionStatus.PENDING, detail=detail, ask_again_after=_OBSERVED, memory=memory)
