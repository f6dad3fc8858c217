"""The `usher` command line."""
