"""The Lambda function `provision`: what it does stands in usher.provision."""

from usher.wiring.cold_start import cold_start

with cold_start():
    from usher.wiring import provision

    handler = provision.handler()
