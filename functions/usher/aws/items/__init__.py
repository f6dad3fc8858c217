"""The items of the table of the records: one file for each kind of them."""
