"""Many accounts and Regions, listed in one `fleet.yaml`: each is asked as by a command on it alone."""
