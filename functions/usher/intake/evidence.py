"""Keeps what is heard of actions: signals, and the ends of activities, instances and commands."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from usher.core import evidence
from usher.core.frozen import frozen, replace
from usher.ports.errors import Moved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.action import Action, ActivityEnd, Signal
    from usher.core.notifications import CommandEnd, InstanceEnd, InstanceState, TestNotice
    from usher.core.policy import Configuration
    from usher.evaluation.question_chain import Chains
    from usher.evaluation.record_writer import RecordWriter
    from usher.ports.records import Store
    from usher.ports.telemetry import Telemetry


@frozen
class EvidenceIntake:
    """What the intake of everything but lifecycle notifications touches. Each raises Unavailable."""

    configuration: Configuration
    store: Store
    writer: RecordWriter
    chains: Chains
    telemetry: Telemetry

    def take_test(self, notice: TestNotice) -> None:
        """Kept: by it a group is known to reach us."""
        if not self.configuration.may_name_group(notice.group):
            self.telemetry.message_handled(
                "ignored", f"a test message of group {notice.group}, which is not configured"
            )
            return
        self.store.keep_test(notice)
        self.telemetry.message_handled("test", "")

    def take_activity_end(self, activity_end: ActivityEnd, now: datetime) -> None:
        """Kept for what is recorded later, and noted on what it fits."""
        actions = list(self.store.of_instance(activity_end.instance_id))
        if not actions and not self.configuration.names_group(activity_end.group):
            self.telemetry.message_handled(
                "ignored", f"an outcome of group {activity_end.group}, which is not configured"
            )
            return
        self.store.keep_move_end(activity_end)
        for action in actions:
            if evidence.ends(activity_end, action):
                self._hear_move_end(action, activity_end, now)
            elif action.is_open and action.if_launch_failed is not None:
                self.writer.note(action, partial(evidence.due_now, now=now))
        self.telemetry.message_handled("outcome", "")

    def _hear_move_end(self, action: Action, activity_end: ActivityEnd, now: datetime) -> None:
        """An open action is evaluated, and asks Auto Scaling; a closed one only notes it."""

        def heard(action: Action) -> Action:
            noted = evidence.with_move_ends(action, [activity_end], now)
            if noted is action:
                return action
            if action.is_open:
                return evidence.due_now(noted, now)
            noted = action.noted(now, "outcome", evidence.end_in_words(activity_end))
            return replace(noted, activity_end=activity_end)

        self.writer.note(action, heard)

    def take_instance_end(self, end: InstanceEnd, now: datetime) -> None:
        """Kept for any instance: Auto Scaling may begin to terminate it only minutes later."""
        self.store.keep_instance_end(end.instance_id, end.at)
        self._look_at_open(end.instance_id, now)
        self.telemetry.message_handled("outcome", end.detail)

    def take_instance_state(self, state: InstanceState, now: datetime) -> None:
        """That it runs is kept only where it was known as stopped."""
        self.store.keep_instance_state(state.instance_id, state.at, is_stopped=state.is_stopped)
        if state.is_stopped:
            self._look_at_open(state.instance_id, now)
        self.telemetry.message_handled("outcome", state.detail)

    def _look_at_open(self, instance_id: str, now: datetime) -> None:
        for action in self.store.of_instance(instance_id):
            if action.is_open:
                self.writer.note(action, lambda action: evidence.due_now(action, now))

    def take_command_end(self, end: CommandEnd, now: datetime) -> None:
        """A hint, believed in nothing: the conditions that follow the command are asked at once."""
        for action in self.store.of_instance(end.instance_id):
            findings = self.store.findings(action.id) if action.is_open else None
            if findings is not None and evidence.follows(findings, end.command_id):
                with suppress(Moved):  # somebody asks just now
                    self.chains.ask_now(action, evidence.asked_at_once(findings, end.command_id, now))
        self.telemetry.message_handled("outcome", end.detail)

    def take_signal(self, signal: Signal, now: datetime) -> None:
        """Kept first; an evaluation is asked for where it would come too late else."""
        signal = evidence.received(signal, now)
        change = self.store.keep_signal(signal)
        if change is evidence.Kept.REFUSED:
            self.telemetry.count("SignalsRefused")
            self.telemetry.message_handled(
                "signal", f"{signal.name} is not stored: {evidence.MOST_NAMES} other names are"
            )
            return
        actions = self._named_by(signal)
        for action in actions:
            if action.is_open and evidence.fits(signal, action):
                self.writer.note(action, partial(_heard, signal=signal, change=change, now=now))
        unheard = self._unheard(signal, actions)
        if unheard:
            self.telemetry.count("UnknownSignals")
        self.telemetry.message_handled("signal", unheard)

    def _named_by(self, signal: Signal) -> Sequence[Action]:
        """The action of its token, or where none is known those of its instance."""
        of_token = self.store.of_token(signal.token) if signal.token else None
        if of_token is not None:
            return [of_token]
        return list(self.store.of_instance(signal.instance_id)) if signal.instance_id else []

    def _unheard(self, signal: Signal, actions: Sequence[Action]) -> str:
        """Why nobody may ever hear the signal, as far as is known; empty where somebody may."""
        if signal.instance_id is None and not actions:
            return f"no action has token {signal.token} yet: {signal.name} counts once one has it"
        groups = {action.hook.group for action in actions}
        policies = [
            rule.use
            for hook in self.configuration.hooks
            if not groups or any(hook.group.may_fit(group) for group in groups)
            for rule in hook.rules
        ]
        policies += [policy for action in actions if action.is_open for policy in action.policy.possible]
        if any(evidence.listens(policy, signal) for policy in policies):
            return ""
        return f"no policy of {signal.instance_id or signal.token} waits for signal {signal.name}"


def _heard(action: Action, signal: Signal, change: evidence.Kept, now: datetime) -> Action:
    return evidence.due_now(action, now) if evidence.needs_evaluation(action, signal, change, now) else action
