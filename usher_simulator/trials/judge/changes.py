"""Promise 8: no deploy, file, rollback or removal of Usher's ends a wait that its policy holds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.judge.scene import DELETE_HOOK, Checker
from usher_simulator.trials.judge.terms import selects

if TYPE_CHECKING:
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.judge.scene import Scene

# From the last look at the group until its hook's deletion takes effect: what enters then is lost.
_UNSEEN: Final = timedelta(seconds=5)


class ChangesHarmNobody(Checker):
    """A hook goes only when nobody waits in it; and in the end the hooks stand as the file says."""

    promise = "8 changes harm nobody"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._put: set[tuple[str, str]] = set()

    def called(self, call: Call) -> None:
        """Judge a deletion when it is made: what waits then is abandoned."""
        if call.refusal is not None or not call.operation.endswith("LifecycleHook"):
            return
        place = (call.parameters["AutoScalingGroupName"], call.parameters["LifecycleHookName"])
        if call.operation != DELETE_HOOK:
            self._put.add(place)
            return
        self._put.discard(place)
        group, hook = place
        for wait in self.scene.waits.of_hook(group, hook):
            if wait.ended_at == call.at and wait.started_at < call.at - _UNSEEN:
                self.broken(f"hook {hook} of {group} was deleted while {wait.instance_id} waits in it")

    def finished(self) -> None:
        """Where the enrolment runs and all is quiet: what is wanted stands, and what is not is gone."""
        if not self.scene.is_enrolled or self.scene.goes():
            return
        for group in self.scene.groups.values():
            if not group.deleting:
                self._check_group(group)

    def _check_group(self, group: Group) -> None:
        file = self.scene.deployed[-1]
        tags = {(tag["Key"], tag.get("Value", "")) for tag in group.settings.get("Tags") or []}
        wanted = {hook["name"] for hook in file.file["hooks"] if selects(hook, group.name, tags)}
        ours = {hook for name, hook in self._put if name == group.name}
        for name in sorted(wanted - set(group.hooks)):
            self.broken(f"hook {name} of {group.name} is in the file, and does not stand")
        for name in sorted((ours & set(group.hooks)) - wanted):
            if not self._may_be_theirs(group, name):
                self.broken(f"hook {name} of {group.name} is not in the file, and stands still")

    def _may_be_theirs(self, group: Group, name: str) -> bool:
        """Whether others have changed a hook that notifies nobody: nothing shows any more whose it is."""
        is_changed = (group.name, name) in self.scene.changed_by_others
        return is_changed and group.hooks[name].target_arn is None
