"""`usher apply` and `usher config`: versions of the hooks file that take effect without a deploy."""
