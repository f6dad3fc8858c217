"""`usher plan`: what a hooks file would enrol, change or retire in an account."""
