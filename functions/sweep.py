"""The Lambda function `sweep`: what it does stands in usher.handlers."""

from usher.wiring.cold_start import cold_start

with cold_start():
    from usher.wiring import sweep

    handler = sweep.handler()
