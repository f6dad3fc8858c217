"""The peak of this process's memory."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


def peak_mb() -> int:
    """In MB. `getrusage` alone would tell that of the process that began this one, where it was larger."""
    if _STATUS.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
        if found:
            return round(int(found.group(1)) / 1024)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
