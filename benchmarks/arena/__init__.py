"""Usher beside other ways to hold an instance, in the same scenes of simulated Auto Scaling."""
