"""The Lambda function `provision`: what it does stands in usher.provision."""

from usher.wiring import provision

handler = provision.handler()
