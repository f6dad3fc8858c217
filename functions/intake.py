"""The Lambda function `intake`: what it does stands in usher.handlers."""

from usher.wiring.cold_start import cold_start

with cold_start():
    from usher.wiring import intake

    handler = intake.handler()
