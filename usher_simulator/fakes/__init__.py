"""Usher's ports in memory, under the same contracts as those on AWS."""
