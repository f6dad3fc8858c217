"""Captured traffic that lies in AWS: the objects below a prefix of S3, the events of a log group.

Read with the user's own credentials, and by reading calls alone: ListBucket, GetObject, FilterLogEvents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from usher_cli.traffic.places import read_content
from usher_cli.traffic.shapes import take_apart
from usher_cli.traffic.values import HEAD_BYTES, is_traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from usher_cli.traffic.found import Found

S3: Final = "s3://"
LOGS: Final = "logs:"


class Since(NamedTuple):
    """From when until when events of a log are read, both included. None: without an end."""

    first: datetime | None = None
    last: datetime | None = None


def is_remote(path: str) -> bool:
    """Whether a path names a place in AWS."""
    return path.startswith((S3, LOGS))


def wrong_name(path: str) -> str:
    """What is wrong with the name of such a place; empty where it may be one."""
    if path.startswith(S3) and not path.removeprefix(S3).partition("/")[0]:
        return f"must name a bucket, such as s3://bucket/prefix, got {path!r}"
    if path.startswith(LOGS) and not path.removeprefix(LOGS):
        return f"must name a log group, such as logs:/aws/events/usher, got {path!r}"
    return ""


def read_remote(
    path: str, client: Callable[[str], Any], since: Since, progress: Callable[[str], None]
) -> Iterator[Found]:
    """Every message at a place in AWS. `client` opens a service; `progress` is told how far it is."""
    if path.startswith(S3):
        bucket, _, prefix = path.removeprefix(S3).partition("/")
        yield from _objects(client("s3"), bucket, prefix, progress)
    else:
        yield from _events(client("logs"), path.removeprefix(LOGS), since, progress)


def _objects(s3: Any, bucket: str, prefix: str, progress: Callable[[str], None]) -> Iterator[Found]:  # noqa: ANN401 - a client of boto3
    """In the order of their keys; what does not begin as traffic is passed over, as in a folder."""
    keys = [
        (one["Key"], one["Size"])
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for one in page.get("Contents", [])
    ]
    read = 0
    for number, (key, size) in enumerate(keys, start=1):
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        read += size
        progress(f"{S3}{bucket}: {number:,} of {len(keys):,} objects, {read:,} bytes")
        if is_traffic(content[:HEAD_BYTES]):
            yield from read_content(f"{S3}{bucket}/{key}", content)


def _events(logs: Any, group: str, since: Since, progress: Callable[[str], None]) -> Iterator[Found]:  # noqa: ANN401 - a client of boto3
    edges = {"startTime": since.first, "endTime": since.last}
    asked = {name: int(edge.timestamp() * 1000) for name, edge in edges.items() if edge is not None}
    number = 0
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, **asked):
        for event in page["events"]:
            number += 1
            yield from take_apart(f"{LOGS}{group}:{number}", event, None)
        progress(f"{LOGS}{group}: {number:,} events")
