"""How the functions' AWS clients call: attempts, time-outs, and what botocore need not do for each call."""

from __future__ import annotations

from typing import Final

from botocore.config import Config

# Fixed, for botocore else builds and checks it anew for each request: a fifth of a call's processor time.
USER_AGENT: Final = "usher"


def client_config(*, connect_s: float, read_s: float, attempts: int, validates: bool = False) -> Config:
    """Time-outs in seconds, and attempts in all.

    `validates`: have botocore check the parameters, which only values of users need.
    """
    return Config(
        connect_timeout=connect_s,
        read_timeout=read_s,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        parameter_validation=validates,
        user_agent=USER_AGENT,
    )
