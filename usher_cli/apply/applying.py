"""Applies a version: checked, planned, asked for, stored; and what keeps it from being so, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from usher.aws.file_versions import MOST_BYTES, compressed
from usher.core.compiled import compiled
from usher.core.field import ConfigurationRefused
from usher.core.file_versions import CACHED, MOST_PENDING, NONE_YET, FileVersion, Schedule
from usher.ports.errors import Moved, NotInForce, Unavailable
from usher.ports.file_versions import VersionUnreadable
from usher_cli.account import Trouble
from usher_cli.apply.data import Named, difference
from usher_cli.apply.rights import Rights
from usher_cli.install.maker import other_maker
from usher_cli.plan.command import own_groups_of
from usher_cli.plan.steps import Step
from usher_hooksfile import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from usher.core.compiled import Compiled
    from usher_cli.account import Account
    from usher_cli.plan.steps import Plan, Row

COMPILED_IN: Final = (
    "This deployment has its hooks file compiled in: change the file and deploy. "
    "docs/apply.md tells how to go over to `usher apply`"
)
CLOSING: Final = "Usher is being deleted here: nothing can be applied any more"
_AGAIN: Final = "run `usher apply` again to see what it would change now"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A file that may be applied, and the schedule that it was planned on."""

    file: Compiled
    written: str | None  # the same with its comments, where they are known
    name: str  # for people: the path, or the version that it comes from
    over: Schedule

    @property
    def number(self) -> int:
        """Of the version that it would be."""
        return self.over.newest + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """A version that was stored, and what is to be known besides: it counts all the same."""

    version: FileVersion
    schedule: Schedule
    doubt: str | None


def from_file(account: Account, path: Path, own_groups: Sequence[str] = ()) -> Candidate:
    """The file at `path`, checked as by `usher check`, with more groups of one's own. Raises Trouble."""
    try:
        examined = load.examine(path)
    except load.HooksFileRefused as refused:
        raise Trouble("; ".join(refused.complaints)) from refused
    over = account.versions().schedule()
    before = read_version(account, over.newest).file.own_groups if over.newest else own_groups_of(account)
    file = compiled(examined.data, {*own_groups, *before})
    size = len(compressed(file.text)) + len(compressed(examined.text))
    if size > MOST_BYTES:
        raise Trouble(f"{path}: must compress to at most {MOST_BYTES} bytes, got {size}: use fewer hooks.")
    return Candidate(file=file, written=examined.text, name=str(path), over=over)


def from_before(account: Account) -> Candidate:
    """The version before the newest. Raises Trouble.

    A rollback is not rolled back: whoever repeats the command, or comes second, means the same.
    """
    over = account.versions().schedule()
    if over.newest == NONE_YET:
        raise Trouble("No hooks file was applied here yet: there is nothing to roll back.")
    newest = read_version(account, over.newest)
    previous = newest.previous
    if previous == NONE_YET:
        what = "apply a file without hooks to have Usher manage nothing"
        raise Trouble(f"Version {over.newest} is the first one, and nothing was before it: {what}.")
    version = read_version(account, previous)
    if version.previous and read_version(account, version.previous).file.digest == newest.file.digest:
        raise Trouble(
            f"Version {newest.number}, by {newest.by}, has taken version {previous} back already. To have it "
            f"after all: `usher config show {previous} > again.yaml`, then `usher apply again.yaml`."
        )
    try:
        _ = version.file.configuration
    except ConfigurationRefused as refused:
        raise Trouble(f"Version {previous} is not valid in this release: {refused}") from refused
    return Candidate(file=version.file, written=version.written, name=f"version {previous}", over=over)


def read_version(account: Account, number: int) -> FileVersion:
    """A version. Raises Trouble."""
    try:
        return account.versions().version(number)
    except VersionUnreadable as error:
        raise Trouble(f"{error}: `usher config history` lists the versions.") from error


def is_newest(account: Account, candidate: Candidate) -> bool:
    """Whether this file was applied last: then nothing is to be done. Raises Trouble."""
    newest = candidate.over.newest
    return bool(newest) and read_version(account, newest).file.digest == candidate.file.digest


