"""The Lambda function `announce`: what it does stands in usher.aws.announcing."""

from usher import wiring

handler = wiring.announce()
