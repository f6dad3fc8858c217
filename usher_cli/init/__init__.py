"""`usher init`: a hooks file drafted from the Auto Scaling groups of an account and the hooks on them."""