def refuse_where_compiled_in(account: Account, *, ahead: bool) -> None:
    """`ahead`: for a deployment that is about to go over. Raises Trouble."""
    if account.status.endswith("_IN_PROGRESS"):
        where = f"Stack {account.place.stack} is being changed ({account.status})"
        raise Trouble(f"{where}: try again when that is done.")
    in_force = account.hook_items().in_force()
    if in_force is not None and in_force.is_closing:
        raise Trouble(f"{CLOSING}.")
    is_compiled_in = in_force is None or in_force.version is None
    if is_compiled_in and not ahead:
        raise Trouble(f"{COMPILED_IN}.")
    if ahead and not is_compiled_in:
        raise Trouble("--ahead is for a deployment that has its hooks file compiled in: leave it out here.")


def refuse_what_the_rights_lack(account: Account, candidate: Candidate) -> None:
    """Raises Trouble."""
    lacking = list(_rights(account).lacking(candidate.file.configuration))
    if lacking:
        raise Trouble(f"{candidate.name}: {'; '.join(lacking)}.")


def change_of(account: Account, candidate: Candidate) -> Sequence[str]:
    """What it changes in the newest version, as lines. No step of a plan shows a policy that changes."""
    if candidate.over.newest == NONE_YET:
        return []
    newest = read_version(account, candidate.over.newest)
    was = Named(name=f"version {newest.number}", file=newest.file, written=newest.written)
    return difference(was, Named(name=candidate.name, file=candidate.file, written=candidate.written))


def refuse_conflicts_of_names(plan: Plan, candidate: Candidate) -> None:
    """A conflict on a group that the file names is a mistake; one on a group of a glob may be an exception.

    Raises Trouble.
    """
    named = {str(hook.group.glob) for hook in candidate.file.configuration.hooks if hook.group.is_one_name}
    conflicts = [row for row in plan.rows if row.step is Step.CONFLICT and row.group in named]
    if conflicts:
        raise Trouble(f"Nothing was applied. {_in_words(conflicts)}.")


def _in_words(conflicts: Sequence[Row]) -> str:
    return "; ".join(f"{row.hook} on {row.group}: {row.reason}" for row in conflicts)


def _rights(account: Account) -> Rights:
    return Rights(
        parameters=account.parameters,
        inbox_arn=account.output("InboxArn"),
        other_maker=other_maker(account.place.stack, account.parameters),
    )


def store(account: Account, candidate: Candidate, reason: str, *, ahead: bool) -> Applied:
    """Apply it. Raises Trouble where somebody else was faster, or the deployment takes none."""
    versions, over, number = account.versions(), candidate.over, candidate.number
    by, now = account.who(), account.aws_time()
    if len(over.pending(now)) >= MOST_PENDING:
        raise Trouble(f"{MOST_PENDING} versions are yet to take effect: wait a minute, and try again.")
    schedule = over.then(number, now)
    version = FileVersion(
        number=number,
        file=candidate.file,
        applied_at=now,
        effective_at=schedule.starts[-1].at,
        by=by,
        reason=reason,
        previous=over.newest,
        written=candidate.written,
    )
    try:
        versions.apply(version, schedule, over, ahead=ahead)
    except Moved as moved:
        theirs = read_version(account, versions.schedule().newest)
        raise Trouble(f"{theirs.by} applied version {theirs.number} meanwhile: {_AGAIN}.") from moved
    except NotInForce as error:
        raise Trouble(f"{COMPILED_IN}.") from error
    return Applied(version=version, schedule=schedule, doubt=_doubt(account, version))


def _doubt(account: Account, version: FileVersion) -> str | None:
    """Nothing after the store is an error: the command would be repeated, and the version is there."""
    what = f"Version {version.number} was applied, but"
    try:
        is_late = account.aws_time() > version.effective_at - CACHED
    except (BotoCoreError, ClientError, Unavailable) as error:
        return f"{what} whether in time is not known ({' '.join(str(error).split())}): watch `usher list`."
    early = (
        f"the request took so long that some functions may work by it up to {CACHED.seconds}s before others"
    )
    return f"{what} {early}: watch `usher list`." if is_late else None
