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
from pytest_calico_perf.clusterfile.images import Images, PullPolicy, Role
from pytest_calico_perf.clusterfile.kubernetes import (
    Hosts,
    KubernetesFile,
    Nodes,
    Pools,
    Timeouts,
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
from pytest_calico_perf.clusterfile.loading import ClusterFiles, load, load_fields, parse
from pytest_calico_perf.clusterfile.ssh import Ssh
from pytest_calico_perf.clusterfile.workload import Resources, TaintEffect, Toleration, TolerationOperator

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
    "Hosts",
    "Images",
    "KubernetesFile",
    "LabFile",
    "Nodes",
    "OwnProfile",
    "Pools",
    "PullPolicy",
    "Resources",
    "Role",
    "Router",
    "Ssh",
    "Subnet",
    "TaintEffect",
    "Timeouts",
    "Toleration",
    "TolerationOperator",
    "load",
    "load_fields",
    "parse",
]
