"""The Lambda function `sweep`: what it does stands in usher.handlers."""

from usher import wiring

handler = wiring.sweep()
