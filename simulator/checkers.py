"""One checker for each promise of the README: apart from the scenarios, each sees every call, store and wait.

They hold Usher against what simulated Auto Scaling did and what the scenario sent, and know nothing of
how Usher decides.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from simulator import oracle
from simulator.faults import LONGEST_SKEW, Fault
from simulator.waits import EndedBy
from usher.core.model import Outcome, Phase, Result
from usher.core.policy import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from simulator.clock import VirtualClock
    from simulator.deployment import SweepRun
    from simulator.effects import Call
    from simulator.faults import Faults, Met
    from simulator.invocations import Invocation
    from simulator.memory_store import MemoryStore
    from simulator.queue import SimulatedQueue
    from simulator.waits import Wait, Waits
    from usher.core.model import Action, Signal
    from usher.ports import Evidence

HEARTBEAT: Final = "RecordLifecycleActionHeartbeat"
COMPLETE: Final = "CompleteLifecycleAction"
_OF_FINDINGS: Final = ("found", "starts")  # kept apart from the record's own lines
_BEFORE_START: Final = timedelta(seconds=60)
_DEPLOYING: Final = timedelta(seconds=60)  # so long an invocation goes on under the old configuration
_WORK: Final = timedelta(seconds=6)  # a look, with its call
_MOST_LOOKS: Final = 60  # that store something, of one action in a minute
_MINUTE: Final = timedelta(minutes=1)
_STAMPS: Final = 1 << 32  # a wake-up's version stands in the lower bits, and its look in those above
_OWN_WAKE_UPS: Final = 4  # that one look sends for the state that it stores
# What one look that is lost, or one try that fails, makes up for; more of them may cost an instance.
_COSTS_ONE_LOOK: Final = frozenset(
    {
        Fault.CUT,
        Fault.STORE_BUSY,
        Fault.STORE_ANSWER_LOST,
        Fault.QUEUE_BUSY,
        Fault.QUEUE_ANSWER_LOST,
        Fault.WAKE_UP_LOST,
        Fault.CONTENDED,
        Fault.SERVER_ERROR,
        Fault.UNREACHED,
        Fault.ANSWER_LOST,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A promise that was broken."""

    promise: str
    at: datetime
    text: str
    action_id: str | None = None

    def __str__(self) -> str:
        """As a run reports it."""
        of_action = f" ({self.action_id})" if self.action_id else ""
        return f"{self.promise}{of_action}: {self.text}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ours:
    """What one deployed configuration names: of each hook on a group, the policies that it may use."""

    since: datetime
    policies: Mapping[tuple[str, str, str], Sequence[str]]  # (group, hook, transition): policy sources
    timeouts: Mapping[tuple[str, str, str], timedelta]


@dataclass(kw_only=True)
class Scene:
    """Everything that the checkers may look at."""

    clock: VirtualClock
    waits: Waits
    memory: MemoryStore
    faults: Faults
    sweeps: Sequence[SweepRun]
    dead_letters: SimulatedQueue
    wake_dead_letters: SimulatedQueue
    garbage: set[str] = field(default_factory=set)  # bodies that say nothing
    deployed: list[Ours] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def report(self, promise: str, text: str, action_id: str | None = None) -> None:
        """A promise was broken."""
        self.violations.append(Violation(promise=promise, at=self.clock(), text=text, action_id=action_id))

    def action_of(self, parameters: Mapping[str, Any]) -> Action | None:
        """The record that a call is about: of its token, or the newest of its instance and hook."""
        token = parameters.get("LifecycleActionToken")
        if token is not None:
            return self.memory.of_token(token)
        hook = (parameters.get("AutoScalingGroupName"), parameters.get("LifecycleHookName"))
        of_instance = self.memory.of_instance(parameters.get("InstanceId", ""))
        return next(
            (one for one in reversed(list(of_instance)) if (one.hook.group, one.hook.name) == hook), None
        )

    def in_force(self) -> list[Ours]:
        """The configurations that may be in force just now: at a deploy two."""
        until = self.clock() - _DEPLOYING
        last = max((one.since for one in self.deployed if one.since <= until), default=None)
        return [one for one in self.deployed if last is None or one.since >= last]


