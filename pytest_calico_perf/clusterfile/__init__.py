"""Cluster files: `clusters/*.yaml` to a validated model; every problem names file, line and field.

Field names are in kebab-case in the file (`pods-per-node`) and in snake_case here. Values are SI.
The reference for people is `docs/cluster-file.md`.
"""

from pytest_calico_perf.clusterfile.fields import (
    LONGEST_DURATION,
    MOST_ROUNDS,
    ClusterFile,
    Defaults,
    OwnProfile,
)
from pytest_calico_perf.clusterfile.lab import (
    BENCHMARK_RANGE,
    BLOCK_PREFIX,
    GREATEST_MTU,
    LEAST_MTU,
    LabFile,
    Router,
    Subnet,
)
from pytest_calico_perf.clusterfile.loading import ClusterFiles, load, parse

__all__ = [
    "BENCHMARK_RANGE",
    "BLOCK_PREFIX",
    "GREATEST_MTU",
    "LEAST_MTU",
    "LONGEST_DURATION",
    "MOST_ROUNDS",
    "ClusterFile",
    "ClusterFiles",
    "Defaults",
    "LabFile",
    "OwnProfile",
    "Router",
    "Subnet",
    "load",
    "parse",
]
