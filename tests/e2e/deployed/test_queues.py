"""The emulator's queues keep each message, whatever other threads do to them in the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.deployed import queue_races
from usher_cdk.wheels import ROOT
from usher_local.emulator import packages


def test_no_message_is_lost_while_another_thread_writes_its_queue() -> None:
    told = json.dumps({"packages": str(packages()), "root": str(ROOT)})
    command = [sys.executable, "-I", "-S", "-B", str(Path(queue_races.__file__)), told]
    ran = subprocess.run(command, env={}, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert ran.returncode == 0, ran.stderr
    lost = json.loads(ran.stdout)
    assert len(lost) == len(queue_races.CHANGES) * len(queue_races.WAYS)
    assert {pair: count for pair, count in lost.items() if count} == {}
