"""The hooks file as a deployment carries it: as JSON text, with what the deployment says of its groups."""

from __future__ import annotations

import json
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from usher.core import configuration
from usher.core.frozen import frozen
from usher.core.hook_items import FileInForce

if TYPE_CHECKING:
    from collections.abc import Iterable

    from usher.core.policy import Configuration


@frozen
class Compiled:
    """A compiled file. `own_groups` hold their hooks in their own templates."""

    text: str
    own_groups: tuple[str, ...]
    file: Any  # the hooks file as plain data

    @cached_property
    def configuration(self) -> Configuration:
        """What the file says. Raises ConfigurationRefused."""
        return configuration.parse(self.file)

    @property
    def digest(self) -> str:
        """Names this very text."""
        return sha256(self.text.encode()).hexdigest()


@frozen
class InEffect:
    """The file that an invocation works by. `version`: its number; None: it is compiled in.

    `is_certain`: whether none after it can be in effect by now. Else it holds what waits, and no more.
    """

    file: Compiled
    version: int | None = None
    is_certain: bool = True

    @property
    def in_force(self) -> FileInForce:
        """The file as the enrolment's items name it."""
        return FileInForce(digest=self.file.digest, own_groups=self.file.own_groups, version=self.version)


def compiled(file: Any, own_groups: Iterable[str] = ()) -> Compiled:  # noqa: ANN401 - as YAML brings it
    """The compiled form of a hooks file. The same file gives the same text."""
    own = tuple(sorted(own_groups))
    data = {"file": file, "own_groups": own}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return Compiled(text=text, own_groups=own, file=file)


def read(text: str) -> Compiled:
    """What `compiled` wrote."""
    data = json.loads(text)
    return Compiled(text=text, own_groups=tuple(data["own_groups"]), file=data["file"])
