"""Simulated Auto Scaling: engine, API, notifications. It imports nothing of Usher."""
