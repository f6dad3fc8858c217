"""Simulated Auto Scaling for the tests of others: a clock that jumps, and faults on demand."""
