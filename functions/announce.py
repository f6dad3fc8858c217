"""The Lambda function `announce`: what it does stands in usher.aws.announcing."""

from usher.wiring import announce

handler = announce.handler()
