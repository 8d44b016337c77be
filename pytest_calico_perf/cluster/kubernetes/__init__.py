"""A real cluster, through the Kubernetes API. `cluster.py` is the way in."""