MakeChecker: TypeAlias = "Callable[[Scene], Checker]"


class Checker:
    """Is told everything, and does nothing with it: each checker listens to what it needs."""

    promise = ""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def broken(self, text: str, action: Action | None = None) -> None:
        """Report that the promise was broken."""
        self.scene.report(self.promise, text, action.id if action else None)

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """See effects.Watch."""

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """See effects.Watch."""

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """See effects.Watch."""

    def called(self, call: Call) -> None:
        """See effects.Watch."""

    def woken(self, action_id: str, version: int, at: datetime) -> None:
        """See effects.Watch."""

    def kept(self, signal: Signal) -> None:
        """See effects.Watch."""

    def ended(self, instance_id: str) -> None:
        """See effects.Watch."""

    def wait_ended(self, wait: Wait) -> None:
        """Simulated Auto Scaling ended a lifecycle action, whoever asked for it."""

    def acknowledged(self, body: str) -> None:
        """A message was taken from the inbox for good."""

    def finished(self) -> None:
        """The run is over, and everything has had its time."""


class WaitChecker(Checker):
    """Knows which wait each record is of, and when that wait was last known to go on.

    By its token, or where it was adopted by the heartbeat that the service accepted for it: what the
    record says of itself is what is judged.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.opened_at: dict[str, datetime] = {}  # by action id
        self.beats: dict[str, Call] = {}  # by token: the last heartbeat of which we know that it was accepted
        self._asked: dict[tuple[str, str], str] = {}  # instance, hook: the token that a heartbeat found
        self._of_action: dict[str, str] = {}
        self._records: defaultdict[str, list[str]] = defaultdict(list)  # by token

    def called(self, call: Call) -> None:
        """An accepted heartbeat shows that a wait goes on."""
        wait = self.wait_of_call(call)
        if call.operation == HEARTBEAT and call.refusal is None and wait is not None:
            self._asked[wait.instance_id, wait.hook] = wait.token
            if call.is_told:
                self.beats[wait.token] = call

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """From here on a wait is recorded."""
        del invocation
        token = after.token or self._asked.get((after.instance_id, after.hook.name))
        if before is None:
            self.opened_at[after.id] = self.scene.clock()
        if token is not None and after.id not in self._of_action:
            self._of_action[after.id] = token
            self._records[token].append(after.id)

    def wait_of_call(self, call: Call) -> Wait | None:
        """The wait that a call reached; None where it reached none."""
        named = call.parameters
        if named.get("LifecycleActionToken") is not None:
            return self.scene.waits.of_token(named["LifecycleActionToken"])
        waits = self.scene.waits.of_instance(named.get("InstanceId", ""))
        of_hook = [one for one in waits if one.hook == named.get("LifecycleHookName")]
        return next((one for one in of_hook if one.ended_at in (None, call.at)), None)

    def wait_of(self, action: Action) -> Wait | None:
        """The wait of a record, open or over."""
        return self.scene.waits.of_token(self._of_action.get(action.id, ""))

    def records_of(self, wait: Wait) -> list[Action]:
        """Every record of a wait, in the order in which they were opened."""
        found = (self.scene.memory.load(action_id) for action_id in self._records[wait.token])
        return [one for one in found if one is not None]

    def known_at(self, action: Action, wait: Wait) -> datetime:
        """When the wait was last known to go on."""
        beat = self.beats.get(wait.token)
        return beat.at if beat else self.opened_at[action.id]

    def is_as_configured(self, wait: Wait) -> bool:
        """Whether the hook that began it stood as some hooks file has it; else others changed it."""
        key = (wait.group, wait.hook, wait.transition)
        return any(one.timeouts.get(key) == wait.heartbeat_timeout for one in self.scene.deployed)


class OneResult(Checker):
    """Promise 1: one result for each action, and stored before it is sent."""

    promise = "1 one result"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._sent: defaultdict[str, set[str]] = defaultdict(set)
        self._decided: dict[str, Result] = {}
        self._alive: set[str] = set()  # a heartbeat for a closed record was accepted
        self._stored_as: dict[tuple[Invocation | None, str], Phase] = {}

    def called(self, call: Call) -> None:
        """Every Complete carries the result that the record has, and always the same one."""
        action = self.scene.action_of(call.parameters)
        if call.operation == HEARTBEAT and action is not None and call.refusal is None:
            self._alive.add(action.id)
        if call.operation == HEARTBEAT and action is not None and "LifecycleActionToken" in call.parameters:
            phase = self._stored_as.get((call.invocation, action.id), action.phase)
            if phase is Phase.COMPLETING or action.is_proven:
                self.broken(f"a heartbeat went out for an action that is {phase}", action)
        if call.operation != COMPLETE:
            return
        result = call.parameters["LifecycleActionResult"]
        if action is None:
            self.broken(f"{result} sent for an action without a record")
            return
        self._sent[action.id].add(result)
        if len(self._sent[action.id]) > 1:
            self.broken(f"two results were sent: {sorted(self._sent[action.id])}", action)
        if action.phase is Phase.OPEN:
            self.broken(f"{result} was sent before it was stored", action)
        if action.phase is Phase.COMPLETING and action.result != result:
            self.broken(f"{result} was sent, and {action.result} stored", action)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A result stays, and what is closed stays closed."""
        self._stored_as[invocation, after.id] = after.phase
        if before is None:
            return
        if after.phase is Phase.COMPLETING and after.result is not None:
            first = self._decided.setdefault(after.id, after.result)
            if after.result is not first:
                self.broken(f"the stored result {first} became {after.result}", after)
        if after.phase is Phase.OPEN and after.id in self._decided:
            self.broken("a result that was stored is gone", after)
        if before.phase is Phase.CLOSED and after.is_open:
            if after.id not in self._alive or before.is_proven:
                self.broken(f"closed as {before.outcome}, then open without an accepted heartbeat", after)
            self._alive.discard(after.id)
        elif before.phase is Phase.CLOSED and (after.outcome, after.result) != (
            before.outcome,
            before.result,
        ):
            self.broken(f"closed as {before.outcome}, then {after.phase} as {after.outcome}", after)


