"""Runs scenarios of EC2 Auto Scaling on any implementation of its API."""
