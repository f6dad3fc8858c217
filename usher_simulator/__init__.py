"""A world for Usher to run in: simulated Auto Scaling, queues and store, on a virtual clock."""
