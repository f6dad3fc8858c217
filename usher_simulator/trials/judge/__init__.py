"""The judge: one checker for each promise of the README.

No checker knows how Usher decides: each holds it against what the simulated service logged, what was
delivered, which faults hit, and a model of the policies that shares no code with it.
"""
