"""What CloudFormation calls: the hooks of a deploy are put when the stack changes, and go when it goes.

It works on the hooks file in the resource's property, not on the one beside its code, so that a
rollback brings the former file back into force, whichever code runs then. Where the property says that
versions of the file are applied at run time, they count from now on, and the sweep puts their hooks.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from usher.core import compiled
from usher.core.field import ConfigurationRefused
from usher.core.file_versions import NO_VERSION, NONE_YET
from usher.core.frozen import frozen
from usher.core.hook_items import FileInForce
from usher.evaluation.call_budget import NoCallLeft
from usher.passes.enrolment import LAST_CALLS_S
from usher.ports.errors import GroupGone, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from usher.core.compiled import Compiled, InEffect
    from usher.core.hook_items import GroupSeen
    from usher.passes.enrolment import Enrolment, Settled
    from usher.release import Release

T = TypeVar("T")

PHYSICAL_ID: Final = "usher-hooks"
FILE: Final = "File"  # the property that has the compiled file
FROM: Final = "HooksFrom"  # or the one that says TABLE: it is applied at run time
TABLE: Final = "table"
REPORT: Final = "Report"  # the attribute
PATIENCE: Final = timedelta(minutes=10)  # what does not stand by then the sweep goes on with
TESTS: Final = 5  # tries of a put that is denied, or whose test message does not arrive: roles take time
BETWEEN_TRIES_S: Final = 10
_MAY_PASS: Final = ("Unable to publish test message", "AccessDenied")
_GOING: Final = ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")  # the second: of its creation
_AHEAD: Final = "usher apply hooks.yaml --ahead --reason ..."
_MOST_TOLD: Final = 1500  # characters: CloudFormation takes an answer of 4,096 bytes


class Failed(Exception):  # noqa: N818 - it reads as what happened
    """The deploy must not go on; the text says why."""


@frozen
class Provision:
    """Answers CloudFormation.

    `status` tells a stack's own status, None where nobody can say. `respond` brings an answer to the
    address that came with the request. `in_effect` tells the version that is applied.
    """

    enrolment: Callable[[Compiled], Enrolment]
    release: Release
    status: Callable[[str], str | None]
    respond: Callable[[str, dict[str, Any]], None]
    in_effect: Callable[[], InEffect] = lambda: NO_VERSION

    def handle(self, event: dict[str, Any], has_time: Callable[[], bool] = lambda: True) -> None:
        """Always answers: without an answer CloudFormation would wait for an hour."""
        url, kind = event["ResponseURL"], event["RequestType"]
        named = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        status, report = "SUCCESS", ""
        try:
            report = self._do(kind, event, has_time)
        except Failed as failed:
            status, report = "FAILED", str(failed)
        except Exception as error:  # noqa: BLE001 - the edge: told to whoever deploys
            self.release.telemetry.trouble("the hooks could not be provided", error)
            status, report = "FAILED", f"{type(error).__name__}: {error}"
        report = report if len(report) <= _MOST_TOLD else f"{report[:_MOST_TOLD]} ..."
        answer = {"Status": status, "Reason": report, "PhysicalResourceId": PHYSICAL_ID, **named}
        self.respond(url, {**answer, "Data": {REPORT: report}})

    def _do(self, kind: str, event: dict[str, Any], has_time: Callable[[], bool]) -> str:
        status = self.status(event["StackId"])
        if kind == "Delete":
            return self._leave(status, has_time)
        if status in _GOING:  # Lambda may try an event again that CloudFormation has given up
            return f"nothing is put: the stack is being deleted ({status})"
        # Where a rollback failed too, the stack would be stuck; so what nobody can say counts as one.
        if _is_forward(status):
            return self._deploy(event, has_time, only_tells=False)
        try:
            return self._deploy(event, has_time, only_tells=True)
        except Exception as error:  # noqa: BLE001 - told: a rollback fails nothing
            self.release.telemetry.trouble("not all could be done in a rollback", error)
            return f"left to the sweep: {type(error).__name__}: {error}"

    def _deploy(self, event: dict[str, Any], has_time: Callable[[], bool], *, only_tells: bool) -> str:
        if event.get("ResourceProperties", {}).get(FROM) == TABLE:
            return self._let_versions_count(only_tells=only_tells)
        file = _file(event)
        status = partial(self.status, event["StackId"])
        return _Deploy(self.enrolment(file), file, has_time, status, only_tells=only_tells).run()

    def _let_versions_count(self, *, only_tells: bool) -> str:
        """From a deployment with its file compiled in only to a version: nothing would be asked for."""
        records, file = self.release.enrolments, self.in_effect().in_force
        before = records.in_force()
        if before is not None and before.is_closing:
            raise Failed("nothing is put: Usher is being deleted")
        if before is None or before.version is None:
            if before is not None and file.version == NONE_YET and not only_tells:
                raise Failed(f"no hooks file is applied, and all hooks would retire: first {_AHEAD}")
            records.put_in_force(file)
            if before is not None and before.digest != file.digest:
                self.release.wait(LAST_CALLS_S)
        if file.version == NONE_YET:
            return "no hooks file is applied yet: usher apply hooks.yaml --reason ..."
        return f"version {file.version} of the hooks file is in effect; the sweep puts its hooks"

    def _leave(self, status: str | None, has_time: Callable[[], bool]) -> str:
        """Only where the stack itself goes is this the end of Usher."""
        if status is None:
            raise Failed("the stack's status is unknown, and hooks may only be deleted with the stack")
        if status not in _GOING:
            return f"nothing is released: the stack is not being deleted ({status})"
        left = self.release.run(has_time)
        if left:
            raise Failed(left)
        return "no instance waits any more, and no hook is left"


def _is_forward(status: str | None) -> bool:
    return status is not None and "ROLLBACK" not in status and status not in _GOING


def _file(event: dict[str, Any]) -> Compiled:
    try:
        file = compiled.read(event["ResourceProperties"][FILE])
        _ = file.configuration  # so that it is known to be sound
    except (KeyError, TypeError, ValueError, RecursionError, ConfigurationRefused) as error:
        raise Failed(f"property {FILE} has no compiled hooks file: {type(error).__name__}") from error
    return file


def _may_pass(reason: str) -> bool:
    """Whether the same call may be taken in some seconds: rights that a deploy gave spread slowly."""
    return any(each in reason for each in _MAY_PASS)


class _Deploy:
    """One creation or update."""

    def __init__(
        self,
        enrolment: Enrolment,
        file: Compiled,
        has_time: Callable[[], bool],
        status: Callable[[], str | None],
        *,
        only_tells: bool,
    ) -> None:
        self._enrolment = enrolment
        self._file = file
        self._status = status
        self._only_tells = only_tells
        self._is_left = has_time
        self._ends_at = enrolment.clock() + PATIENCE
        self._turn = partial(
            enrolment.call_budget.wait_for_slot, enrolment.clock, enrolment.wait, self._has_time
        )
        self._troubles: list[str] = []
        self._left: list[str] = []

    def _has_time(self) -> bool:
        return self._is_left() and self._enrolment.clock() < self._ends_at

    def run(self) -> str:
        """Put the file in force, and the hooks on groups that it names; how that went. Raises Failed."""
        records = self._enrolment.records
        if self._only_tells:
            self._put_in_force()
        groups = self._patiently(partial(self._enrolment.groups.groups, self._turn))
        if groups is not None:
            self._tell_missing(groups)
        if not self._only_tells:
            self._refuse_cancelled()
            self._put_in_force()
        if groups is None:
            return "all hooks are left to the sweep: Auto Scaling was busy for too long"
        enrolled = records.enrolled()
        self._patiently(partial(self._enrolment.mark, groups, enrolled, self._has_time))
        named = [group for group in groups if group.name in self._enrolment.wanted.named_groups]
        stand = sum(self._stands(group) for group in named if not group.is_ending)
        if self._troubles and not self._only_tells:
            raise Failed("; ".join(self._troubles))
        return self._report(stand, len(named))

    def _refuse_cancelled(self) -> None:
        """Auto Scaling may have been busy for minutes: a rollback may have put the former file in force."""
        for _ in range(TESTS):
            if (status := self._status()) is not None:
                break
            self._enrolment.wait(BETWEEN_TRIES_S)
        if not _is_forward(status):
            raise Failed(f"nothing is put: by now the stack's status is {status or 'unknown'}")

    def _put_in_force(self) -> None:
        """What a pass of the former file was about to put, it has put by the end of this."""
        records = self._enrolment.records
        before = records.in_force()
        if before is not None and before.is_closing:
            raise Failed("nothing is put: Usher is being deleted")
        file = FileInForce(digest=self._file.digest, own_groups=self._file.own_groups)
        records.put_in_force(file)
        if before is not None and before.digest != file.digest:
            self._enrolment.wait(LAST_CALLS_S)

    def _tell_missing(self, groups: Iterable[GroupSeen]) -> None:
        """Before the first put, so that a slip of the pen changes nothing."""
        live = {group.name for group in groups if not group.is_ending}
        missing = sorted(self._enrolment.wanted.named_groups - live)
        if not missing:
            return
        trouble = f"the hooks file names groups that do not exist: {', '.join(missing)}"
        if not self._only_tells:
            raise Failed(trouble)
        self._troubles.append(trouble)

    def _stands(self, group: GroupSeen) -> bool:
        """Whether every hook that names the group stands there now."""
        for attempt in range(TESTS):
            try:
                settled = self._patiently(partial(self._settled, group))
            except GroupGone:
                self._troubles.append(f"group {group.name} no longer exists")
                return False
            if settled is None:
                break
            conflicts = [each for each in settled.conflicts if self._is_named(group, each.hook)]
            lacking = [hook for hook in settled.lacking if self._is_named(group, hook)]
            if not lacking and not conflicts:
                return True
            is_last = attempt == TESTS - 1 or self._only_tells or not self._has_time()
            if is_last or not conflicts or not all(_may_pass(each.reason) for each in conflicts):
                self._troubles += [f"{each.hook} on {each.group}: {each.reason}" for each in conflicts]
                conflicting = {each.hook for each in conflicts}
                self._left += [f"{hook} on {group.name}" for hook in lacking if hook not in conflicting]
                return False
            self._enrolment.wait(BETWEEN_TRIES_S)
        self._left.append(f"the hooks on {group.name}")
        return False

    def _settled(self, group: GroupSeen) -> Settled:
        """With the items as they are now: an earlier try may have stored some."""
        enrolled = self._enrolment.records.enrolled()
        here = [record for record in enrolled if record.group_arn == group.arn]
        return self._enrolment.settle(group, here, self._turn)

    def _is_named(self, group: GroupSeen, hook: str) -> bool:
        hooks = self._enrolment.wanted.hooks
        return any(each.name == hook and each.group.glob == group.name for each in hooks)

    def _patiently(self, do: Callable[[], T]) -> T | None:
        """What comes of `do`, however busy Auto Scaling is; None where the time is over."""
        while True:
            try:
                return do()
            except NoCallLeft:
                pass
            except TryLater as busy:
                self._enrolment.put_off(busy)
            if not self._has_time():
                return None
            self._enrolment.wait(1)

    def _report(self, stand: int, named: int) -> str:
        retiring = sum(record.is_retiring for record in self._enrolment.records.enrolled())
        parts = [f"the hooks are on {stand} of the {named} groups that the file names"]
        parts += [f"left to the sweep: {', '.join(self._left)}"] if self._left else []
        parts += [f"{retiring} hooks are retiring"] if retiring else []
        return "; ".join((*parts, *self._troubles))
