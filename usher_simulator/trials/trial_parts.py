"""What a trial has of its own: the states of its instances as EC2 tells them, and who is told of trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_simulator.trials.trial import Trial


class Instances:
    """Implements usher.ports.autoscaling.InstanceStates."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def states(self, instance_ids: Sequence[str]) -> Mapping[str, str]:
        """All run that did not end, and were not stopped."""
        scene = self._trial.scene
        told = dict.fromkeys(instance_ids, "running")
        told |= {each: "stopped" for each in instance_ids if each in scene.stopped}
        return told | {each: "terminated" for each in instance_ids if each in scene.ended_in_ec2}


class TrialTelemetry(Recorder):
    """Counts, and tells the trial of trouble."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self._trial = trial

    def trouble(self, what: str, error: Exception) -> None:
        """See usher.ports.telemetry.Telemetry."""
        self._trial.trouble(what, error)

    def enrolment(self, step: str, group: str, hook: str, reason: str) -> None:
        """See usher.ports.telemetry.EnrolmentTelemetry."""
        super().enrolment(step, group, hook, reason)
        self._trial.scene.happened.add(f"enrolment: {step}")
