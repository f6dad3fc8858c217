"""`usher history` and `usher report`: what happened to actions that are closed."""
