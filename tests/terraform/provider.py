"""Where a Terraform, and the AWS provider that it needs, are on this machine. Nothing is downloaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS: Final = ("terraform", "tofu")
NO_PROGRAM: Final = "there is no terraform and no tofu on the PATH: put one there, or name it by TERRAFORM="
NO_PROVIDER: Final = (
    "there is no AWS provider (terraform-provider-aws_…) in {places}: run `terraform providers mirror "
    "FOLDER` in terraform/ where there is a network, and name that folder by TERRAFORM_PROVIDERS="
)
_OF_HOME: Final = (
    ".terraform.d/plugins",
    ".terraform.d/plugin-cache",
    ".local/share/terraform/plugins",
    ".local/share/opentofu/plugins",
)
_OF_ALL: Final = ("/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")


class Missing(Exception):  # noqa: N818 - it reads as what is the matter
    """What this machine lacks, and how to get it."""


def program(environment: Mapping[str, str]) -> Path:
    """Raises Missing."""
    named = environment.get("TERRAFORM")
    for name in [named] if named else PROGRAMS:
        found = shutil.which(name, path=environment.get("PATH", ""))
        if found is not None:
            return Path(found)
    raise Missing(NO_PROGRAM)


def providers(environment: Mapping[str, str], of_all: tuple[str, ...] = _OF_ALL) -> Path:
    """A folder for `init -plugin-dir`: HOST/hashicorp/aws/VERSION/PLATFORM/PROVIDER in it. Raises Missing."""
    named = [
        environment[name] for name in ("TERRAFORM_PROVIDERS", "TF_PLUGIN_CACHE_DIR") if name in environment
    ]
    home = Path(environment.get("HOME", "/"))
    places = [*map(Path, named), *(home / each for each in _OF_HOME), *map(Path, of_all)]
    for place in places:
        for file in sorted(place.rglob("terraform-provider-aws_*")):
            of_it = next((folder for folder in file.parents if folder.name == "hashicorp"), None)
            if of_it is not None and of_it.is_relative_to(place):
                return of_it.parents[1]
    raise Missing(NO_PROVIDER.format(places=", ".join(map(str, places))))
