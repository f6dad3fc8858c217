"""What goes wrong with stores, queues and Auto Scaling, by what to do then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Moved(Exception):  # noqa: N818 - it reads as what happened
    """Someone else stored a newer state of the action: load it, and evaluate again."""


class NotInForce(Exception):  # noqa: N818 - it reads as what happened
    """Another hooks file counts by now, or Usher goes: change no item, and call nothing."""


class Unavailable(Exception):  # noqa: N818 - it reads as what happened
    """A store or queue did not do what it was asked, and may later: ask for redelivery."""


class NoAnswer(Unavailable):
    """The table did not answer at all: another call would only wait as long."""


class Denied(Unavailable):
    """The table says no (a right, a key, credentials, no such table), until someone changes something."""


class CutShort(Unavailable):
    """The table went away in the middle of an evaluation, which had got so far."""

    def __init__(self, text: str, *, beaten_at: datetime | None = None, may_beat: bool = True) -> None:
        super().__init__(text)
        self.beaten_at = beaten_at  # a heartbeat was sent then, and accepted
        self.may_beat = may_beat  # False: a result may be stored, or it is known to be observed or paused


class NotRecorded(Unavailable):
    """The table answers, and knows nothing yet of a wait that a wake-up was sent for."""


def is_denied(error: BaseException | None) -> bool:
    """Whether `error` is, or is of, what the table said no to."""
    return isinstance(error, Denied) or (error is not None and isinstance(error.__cause__, Denied))


class TryLater(Exception):  # noqa: N818 - it reads as what happened
    """Auto Scaling is busy or was not reached: leave it alone until the next run."""


class Throttled(TryLater):
    """Auto Scaling turned the call away: there were too many."""


class CallRefused(Exception):  # noqa: N818 - it reads as what happened
    """Auto Scaling says no, and will say so again until someone changes something."""


class GroupGone(Exception):  # noqa: N818 - it reads as what happened
    """The group was deleted meanwhile."""
