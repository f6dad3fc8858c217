"""A local AWS account with Usher deployed in it: no Docker, no AWS, loopback only. Never deployed."""
