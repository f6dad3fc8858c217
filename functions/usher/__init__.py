"""Usher: holds and releases EC2 Auto Scaling instances that wait in a lifecycle hook."""
