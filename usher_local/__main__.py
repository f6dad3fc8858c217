"""Set up the emulator's packages ahead of its first start."""

from __future__ import annotations

import sys

from usher_local import emulator

try:
    emulator.packages()
except emulator.Unavailable as error:
    sys.exit(str(error))
