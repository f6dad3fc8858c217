"""`usher export`: the captured messages of a time range, as lines that `usher replay` reads."""
