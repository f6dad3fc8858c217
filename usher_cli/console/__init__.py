"""`usher console`: what is held, why, and what to do about it, as a page on this machine."""
