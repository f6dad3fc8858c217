"""What `make test-terraform` finds on a machine, and what it says of what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.terraform.provider import Missing, program, providers

if TYPE_CHECKING:
    from pathlib import Path

UNPACKED = "some.host/hashicorp/aws/5.100.0/linux_amd64/terraform-provider-aws_v5.100.0_x5"
PACKED = "some.host/hashicorp/aws/terraform-provider-aws_5.100.0_linux_amd64.zip"


def put(file: Path) -> Path:
    file.parent.mkdir(parents=True)
    file.touch(mode=0o755)
    return file


@pytest.mark.parametrize("name", ["terraform", "tofu"])
def test_the_program_is_on_the_path(name: str, tmp_path: Path) -> None:
    file = put(tmp_path / "bin" / name)
    assert program({"PATH": str(file.parent)}) == file


def test_the_program_that_is_named_counts(tmp_path: Path) -> None:
    put(tmp_path / "bin" / "terraform")
    file = put(tmp_path / "else" / "terraform-1.11")
    assert program({"PATH": str(tmp_path / "bin"), "TERRAFORM": str(file)}) == file


def test_no_program_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"there is no terraform and no tofu on the PATH: .* TERRAFORM="):
        program({"PATH": str(tmp_path)})


@pytest.mark.parametrize("provider", [UNPACKED, PACKED], ids=["unpacked", "packed"])
@pytest.mark.parametrize("place", ["TERRAFORM_PROVIDERS", "TF_PLUGIN_CACHE_DIR", "HOME", "all"])
def test_the_provider_is_found_in_the_usual_places(place: str, provider: str, tmp_path: Path) -> None:
    folder = tmp_path / place / (".terraform.d/plugins" if place == "HOME" else "")
    put(folder / provider)
    environment = {"HOME": str(tmp_path / "home")} | (
        {} if place == "all" else {place: str(tmp_path / place)}
    )
    assert providers(environment, (str(tmp_path / "all"),)) == folder


def test_no_provider_is_told_with_the_places_and_what_to_do(tmp_path: Path) -> None:
    put(tmp_path / ".terraform.d" / "plugins" / "some.host" / "others" / "aws" / "terraform-provider-aws_v5")
    with pytest.raises(Missing, match=r"no AWS provider .* in .*terraform\.d/plugins.* TERRAFORM_PROVIDERS="):
        providers({"HOME": str(tmp_path)}, ())
