"""What holds for all tests: none depends on the machine's speed, nor on chance."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "usher",
    deadline=None,
    derandomize=True,  # `make fuzz` and `make simulate` look for what is new
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("usher")
