"""Which planted bugs leave a trace in records, and at which seed `usher audit` finds it.

What is not here leaves none, or none that proves anything: docs/history.md lists why.
"""

from __future__ import annotations

from typing import Final

# By the name of the bug: a seed, and the promise that the audit finds broken.
FOUND_BY_AUDIT: Final = {}
