"""The Lambda function `wake`: what it does stands in usher.handlers."""

from usher.wiring import wake

handler = wake.handler()
