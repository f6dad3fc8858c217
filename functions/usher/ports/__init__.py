"""What Usher needs of the world, in its own words: one module for each kind."""
