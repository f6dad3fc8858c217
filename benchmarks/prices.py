"""What AWS takes, in dollars for a million, in us-east-1 on demand, without the free tier.

As of November 2026 (docs/aws-facts.md 5 and 11.4). MONTHLY is in dollars for one.
"""

from __future__ import annotations

from typing import Final

AS_OF: Final = "November 2026"
PRICES: Final = {
    "invocation": 0.20,
    "second of a function": 6.667,  # of 512 MB on arm64
    "second of a small function": 1.667,  # of 128 MB on arm64
    "write unit": 0.625,
    "read unit": 0.125,
    "queue request": 0.40,
    "pipe request": 0.40,  # of EventBridge Pipes
    "topic request": 0.50,
    "state transition": 25.0,  # of a standard workflow of Step Functions
    "durable operation": 8.0,  # of Lambda; what it takes for data is not in it
    "run of a schedule": 1.0,
    "log of an invocation": 0.43,  # 860 bytes
    "trace": 5.0,
    "log and trace of an invocation": 0.68,  # 860 bytes, and one trace in twenty
    "record": 4.0,  # stored for a month, with backups
}
MONTHLY: Final = {  # dollars for one, by the month
    "metric": 0.30,
    "metric of an alarm": 0.10,
    "dashboard": 3.0,
}
