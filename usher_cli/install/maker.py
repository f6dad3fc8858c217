"""Who made a stack of a release's template, as far as it shows: what changes it must go by that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_STACK_SETS: Final = "StackSet-"  # how the names begin that StackSets give (aws-facts 11.6)
# That of the code in terraform/main.tf, with the stack's name in it or, as at first, without.
_KEY_OF_TERRAFORM: Final = r"usher/([-a-zA-Z0-9]+/)?[0-9a-f]{64}\.zip"


def other_maker(name: str, parameters: Mapping[str, str]) -> str:
    """Who made it in place of `usher install`; empty where nothing shows that somebody did."""
    if name.startswith(OF_STACK_SETS):
        return "a StackSet"
    return "Terraform" if re.fullmatch(_KEY_OF_TERRAFORM, parameters.get("CodeKey", "")) else ""
