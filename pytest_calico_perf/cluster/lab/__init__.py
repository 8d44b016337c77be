"""The embedded lab: Calico's data plane in network namespaces of this machine."""
