"""The Lambda function `announce`: what it does stands in usher.aws.announcing."""

from usher.wiring.cold_start import cold_start

with cold_start():
    from usher.wiring import announce

    handler = announce.handler()
