"""`usher redrive`: dead letters with their reasons, sent back to their queues or dropped."""
