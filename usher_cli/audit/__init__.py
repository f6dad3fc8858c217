"""`usher audit`: Usher's promises held against the records of a time range."""
