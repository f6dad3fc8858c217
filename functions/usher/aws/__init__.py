"""One module for each AWS service or format that Usher speaks."""
