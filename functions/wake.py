"""The Lambda function `wake`: what it does stands in usher.handlers."""

from usher.wiring.cold_start import without_collection

with without_collection():
    from usher.wiring import wake

    handler = wake.handler()