class NeverEarly(Checker):
    """Promise 2: no result before its time, measured by simulator.oracle."""

    promise = "2 never early"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._kept: defaultdict[str, dict[str, Signal]] = defaultdict(dict)  # by instance, or by token
        self._ended: set[str] = set()
        self._seen: dict[tuple[str, int], tuple[datetime, oracle.Seen]] = {}

    def kept(self, signal: Signal) -> None:
        """Signals count from when they are durable."""
        for place in filter(None, (signal.token, signal.instance_id)):
            self._kept[place].setdefault(signal.event_id, signal)

    def ended(self, instance_id: str) -> None:
        """So does the end of an instance."""
        self._ended.add(instance_id)

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """This is when a look knows all that it will decide on."""
        del evidence
        number = invocation.number if invocation else 0
        self._seen[action.id, number] = (self._local(invocation), self._seen_of(action))

    def _seen_of(self, action: Action) -> oracle.Seen:
        known = {**self._kept[action.instance_id], **self._kept[action.token or ""]}
        signals = [one for one in known.values() if self._counts(one, action)]
        return oracle.Seen(signals=signals, instance_ended=action.instance_id in self._ended)

    def _counts(self, signal: Signal, action: Action) -> bool:
        if signal.token is not None and action.token is not None:
            return signal.token == action.token
        if signal.token is not None and self.scene.memory.of_token(signal.token) is not None:
            return False
        return signal.instance_id == action.instance_id and signal.at >= self._since(action)

    def _since(self, action: Action) -> datetime:
        """A minute before its start, but not what ended the wait before in the same hook."""
        hook = (action.hook.group, action.hook.name)
        ends = [
            min(one.closed_at or action.started_at, action.started_at) + timedelta.resolution
            for one in self.scene.memory.of_instance(action.instance_id)
            if (one.hook.group, one.hook.name) == hook
            and one.started_at < action.started_at
            and one.first_seen_at < action.first_seen_at
        ]
        adopted_since = action.signals_since if action.activity_id is not None else None
        return max([adopted_since or action.started_at - _BEFORE_START, *ends])

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A decision is made when it is stored."""
        was_open = before is None or before.phase is Phase.OPEN
        if was_open and after.phase is Phase.COMPLETING:
            self._check(before or after, after, invocation)

    def _check(self, before: Action, after: Action, invocation: Invocation | None) -> None:
        number = invocation.number if invocation else 0
        if (after.id, number) not in self._seen:
            self.broken(f"{after.result} was decided without a look at what was heard", after)
            return
        heard_at, seen = self._seen[after.id, number]
        moments = (heard_at, self._local(invocation))
        fine = {result for moment in moments for result in oracle.permitted(before, seen, moment)}
        if after.result is not None and after.result not in fine:
            self.broken(f"{after.result} was decided ({after.reason}); the policy lets {sorted(fine)}", after)

    def _local(self, invocation: Invocation | None) -> datetime:
        return self.scene.clock() + (invocation.skew if invocation else timedelta(0))


class NeverByDefault(WaitChecker):
    """Promise 3, under its precondition: only where a clock ran and Auto Scaling accepted a call in time.

    A default is a violation where nothing had gone wrong with the action since its last known heartbeat;
    where one thing had, that costs a look and no instance; or where a sweep ran through, without a
    fault, in the last seconds and with the look due, in which it must call whatever else is due.
    """

    promise = "3 never by default"
    _LATEST: Final = (timedelta(seconds=10), timedelta(seconds=6))  # before the expiry

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.defaults = 0  # of recorded actions, excused or not

    def wait_ended(self, wait: Wait) -> None:
        """Only a timeout that ended a recorded wait is our affair, whatever its record says by then."""
        if wait.ended_by not in (EndedBy.HEARTBEAT_TIMEOUT, EndedBy.GLOBAL_TIMEOUT):
            return
        records = [one for one in self.records_of(wait) if one.policy.mode is not Mode.OBSERVE]
        if not records:
            return
        action = next((one for one in records if one.is_open), records[0])
        if action.hook.heartbeat_timeout > wait.heartbeat_timeout and not self.is_as_configured(wait):
            return  # someone has changed the hook behind our back
        self.defaults += 1
        if self.opened_at[records[0].id] > wait.expires_at - _WORK - LONGEST_SKEW:
            return  # its notification came too late for any call
        self._judge(action, wait)

    def _judge(self, action: Action, wait: Wait) -> None:
        since = self.known_at(action, wait) - LONGEST_SKEW
        met = self.scene.faults.between(action.id, since, wait.expires_at)
        why = self._no_excuse(met, wait, action)
        if why:
            held = wait.expires_at - wait.started_at
            self.broken(f"{wait.default_result} by default after {held}, {wait.ended_by}; {why}", action)

    def _no_excuse(self, met: Sequence[Met], wait: Wait, action: Action) -> str:
        if not met:
            return "nothing had gone wrong with it"
        if len(met) == 1 and met[0].fault in _COSTS_ONE_LOOK:
            return f"only one thing had gone wrong: {met[0].fault} at {met[0].at:%H:%M:%S.%f}"
        early, late = (wait.expires_at - before for before in self._LATEST)
        if any(one.at >= early for one in met):
            return ""
        due_at = action.look_at or early
        ran = [
            run for run in self.scene.sweeps if max(early, due_at) <= run.began_at <= late and not run.faults
        ]
        return f"a sweep ran at {ran[0].began_at:%H:%M:%S.%f} without a fault" if ran else ""


class NothingLost(Checker):
    """Promise 4: acknowledged only when durable; to the dead letters only with a reason."""

    promise = "4 nothing lost"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._signals: set[str] = set()

    def kept(self, signal: Signal) -> None:
        """A signal is durable."""
        self._signals.add(signal.event_id)

    def acknowledged(self, body: str) -> None:
        """What the message says is in the store; or, where it says nothing, in the dead letters."""
        if body in self.scene.garbage:
            letters = self.scene.dead_letters.messages
            if not any(letter.body == body and letter.attributes.get("Reason") for letter in letters):
                self.broken(f"{body[:80]!r} was acknowledged, and is not in the dead letters")
            return
        said = _said(json.loads(body))
        token, instance_id = said.get("LifecycleActionToken"), said.get("EC2InstanceId")
        if "LifecycleTransition" in said and self._is_ours(said):
            action = self.scene.memory.of_token(token or "")
            if action is None or (action.token, action.instance_id) != (token, instance_id):
                self.broken(f"the notification of token {token} was acknowledged, and is not recorded")
        elif said.get("Event") == "autoscaling:TEST_NOTIFICATION":
            tests = self.scene.memory.tests(said["AutoScalingGroupName"])
            if not any(test.request_id == said["RequestId"] for test in tests) and self._names(said):
                self.broken(f"the test message {said['RequestId']} was acknowledged, and is not kept")
        elif "Signal" in said and said["id"] not in self._signals:
            self.broken(f"signal {said['id']} was acknowledged, and is not kept")

    def _is_ours(self, said: Mapping[str, Any]) -> bool:
        transition = said["LifecycleTransition"].rpartition("_")[2].lower()
        key = (said["AutoScalingGroupName"], said["LifecycleHookName"], transition)
        return all(key in one.policies for one in self.scene.in_force())

    def _names(self, said: Mapping[str, Any]) -> bool:
        group = said["AutoScalingGroupName"]
        return all(any(group == ours[0] for ours in one.policies) for one in self.scene.in_force())

    def finished(self) -> None:
        """No good message ends as a dead letter, and none without a reason."""
        for letter in self.scene.dead_letters.messages:
            if not letter.attributes.get("Reason"):
                self.broken(f"{letter.body[:80]!r} is a dead letter without a reason")
            elif letter.body not in self.scene.garbage:
                self.broken(f"{letter.body[:80]!r} is a dead letter: {letter.attributes['Reason']}")
        for letter in self.scene.wake_dead_letters.messages:
            self.broken(f"the wake-up {letter.body} is a dead letter")


class OnlyOurs(Checker):
    """Promise 5: no call but for what the configuration named when the action began; its terms stay."""

    promise = "5 only ours"

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A record begins under a configuration in force, and ends under the same terms."""
        del invocation
        if before is None:
            key = (after.hook.group, after.hook.name, str(after.hook.transition))
            sources = [source for one in self.scene.in_force() for source in one.policies.get(key, ())]
            if after.policy.source not in sources:
                self.broken(f"recorded for {key} under {after.policy.source}, which is not deployed", after)
            return
        policies = {policy.source for policy in (before.policy, before.if_launch_failed) if policy}
        if after.policy.source not in policies:
            self.broken("its policy changed while it was open", after)
        same = (before.token or after.token, before.instance_id, before.hook.group)
        if same != (after.token, after.instance_id, after.hook.group):
            self.broken("its terms changed while it was open", after)
        if before.hook.name != after.hook.name or before.hook.default_result != after.hook.default_result:
            self.broken("the settings of its hook changed while it was open", after)
        if after.hook.heartbeat_timeout > before.hook.heartbeat_timeout:
            self.broken("its heartbeat timeout grew while it was open", after)

    def called(self, call: Call) -> None:
        """A call on a lifecycle action is for a hook that some deployed configuration named."""
        if call.operation not in (HEARTBEAT, COMPLETE):
            return
        named = (call.parameters["AutoScalingGroupName"], call.parameters["LifecycleHookName"])
        if not any(ours[:2] == named for one in self.scene.deployed for ours in one.policies):
            self.broken(f"{call.operation} on {named}, which no configuration names")
        action = self.scene.action_of(call.parameters)
        if action is None:
            return  # an adoption asks by the instance
        if (action.hook.group, action.hook.name) != named:
            self.broken(f"{call.operation} on {named} for an action of {action.hook.name}", action)
        if action.policy.mode is Mode.OBSERVE and "LifecycleActionToken" in call.parameters:
            self.broken(f"{call.operation} in observe mode", action)


