"""What this installation of the command brings along to be deployed."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from usher_cdk.wheels import RELEASED_TEMPLATE, RELEASED_ZIP
from usher_cli.account import Trouble

if TYPE_CHECKING:
    from pathlib import Path

    from usher_cli.account import Machine

VERSION: Final = "Version"  # the output of the stack that names its release


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """The functions' zip and the template, with the keys under which a bucket has them."""

    version: str
    functions: bytes
    template: bytes

    @property
    def functions_key(self) -> str:
        """Holds the hash of the contents: what is there already need not be uploaded."""
        return f"usher/{self.version}/functions-{sha256(self.functions).hexdigest()}.zip"

    @property
    def template_key(self) -> str:
        """See functions_key."""
        return f"usher/{self.version}/template-{sha256(self.template).hexdigest()}.json"

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the template's parameters."""
        return frozenset(json.loads(self.template)["Parameters"])

    @property
    def code_sha256(self) -> str:
        """As Lambda tells it of a function (CodeSha256)."""
        return base64.b64encode(sha256(self.functions).digest()).decode()


def command_version() -> str:
    """Of this command."""
    return version("usher-hooks")


def release_of(machine: Machine) -> Release:
    """What is to be deployed. Raises Trouble where there is nothing."""
    return machine.release or read_release(RELEASED_ZIP, RELEASED_TEMPLATE)


def read_release(functions: Path, template: Path) -> Release:
    """Raises Trouble where there is none, or one of another version than the command."""
    try:
        release = Release(
            version=command_version(), functions=functions.read_bytes(), template=template.read_bytes()
        )
    except FileNotFoundError as error:
        raise Trouble(
            "There is nothing to deploy here: in a checkout, run `make release` first; elsewhere, install "
            "the wheel that `make dist` makes."
        ) from error
    built = json.loads(release.template)["Outputs"][VERSION]["Value"]
    if built != release.version:
        raise Trouble(
            f"The template is of version {built}, and this command of {release.version}: "
            "in a checkout, run `make release`; elsewhere, install usher-hooks again."
        )
    return release
