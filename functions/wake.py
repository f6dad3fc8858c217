"""The Lambda function `wake`: what it does stands in usher.handlers."""

from usher.wiring.cold_start import cold_start

with cold_start():
    from usher.wiring import wake

    handler = wake.handler()
