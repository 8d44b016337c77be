"""A lab that differs from a file's, and commands in it."""

from __future__ import annotations

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, EndpointPair
from pytest_calico_perf.clusterfile import LabFile, load


def lab(name: str, **changes: object) -> LabFile:
    """The lab of that cluster file with some of its fields changed."""
    file = load(name)
    assert isinstance(file, LabFile)
    return file.model_copy(update=changes)


def run(endpoint: Endpoint, *argv: str, limit: float = 20) -> str:
    """What a command prints that must succeed."""
    return endpoint.run(argv, limit=limit).check().stdout


def ping(pair: EndpointPair, *options: str) -> CommandResult:
    """Two echoes from client to server."""
    return pair.client.run(
        ["ping", "-n", "-c", "2", "-i", "0.05", "-W", "1", *options, pair.server.address], limit=10
    )
