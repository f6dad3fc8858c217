"""The Lambda function `release`: what it does stands in usher.release."""

from usher import wiring

handler = wiring.release()
