"""What a function is told by its environment, read once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from usher.core.frozen import frozen
from usher.core.hook_items import Target
from usher.core.notifications import Home
from usher.core.policy import Channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEEDED: Final = (
    "USHER_TABLE",
    "USHER_WAKE_UPS_URL",
    "USHER_QUESTIONS_URL",
    "USHER_DEAD_LETTERS_URL",
    "USHER_CALLS_PER_SECOND",
)
_NEEDED_TO_ENROL: Final = (
    "USHER_INBOX_ARN",
    "USHER_TOPIC_ARN",
    "USHER_INTAKE_ARN",
    "USHER_HOOK_ROLE_ARN",
    "USHER_ENROLMENTS_PER_HOUR",
)
_HOOKS: Final = Path(__file__).parent.parent / "hooks.json"


class SettingsRefused(Exception):  # noqa: N818 - it reads as what happened
    """The environment does not say what a function needs; the text names all of it."""


@frozen
class Settings:
    """The settings of all functions."""

    table: str
    wake_ups_url: str
    questions_url: str
    dead_letters_url: str
    all_dead_letters_urls: tuple[str, ...]  # of every queue, for the sweep, which counts them
    calls_per_second: float  # that Usher may make of Auto Scaling's calls, over all functions
    hooks: Path  # hooks.yaml, as usher.core.compiled writes it
    is_applied: bool  # versions of the hooks file are applied at run time, and `hooks` is not read
    home: Home  # of whose events this is the Usher; what is not told is not held against them

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsRefused with every name that is missing, or the value that is none."""
        _require(_NEEDED, environment)
        calls_per_second = environment["USHER_CALLS_PER_SECOND"]
        try:
            calls = float(calls_per_second)
        except ValueError:
            calls = 0.0
        if not 0 < calls <= 1000:  # noqa: PLR2004 - far beyond what any account is given
            raise SettingsRefused(f"USHER_CALLS_PER_SECOND must be above 0, got {calls_per_second!r}")
        hooks_from = environment.get("USHER_HOOKS_FROM") or "asset"
        if hooks_from not in ("asset", "table"):
            raise SettingsRefused(f"USHER_HOOKS_FROM must be asset or table, got {hooks_from!r}")
        return cls(
            table=environment["USHER_TABLE"],
            wake_ups_url=environment["USHER_WAKE_UPS_URL"],
            questions_url=environment["USHER_QUESTIONS_URL"],
            dead_letters_url=environment["USHER_DEAD_LETTERS_URL"],
            all_dead_letters_urls=tuple(environment.get("USHER_ALL_DEAD_LETTERS_URLS", "").split()),
            calls_per_second=calls,
            hooks=Path(environment.get("USHER_HOOKS") or _HOOKS),
            is_applied=hooks_from == "table",
            home=Home(
                account=environment.get("USHER_ACCOUNT") or None, region=environment.get("AWS_REGION") or None
            ),
        )


@frozen
class EnrolmentSettings:
    """What whoever puts hooks needs besides."""

    inbox_arn: str
    topic_arn: str
    intake_arn: str
    hook_role_arn: str
    per_hour: int  # hooks that may be put and removed

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> EnrolmentSettings:
        """Raises SettingsRefused with every name that is missing, or the value that is none."""
        _require(_NEEDED_TO_ENROL, environment)
        per_hour = environment["USHER_ENROLMENTS_PER_HOUR"]
        if not (per_hour.isascii() and per_hour.isdigit()):
            raise SettingsRefused(f"USHER_ENROLMENTS_PER_HOUR must be a whole number, got {per_hour!r}")
        return cls(
            inbox_arn=environment["USHER_INBOX_ARN"],
            topic_arn=environment["USHER_TOPIC_ARN"],
            intake_arn=environment["USHER_INTAKE_ARN"],
            hook_role_arn=environment["USHER_HOOK_ROLE_ARN"],
            per_hour=int(per_hour),
        )

    @property
    def targets(self) -> dict[Channel, Target]:
        """Whom a hook can notify. Lambda is invoked without a role, and EventBridge needs no target."""
        return {
            Channel.SQS: Target(arn=self.inbox_arn, role_arn=self.hook_role_arn),
            Channel.SNS: Target(arn=self.topic_arn, role_arn=self.hook_role_arn),
            Channel.LAMBDA: Target(arn=self.intake_arn),
            Channel.EVENTBRIDGE: Target(arn=None),
        }


def _require(names: Iterable[str], environment: Mapping[str, str]) -> None:
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise SettingsRefused(f"the environment must have {', '.join(missing)}")
