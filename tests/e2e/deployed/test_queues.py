"""The emulator's queues keep each message, whatever other threads do to them in the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.e2e.deployed import queue_races
from usher_cdk.wheels import ROOT
from usher_local.emulator import packages

_DEADLOCKED_S: Final = 120


def test_no_message_is_lost_while_another_thread_writes_its_queue() -> None:
    told = json.dumps({"packages": str(packages()), "root": str(ROOT)})
    command = [sys.executable, "-I", "-S", "-B", str(Path(queue_races.__file__)), told]
    ran = subprocess.run(  # noqa: S603 - ours
        command, env={}, capture_output=True, text=True, check=False, timeout=_DEADLOCKED_S
    )
    assert ran.returncode == 0, ran.stderr
    lost = json.loads(ran.stdout)
    assert len(lost) == len(queue_races.CHANGES) * len(queue_races.WAYS)
    assert {pair: count for pair, count in lost.items() if count} == {}