class LevelNotEdge(Checker):
    """Promise 6: an event costs one look at most; the record says whether a look is due."""

    promise = "6 level, not edge"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._void: set[tuple[int, str]] = set()  # an invocation, and an action that it has no look at
        self._read: set[tuple[int, str]] = set()
        self._stores: defaultdict[str, list[datetime]] = defaultdict(list)
        self._wake_ups: Counter[tuple[str, int]] = Counter()
        self._first_asked: dict[tuple[str, int], int] = {}

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """A wake-up for a version that is past is void."""
        if invocation is None or invocation.function != "wake":
            return
        key = (invocation.number, action.id)
        if key in self._read:
            return  # looked at again, because somebody else was faster
        self._read.add(key)
        asked = [stamp for action_id, stamp in invocation.sent_for if action_id == action.id]
        if all(stamp % _STAMPS != action.version for stamp in asked):
            self._void.add(key)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """What is void stores nothing; and no action is looked at round and round."""
        if invocation is None or before is None or invocation.function == "intake":
            return
        if (invocation.number, after.id) in self._void:
            self.broken(f"{invocation} looked at it, and was asked about another version", after)
        now, stores = self.scene.clock(), self._stores[after.id]
        stores.append(now)
        if len(stores) > _MOST_LOOKS and stores[-_MOST_LOOKS] > now - _MINUTE:
            self.broken(f"more than {_MOST_LOOKS} looks stored something in a minute", after)

    def woken(self, action_id: str, version: int, at: datetime) -> None:
        """Wake-ups have no successors of their own: each version has its own few, and a sweep's each."""
        del at
        key = (action_id, version)
        self._wake_ups[key] += 1
        sweeps = len(self.scene.sweeps)
        since = self._first_asked.setdefault(key, sweeps)
        if self._wake_ups[key] > _OWN_WAKE_UPS + 2 * (sweeps - since):
            self.scene.report(
                self.promise, f"{self._wake_ups[key]} wake-ups for version {version}", action_id
            )


