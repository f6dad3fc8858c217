"""The Lambda function `intake`: what it does stands in usher.handlers."""

from usher import wiring

handler = wiring.intake()
