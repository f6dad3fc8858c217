"""Small worlds, of which every schedule is run: what is chosen, what is the same, and what is in them."""
