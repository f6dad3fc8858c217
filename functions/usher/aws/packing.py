"""JSON data in few bytes: compressed, with what most records say known beforehand.

The dictionary is part of the format: what was packed with it can be read with it alone, so it never
changes. Another one would stand beside it: zlib writes into each text which one it took.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final

_KNOWN: Final = (
    b'{"abandon_per_hour":5,"complete_per_minute":20,"closed_at":"2026-1",'
    b'"completes_sent":["2026-1"],"move_end":{"activity_id":"","group":"",'
    b'"transition":"launching","detail":"EC2 Instance Launch Successful",'
    b'"detail":"EC2 Instance Terminate Successful","origin":"EC2",'
    b'"destination":"AutoScalingGroup","is_event":true},"outcome":"completed","result":"ABANDON",'
    b'"result":"CONTINUE","phase":"completing","phase":"closed","event":"closed",'
    b'"event":"complete","event":"outcome","event":"signal","event":"found",'
    b'"detail":"completed: done: CONTINUE: done: CompleteLifecycleAction CONTINUE: accepted",'
    b'"code":"result_accepted","in service at 2026-1"is_proven":true,"signals":[{"event_id":"",'
    b'"at":"2026-1","name":"","status":"done","status":"progress","instance_id":"i-0",'
    b'"message":""}],"progress_at":"2026-1","timeout_assumed":true,"beats_told":[[{"token":"",'
    b'"instance_id":"i-0","hook":{"name":"","group":"","transition":"terminating",'
    b'"heartbeat_timeout_s":300.0,"default_result":"CONTINUE","limited_with":""},'
    b'"policy":{"name":"","source":"{\\"until\\":[{\\"signal\\":\\"\\"},{\\"ecs\\":\\"drained\\"}],'
    b'\\"give_up_after\\":\\"\\",\\"on_failure\\":\\"CONTINUE\\",\\"stalled_after\\":\\"15m\\"}"},'
    b'"origin":"AutoScalingGroup","destination":"EC2","started_at":"2026-1",'
    b'"first_seen_at":"2026-1","phase":"open","reason":"","heartbeats":0,"beaten_at":"2026-1",'
    b'"received_by":["sqs","eventbridge"],"signals":[],"signals_since":"2026-1",'
    b'"call_at":"2026-1","lines":[{"number":1,"at":"2026-1","event":"notified",'
    b'"detail":"by sqs; policy ","last_at":"2026-1","count":1},{"number":2,"at":"2026-1",'
    b'"event":"wait","detail":"waits: no signal ","last_at":"2026-1","count":1},{"number":3,'
    b'"at":"2026-1","event":"heartbeat","detail":"waits: ","last_at":"2026-1","count":1},'
    b'{"number":4,"at":"2026-1","event":"answer",'
    b'"detail":"RecordLifecycleActionHeartbeat: accepted","last_at":"2026-1","count":1,'
    b'"code":"heartbeat_accepted"}]}'
)


def packed(data: object) -> bytes:
    """JSON data, packed."""
    packing = zlib.compressobj(level=9, zdict=_KNOWN)
    return packing.compress(json.dumps(data, separators=(",", ":")).encode()) + packing.flush()


def unpacked(text: bytes) -> Any:  # noqa: ANN401 - JSON data
    """What `packed` was given. Raises ValueError where it was not."""
    unpacking = zlib.decompressobj(zdict=_KNOWN)
    try:
        return json.loads(unpacking.decompress(text) + unpacking.flush())
    except zlib.error as error:
        raise ValueError(f"not packed: {error}") from error
