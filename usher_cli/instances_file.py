"""What `aws ec2 describe-instances` printed, for rules of a replay that ask what EC2 tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from usher.core.conditions import answer
from usher.core.conditions.instance_facts import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from usher_simulator.replay.assumed_answers import Instances


def read_instances(file: Path | None) -> Instances:
    """The facts of each instance in `file`, by its id. Raises click.BadParameter."""
    if file is None:
        return {}
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise click.BadParameter(f"{file} cannot be read: {error}", param_hint="--instances") from None
    found = {answer.text(one, "InstanceId"): facts_of(one) for one in _instances(data)}
    found.pop("", None)
    if not found:
        raise click.BadParameter(
            f"{file} has no instance: give the output of `aws ec2 describe-instances`",
            param_hint="--instances",
        )
    return found


def _instances(data: object) -> Iterator[object]:
    """The instances of the whole output, of a list out of it, or one alone."""
    if isinstance(data, list):
        for one in data:
            yield from _instances(one)
    elif isinstance(data, Mapping):
        lists = [data[key] for key in ("Reservations", "Instances") if key in data]
        yield from _instances(lists) if lists else iter([data])
