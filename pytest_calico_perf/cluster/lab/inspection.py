"""What the lab knows of its own Calico: the plan, and birdc at every node."""
