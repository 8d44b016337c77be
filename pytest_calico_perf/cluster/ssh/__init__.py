"""Hosts over SSH: verified host keys, one connection per host, and commands that end with it."""

from pytest_calico_perf.cluster.ssh.endpoint import SshHost

__all__ = ["SshHost"]
