"""What a function is told by its environment, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED: Final = ("USHER_TABLE", "USHER_WAKE_UPS_URL", "USHER_DEAD_LETTERS_URL", "USHER_CALLS_PER_SECOND")
_HOOKS: Final = Path(__file__).parent.parent / "hooks.json"


class SettingsRefused(Exception):  # noqa: N818 - it reads as what happened
    """The environment does not say what a function needs; the text names all of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of all functions."""

    table: str
    wake_ups_url: str
    dead_letters_url: str
    calls_per_second: float  # that Usher may make of Auto Scaling's calls, over all functions
    hooks: Path  # hooks.yaml, compiled to JSON

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsRefused with every name that is missing, or the value that is none."""
        missing = [name for name in _NEEDED if not environment.get(name)]
        if missing:
            raise SettingsRefused(f"the environment must have {', '.join(missing)}")
        calls_per_second = environment["USHER_CALLS_PER_SECOND"]
        try:
            calls = float(calls_per_second)
        except ValueError:
            calls = 0.0
        if not 0 < calls <= 1000:  # noqa: PLR2004 - far beyond what any account is given
            raise SettingsRefused(f"USHER_CALLS_PER_SECOND must be above 0, got {calls_per_second!r}")
        return cls(
            table=environment["USHER_TABLE"],
            wake_ups_url=environment["USHER_WAKE_UPS_URL"],
            dead_letters_url=environment["USHER_DEAD_LETTERS_URL"],
            calls_per_second=calls,
            hooks=Path(environment.get("USHER_HOOKS") or _HOOKS),
        )
