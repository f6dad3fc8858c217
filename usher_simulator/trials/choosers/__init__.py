"""Who makes the choices of a trial: by a seed, by priorities, each of them in turn, or as it is written."""
