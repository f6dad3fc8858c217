"""The Lambda function `announce`: what it does stands in usher.aws.announcing."""

from usher.wiring.cold_start import without_collection

with without_collection():
    from usher.wiring import announce

    handler = announce.handler()
