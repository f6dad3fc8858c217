"""The controller's stack, as far as CloudFormation treats it: its functions change, then its custom resource.

An update that the custom resource fails is rolled back: the functions of before, and the resource once more
with the file of before. The deletion calls it first, and takes nothing away while it fails.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.trials.applier import Applier
from usher_simulator.trials.judge.terms import InForce

if TYPE_CHECKING:
    from usher.core.compiled import Compiled
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.deployment import Deployment
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.judge.scene import Scene

_FUNCTIONS_TAKE_S: Final = (5, 60)
_PATIENCE: Final = timedelta(hours=1)  # without an answer CloudFormation fails the resource
_TRIED_AGAIN: Final = timedelta(minutes=10)  # by whoever deletes the stack
_OTHERS_FAIL: Final = 0.4  # some other resource of the same update
_ARN: Final = "arn:aws:cloudformation:us-east-1:111122223333:stack/Usher/1"


class Stack:
    """Deploys hooks files, one at a time; who comes meanwhile is turned away."""

    def __init__(
        self,
        usher: Deployment,
        clock: VirtualClock,
        random: Dice,
        scene: Scene,
        update_takes: timedelta | None = None,
    ) -> None:
        self._usher = usher
        self._clock = clock
        self._random = random
        self._scene = scene
        self._update_takes = update_takes or timedelta(0)
        self._applier = Applier(usher, random, scene, lambda: self.goes) if usher.is_applied else None
        self._requests = count(1)
        self._request = ""  # the one that is to be answered
        self.status = "CREATE_COMPLETE"
        self.file = usher.file
        usher.on_provided = self._answered
        usher.stack_status = lambda: self.status

    @property
    def is_busy(self) -> bool:
        """Whether it takes no other change now."""
        return self.status.endswith("_IN_PROGRESS")

    @property
    def is_settled(self) -> bool:
        """Whether no change of files or hooks is under way."""
        return not self.is_busy and (self._applier is None or self._applier.is_settled)

    @property
    def goes(self) -> bool:
        """Whether it is being deleted, or is gone."""
        return self.status.startswith("DELETE")

    def create(self) -> None:
        """Put the hooks of the first file. A creation that fails is no matter here: it is repeated."""
        self._begin("CREATE_IN_PROGRESS", "Create", self.file)

    def update(self, file: Compiled) -> None:
        """Deploy a hooks file, or apply it."""
        if self._applier is not None:
            self._applier.update(file)
        elif not self.is_busy and not self.goes:
            self._before = self.file
            self._change("UPDATE_IN_PROGRESS", file)

    def delete(self) -> None:
        """Take Usher away."""
        if not self.is_busy:
            self._begin("DELETE_IN_PROGRESS", "Delete", self.file)

    def _change(self, status: str, file: Compiled) -> None:
        """The functions first, and when they are there the custom resource."""
        self.status, self.file = status, file
        self._scene.deployed.append(InForce(since=self._clock(), file=file.file))
        self._usher.deploy(file)
        later = timedelta(seconds=self._random.uniform(*_FUNCTIONS_TAKE_S)) + self._update_takes
        self._clock.at(self._clock() + later, lambda: self._begin(status, "Update", file))

    def _begin(self, status: str, kind: str, file: Compiled) -> None:
        self.status = status
        self._request = request = f"request-{next(self._requests):03d}"
        self._usher.invoke_provision(
            {
                "RequestType": kind,
                "ResponseURL": "https://answer.example",
                "StackId": _ARN,
                "RequestId": request,
                "LogicalResourceId": "Hooks",
                "ResourceProperties": {"HooksFrom": "table"} if self._applier else {"File": file.text},
            }
        )
        self._clock.at(self._clock() + _PATIENCE, lambda: self._unanswered(request))

    def _unanswered(self, request: str) -> None:
        if request == self._request:
            self._answered({"RequestId": request, "Status": "FAILED", "Reason": "no answer"})

    def _answered(self, answer: dict[str, Any]) -> None:
        """The first answer to a request counts."""
        if answer["RequestId"] != self._request:
            return
        self._request = ""
        failed = answer["Status"] == "FAILED"
        self._scene.happened.add(f"stack: {self.status} {answer['Status']}")
        match self.status:
            case "CREATE_IN_PROGRESS" if failed:
                self._clock.at(self._clock() + _TRIED_AGAIN, self.create)
            case "CREATE_IN_PROGRESS":
                self.status = "CREATE_COMPLETE"
            case "UPDATE_IN_PROGRESS" if failed or self._random.chance(_OTHERS_FAIL):
                self._scene.happened.add("stack: rolled back")
                self._change("UPDATE_ROLLBACK_IN_PROGRESS", self._before)
            case "UPDATE_IN_PROGRESS":
                self.status = "UPDATE_COMPLETE"
            case "UPDATE_ROLLBACK_IN_PROGRESS":
                self.status = "UPDATE_ROLLBACK_COMPLETE"
            case "DELETE_IN_PROGRESS" if failed:
                self.status = "DELETE_FAILED"
                self._clock.at(self._clock() + _TRIED_AGAIN, self.delete)
            case "DELETE_IN_PROGRESS":
                self.status = "DELETE_COMPLETE"
                self._usher.remove()
            case _:
                pass
