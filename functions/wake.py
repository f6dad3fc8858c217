"""The Lambda function `wake`: what it does stands in usher.handlers."""

from usher import wiring

handler = wiring.wake()
