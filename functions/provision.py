"""The Lambda function `provision`: what it does stands in usher.provision."""

from usher.wiring.cold_start import without_collection

with without_collection():
    from usher.wiring import provision

    handler = provision.handler()
