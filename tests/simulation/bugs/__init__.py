"""Bugs on purpose, by what they are in: each is planted in production code for a while."""
