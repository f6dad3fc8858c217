"""Runs the built asset on this machine as Lambda would, under Lambda's own runtime client."""
