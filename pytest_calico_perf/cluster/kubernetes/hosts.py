"""How commands run on a node itself: in a pod that shares its network, or over SSH."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.manifests import PodPlan
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts
from pytest_calico_perf.cluster.kubernetes.workload import Workload
from pytest_calico_perf.clusterfile import Hosts, KubernetesFile
from pytest_calico_perf.errors import ClusterProblem

if TYPE_CHECKING:
    from pytest_calico_perf.cluster.ssh import SshHost

# What probes and evidence run on a host; docs/cluster-file.md says so, too.
_PROGRAMS = ("ip", "ping", "iperf3", "iperf", "ab", "nginx", "ethtool")


@dataclass
class HostEndpoints:
    """The endpoints of the nodes we measure between.

    Attributes:
        endpoints: By node.
        entering: How a person enters each.
        notes: What a person should know about them, in sentences.
    """

    endpoints: Mapping[str, Endpoint]
    entering: tuple[str, ...]
    notes: tuple[str, ...] = ()
    _open: ExitStack = field(default_factory=ExitStack)

    def of(self, node: str) -> Endpoint:
        """The endpoint of a node.

        Raises:
            ClusterProblem: It is not one of those we measure between.
        """
        if node not in self.endpoints:
            raise ClusterProblem(
                f"no host endpoint on {node}", remedy=f"there are: {', '.join(self.endpoints)}"
            )
        return self.endpoints[node]

    def how_to_enter(self) -> list[str]:
        """Lines that say so."""
        return list(self.entering)

    def close(self) -> None:
        """End the connections. Pods are removed with the rest of the run."""
        self._open.close()


def open_hosts(
    api: Api, file: KubernetesFile, workload: Workload, nodes: Sequence[NodeFacts]
) -> HostEndpoints:
    """Make the hosts of some nodes reachable, as the cluster file says.

    Raises:
        ClusterProblem: One of them cannot be.
    """
    return _pods(api, workload, nodes) if file.hosts is Hosts.POD else _logins(file, nodes)


def _pods(api: Api, workload: Workload, nodes: Sequence[NodeFacts]) -> HostEndpoints:
    plans = [
        PodPlan(workload.named(f"host-{number}"), workload.host_namespace, node.name, "host")
        for number, node in enumerate(nodes, start=1)
    ]
    started = workload.start(plans, {})
    for problem in started.problems.values():
        raise problem
    pods = [started.pods[plan] for plan in plans]
    return HostEndpoints(
        {pod.plan.node: pod.endpoint(api) for pod in pods},
        tuple(f"{pod.plan.node} ({pod.address}): {pod.enter()}" for pod in pods),
    )


def _logins(file: KubernetesFile, nodes: Sequence[NodeFacts]) -> HostEndpoints:
    from pytest_calico_perf.cluster.ssh import SshHost  # noqa: PLC0415 - paramiko costs half a second

    assert file.ssh is not None
    hosts = {node.name: file.ssh.addresses.get(node.name, str(node.address)) for node in nodes}
    stack = ExitStack()
    endpoints: dict[str, SshHost] = {}
    try:
        for node in nodes:
            endpoints[node.name] = stack.enter_context(
                SshHost.connect(
                    node.name,
                    address=str(node.address),
                    host=hosts[node.name],
                    user=file.ssh.user,
                    port=file.ssh.port,
                    key=file.ssh.key,
                    known_hosts=file.ssh.known_hosts,
                    jump=file.ssh.jump,
                    config=file.ssh.config,
                    strict=file.ssh.strict,
                    agent=file.ssh.agent,
                )
            )
        lacking = {name: host.missing(_PROGRAMS) for name, host in endpoints.items()}
    except BaseException:
        stack.close()
        raise
    notes = tuple(
        f"{name} lacks {', '.join(programs)}: what needs it there will say so"
        for name, programs in lacking.items()
        if programs
    )
    entering = tuple(f"{name}: ssh {host}" for name, host in hosts.items())
    return HostEndpoints(endpoints, entering, notes, stack)
