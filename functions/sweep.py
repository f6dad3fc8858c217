"""The Lambda function `sweep`: what it does stands in usher.handlers."""

from usher.wiring.cold_start import without_collection

with without_collection():
    from usher.wiring import sweep

    handler = sweep.handler()
