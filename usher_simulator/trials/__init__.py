"""Usher as deployed, in drawn worlds that fail, and the judge of its promises."""
