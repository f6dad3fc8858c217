"""The Lambda function `sweep`: what it does stands in usher.handlers."""

from usher.wiring import sweep

handler = sweep.handler()
