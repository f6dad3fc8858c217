"""The Lambda function `release`: what it does stands in usher.release."""

from usher.wiring import release

handler = release.handler()
