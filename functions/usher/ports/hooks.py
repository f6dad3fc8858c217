"""The items of hooks that Usher put, and the hooks file in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.hook_items import Enrolled, FileInForce


class HookItems(Protocol):
    """The items of hooks, as the intake asks for them."""

    def of(self, group: str, hook: str) -> Sequence[Enrolled]:
        """Those of one hook of one name of a group, as they are now; of earlier groups of it, too."""
        ...


class AllHookItems(HookItems, Protocol):
    """The items of hooks, as the passes ask for them."""

    def enrolled(self) -> Sequence[Enrolled]:
        """All of them; the order is not promised."""
        ...


class Enrolments(AllHookItems, Protocol):
    """The items of the hooks that Usher put, one for each hook and group."""

    def keep(self, record: Enrolled) -> Enrolled:
        """Store the state after `record.version`, for 400 days from now; return it as stored.

        Raises Moved where the stored version is another one, and NotInForce where the writer's
        hooks file is not the one that counts; stores nothing then.
        """
        ...

    def forget(self, record: Enrolled) -> None:
        """Drop the item. Raises as `keep` does."""
        ...


class HooksFile(Protocol):
    """Which compiled hooks file counts."""

    def in_force(self) -> FileInForce | None:
        """The one that counts, as it is now; None: none was ever put in force."""
        ...

    def put_in_force(self, file: FileInForce) -> None:
        """Let this one count from now on."""
        ...

    def switch(self, file: FileInForce) -> bool:
        """Let this version count, if the one that counts gives way to it; whether it did."""
        ...


class Allowance(Protocol):
    """How many hooks may still be put and removed in the hour (UTC) of a moment, over all runs."""

    def left(self, moment: datetime) -> int:
        """How many are left."""
        ...

    def take(self, moment: datetime) -> bool:
        """Take one, before the call that it is for; False where none is left."""
        ...

    def give_back(self, moment: datetime) -> None:
        """Give one back, whose call was refused and so changed nothing."""
        ...


class EnrolmentRecords(Enrolments, HooksFile, Allowance, Protocol):
    """What an enrolment pass keeps."""
