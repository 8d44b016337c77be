"""Where we measure. `base.py` says what a cluster is; each backend has a room of its own."""