class Explained(Checker):
    """Promise 7: the timeline has every notification, decision, call and answer."""

    promise = "7 explained"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._told: Counter[str] = Counter()
        self._invocations: defaultdict[str, list[tuple[Invocation | None, datetime]]] = defaultdict(list)

    def called(self, call: Call) -> None:
        """Every answer that came is to be found in the timeline."""
        if call.operation not in (HEARTBEAT, COMPLETE):
            return
        action = self.scene.action_of(call.parameters)
        if action is None:
            return
        if action.is_open:
            self._invocations[action.id].append((call.invocation, call.at))

    def finished(self) -> None:
        """Each action at its end."""
        for action in self.scene.memory.actions():
            self._check_timeline(action)

    def _check_timeline(self, action: Action) -> None:
        lines = self.scene.memory.timeline(action.id)
        events = Counter[str]()
        for line in lines:
            events[line.event] += line.count
        numbers = [line.number for line in lines if line.event not in _OF_FINDINGS]
        if numbers != list(range(1, len(numbers) + 1)):
            self.broken(f"lines {numbers}", action)
        if not events["notified"] and not events["adopted"]:
            self.broken("nobody can see how it became known", action)
        if not action.is_open and not events["closed"]:
            self.broken("nobody can see how it ended", action)
        if action.outcome is Outcome.COMPLETED and not events["complete"]:
            self.broken("nobody can see why it was completed", action)
        if not all(line.detail for line in lines):
            self.broken("a line has no reason", action)
        calls = [call for call in self._invocations[action.id] if call[0] and not call[0].faults]
        told = [one for one, at in calls if one is not None and self._had_time(action, at)]
        if events["answer"] < len(told):
            self.broken(f"{len(told)} answers came, {events['answer']} are told", action)

    def _had_time(self, action: Action, at: datetime) -> bool:
        """What others closed while an answer was on its way is told without it."""
        return action.closed_at is None or at < action.closed_at - timedelta(seconds=1) - LONGEST_SKEW


def _said(data: dict[str, Any]) -> dict[str, Any]:
    """What a message says, whatever is around it."""
    if "requestPayload" in data:
        return _said(data["requestPayload"])
    if "TopicArn" in data:
        return _said(json.loads(data["Message"]))
    if "detail" in data:
        return {**data["detail"], "id": data["id"]}
    return data
