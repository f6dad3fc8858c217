"""Placeholders in the parameters of a command, such as `{{instance_id}}`, and what an action puts there.

A value goes into a script that a shell reads, and nothing here quotes it. So only values of plain characters
are put in: none of them can end a word, begin another command, or be a reference that SSM resolves.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from usher.core.conditions.probe import Probe, finding_of
from usher.core.conditions.verdict import Verdict
from usher.core.finding import ConditionStatus
from usher.core.metadata import value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from usher.core.action import Action

NAMES: Final = ("instance_id", "group", "hook", "token", "metadata")
KNOWN: Final = ", ".join((*NAMES, "metadata.KEY"))
PLAIN: Final = "[A-Za-z0-9_.:/@-]+"
# `{{ssm:NAME}}` and `{{.Name}}` are others' and stay. So does what stands in more braces than two.
_ANY: Final = re.compile(r"(\{{2,}) *([A-Za-z_][A-Za-z0-9_.-]*) *(\}{2,})")
_BRACES: Final = ("{{", "}}")
_KEY_OF: Final = "metadata."
_MOST_SHOWN: Final = 60


class PlaceholderProbe(Probe):
    """A condition that starts something with texts of the hooks file.

    Where a placeholder in them cannot be filled it has failed, and nothing is started. What was begun
    goes on.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def texts(self) -> tuple[str, ...]:
        """What may hold placeholders."""

    @property
    def unknown_placeholder(self) -> str | None:
        """What looks like a placeholder and is none. A record may have one, and a file may not."""
        return next(filter(None, map(unknown_in, self.texts)), None)

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """See Condition."""
        refusal = self._refusal(action)
        if refusal is not None:
            return Verdict(status=ConditionStatus.FAILED, detail=f"{self.name}: {refusal}")
        return super().verdict(action, now)

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:
        """See Condition."""
        return super().asks(action, now) if self._refusal(action) is None else ()

    def _refusal(self, action: Action) -> str | None:
        found = finding_of(self, action)
        return None if found is not None and found.memory else refusal(self.texts, action)


def unknown_in(text: str) -> str | None:
    """The first thing in `text` that looks like a placeholder and is none."""
    return next((one[0] for one in _ANY.finditer(text) if _name(one) is None), None)


def refusal(texts: Iterable[str], action: Action) -> str | None:
    """Why not all placeholders in `texts` can be filled for `action`; None: they can."""
    values = _values(action)
    names = filter(None, (_name(one) for text in texts for one in _ANY.finditer(text)))
    return next(filter(None, (_refusal(name, _value(values, name)) for name in names)), None)


def filled(text: str, action: Action) -> str:
    """The text with the values of `action`, for which there is no refusal."""
    values = _values(action)
    return _ANY.sub(lambda one: _value(values, _name(one) or "") or one[0], text)


def _name(found: re.Match[str]) -> str | None:
    """The name in what looks like a placeholder; None: it is none."""
    before, name, after = found.groups()
    is_known = name in NAMES or (name.startswith(_KEY_OF) and name != _KEY_OF)
    return name if is_known and (before, after) == _BRACES else None


def _values(action: Action) -> Mapping[str, str | None]:
    return {
        "instance_id": action.instance_id,
        "group": action.hook.group,
        "hook": action.hook.name,
        "token": action.token,
        "metadata": action.metadata,
    }


def _value(values: Mapping[str, str | None], name: str) -> str | None:
    key = name.removeprefix(_KEY_OF)
    return values.get(name) if key == name else value_of(values["metadata"], key)


def _refusal(name: str, value: str | None) -> str | None:
    if value is None:
        return f"{{{{{name}}}}} has no value for this action"
    if re.fullmatch(PLAIN, value):
        return None
    shown = ascii(value)
    shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
    return f"the value of {{{{{name}}}}} must match {PLAIN} to be put into a command, got {shown}"
