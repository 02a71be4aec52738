"""The embedded proxy trainer: a small transformer, one run on a core or a swarm on a GPU."""
