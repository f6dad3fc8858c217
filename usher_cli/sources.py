"""Where a replay's traffic comes from: files, folders, standard input, S3, CloudWatch Logs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from usher_cli import traffic
from usher_cli.traffic import remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usher_cli.traffic import Found


_NOT_THERE: Final = ("NoSuchBucket", "ResourceNotFoundException")


class Source(click.Path):
    """A file, a folder, `-` for standard input, `s3://BUCKET/PREFIX`, or `logs:GROUP`."""

    def __init__(self) -> None:
        super().__init__(exists=True, allow_dash=True)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """As click calls it."""
        if not isinstance(value, str) or not remote.is_remote(value):
            return str(super().convert(value, param, ctx))
        wrong = remote.wrong_name(value)
        if wrong:
            self.fail(wrong, param, ctx)
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """How places in AWS are read. None: as the environment says."""

    profile: str | None = None
    region: str | None = None
    since: remote.Since


def found_in(path: str, access: Access) -> list[Found]:
    """All that is in a path. If there is nothing, say so on stderr."""
    if path == "-" and sys.__stdin__ is None:  # sys.stdin is an empty one then, for questions
        raise click.UsageError("Standard input (-) is closed.")
    found = list(_remote(path, access)) if remote.is_remote(path) else list(traffic.read((path,)))
    if not found:
        click.echo(_nothing_in(path), err=True)
    return found


def _remote(path: str, access: Access) -> Iterator[Found]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - it takes its time, and most replays need none

    from usher_cli.account import Place, Trouble, errors_as_trouble  # noqa: PLC0415 - likewise

    with errors_as_trouble(Place(profile=access.profile, region=access.region)), _progress(path) as progress:
        try:
            yield from remote.read_remote(path, _clients(access), access.since, progress.update)
        except ClientError as error:
            if error.response["Error"].get("Code") not in _NOT_THERE:
                raise
            raise Trouble(f"{path} does not exist: check its name, --region and --profile.") from error


def _progress(path: str) -> Any:  # noqa: ANN401 - rich's Status
    return Console(stderr=True).status(f"Reading {path} ...")


def _clients(access: Access) -> Callable[[str], Any]:
    import boto3  # noqa: PLC0415 - likewise

    session = boto3.Session(
        profile_name=access.profile, region_name=access.region or os.environ.get("AWS_REGION")
    )
    client: Callable[[str], Any] = session.client
    return client


def _nothing_in(path: str) -> str:
    if path == "-":
        return "Standard input contains no message."
    if path.startswith(remote.S3):
        begins = "begins like JSON, a log or a table of messages"
        return f"{path} contains no message: no object with that prefix {begins}."
    if path.startswith(remote.LOGS):
        return f"{path} contains no message: it has no event between --from and --to."
    if Path(path).is_dir():
        return f"{path} contains no message: no file in it begins like JSON, a log or a table of messages."
    return f"{path} contains no message."
