"""What the sweep does for whole groups: adopt, enrol, retire, and tell of groups that are silent."""
