"""The Lambda function `intake`: what it does stands in usher.handlers."""

from usher.wiring import intake

handler = intake.handler()
