"""Builds the lab that a topology plans: runs what `wiring`, `bird`, `felix` and `shaping` write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from pytest_calico_perf.cluster.lab import bird, felix, service, shaping, underlay, wiring
from pytest_calico_perf.cluster.lab.ipip.tunnel import IpipTunnel
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import FABRIC, Node, Pod, Topology
from pytest_calico_perf.clusterfile import LabFile
from pytest_calico_perf.errors import ClusterProblem
from pytest_calico_perf.model import Encapsulation

_T = TypeVar("_T")
_LIMIT = 10.0


def control_socket(sandbox: Sandbox, namespace: str) -> str:
    """The control socket of the BIRD of a node or of the fabric, for birdc."""
    return f"{sandbox.scratch(namespace)}/bird.ctl"


def bird_config(sandbox: Sandbox, namespace: str) -> str:
    """The configuration file of the BIRD there."""
    return f"{sandbox.scratch(namespace)}/bird.conf"


def bird_pid(sandbox: Sandbox, namespace: str) -> str:
    """The file in which the BIRD there notes its process id."""
    return f"{sandbox.scratch(namespace)}/bird.pid"


def apply(sandbox: Sandbox, namespace: str, argv: Sequence[str], text: str | None = None) -> None:
    """Run a command that changes a namespace; with an empty text nothing is to be changed.

    Raises:
        ClusterProblem: It failed; quotes it.
    """
    if text == "":
        return
    result = sandbox.run(namespace, argv, limit=_LIMIT, stdin=text)
    if result.exit_code != 0:
        words = "; ".join(line.strip() for line in (result.stderr or result.stdout).splitlines()[:3])
        raise ClusterProblem(
            f"the lab cannot be built: {' '.join(argv)} says {words or 'nothing'}", where=namespace
        )


def start_bird(sandbox: Sandbox, namespace: str, config: str) -> None:
    """Start a BIRD there.

    Raises:
        ClusterProblem: It refuses.
    """
    _write_bird_config(sandbox, namespace, config)
    # A daemon, so that a kept lab keeps its routes. It leaves our session before it forks, since what
    # is left of a command's session is ended with the command.
    argv = ["setsid", "bird", "-c", bird_config(sandbox, namespace), "-s", control_socket(sandbox, namespace)]
    apply(sandbox, namespace, [*argv, "-P", bird_pid(sandbox, namespace)])


def reconfigure_bird(sandbox: Sandbox, namespace: str, config: str) -> None:
    """Give a running BIRD another configuration; sessions that are the same in it stay up.

    Raises:
        ClusterProblem: It refuses, or does not run.
    """
    _write_bird_config(sandbox, namespace, config)
    argv = ["birdc", "-s", control_socket(sandbox, namespace), "configure"]
    result = sandbox.run(namespace, argv, limit=_LIMIT)
    if "Reconfigur" not in result.stdout:  # birdc ends with 0 whatever BIRD says
        raise ClusterProblem(f"BIRD takes no new configuration: {result.last_words}", where=namespace)


def _write_bird_config(sandbox: Sandbox, namespace: str, config: str) -> None:
    log = f"{sandbox.scratch(namespace)}/bird.log"
    sandbox.write_file(bird_config(sandbox, namespace), f'log "{log}" all;\n{config}')


class Builder:
    """Builds a lab in a sandbox. BIRD comes first, since its sessions take longest; pods follow meanwhile."""

    def __init__(
        self,
        sandbox: Sandbox,
        topology: Topology,
        file: LabFile,
        ipip: IpipTunnel | None,
        executor: Executor,
        *,
        services: bool,
    ) -> None:
        self._sandbox = sandbox
        self._topology = topology
        self._file = file
        self._ipip = ipip
        self._executor = executor
        self._services = services

    def build(self) -> None:
        """Build it all.

        Raises:
            ClusterProblem: A step failed; says which and where.
        """
        nodes = self._topology.nodes
        pods = [pod for node in nodes for pod in node.pods]
        self._sandbox.add_namespaces([node.name for node in nodes])
        self._apply(FABRIC, ["sysctl", "--quiet", "--load=-"], wiring.fabric_sysctls())
        self._apply(FABRIC, ["ip", "-batch", "-"], wiring.fabric_links(self._topology))
        self._apply(FABRIC, list(underlay.COMMAND), underlay.rules(self._topology))
        self._everywhere(self._build_node, nodes)
        if self._topology.router_bgp:
            self._start_bird(FABRIC, bird.router_config(self._topology))
        self._sandbox.add_namespaces([pod.name for pod in pods])
        self._everywhere(self._build_pod_ends, nodes)
        self._everywhere(self._build_pod, pods)
        if not self._file.segmentation_offload:
            commands = [
                command for node in nodes for command in shaping.offload_commands(self._topology, node)
            ]
            self._everywhere(lambda command: self._apply(*command), commands)

    def _build_node(self, node: Node) -> None:
        self._apply(node.name, ["sysctl", "--quiet", "--load=-"], wiring.node_sysctls())
        links, forwarding, queues = wiring.node_links(node), "", ""
        if self._file.link_rate is not None:
            queues += shaping.link_rate(self._file.link_rate)
        if Encapsulation.IPIP in self._topology.tunnels and self._ipip:
            self._ipip.prepare(self._sandbox, node.name)
            links += self._ipip.links(self._topology.mtu)
            links += "".join(f"{line}\n" for line in wiring.tunnel_up(node, Encapsulation.IPIP))
            queues += self._ipip.filters()
        if Encapsulation.VXLAN in self._topology.tunnels:
            links += felix.vxlan_links(self._topology, node)
            forwarding += felix.vxlan_forwarding(self._topology, node)
        self._apply(node.name, ["ip", "-batch", "-"], links)
        self._apply(node.name, ["bridge", "-batch", "-"], forwarding)
        self._apply(node.name, ["tc", "-batch", "-"], queues)
        if self._services:
            self._apply(node.name, list(service.COMMAND), service.rules(self._topology))
        self._start_bird(node.name, bird.node_config(self._topology, node))

    def _build_pod_ends(self, node: Node) -> None:
        self._apply(node.name, ["ip", "-batch", "-"], wiring.pod_host_ends(node))
        self._apply(node.name, ["sysctl", "--quiet", "--load=-"], wiring.pod_host_sysctls(node))

    def _build_pod(self, pod: Pod) -> None:
        self._apply(pod.name, ["ip", "-batch", "-"], wiring.pod_links(pod))

    def _start_bird(self, namespace: str, config: str) -> None:
        start_bird(self._sandbox, namespace, config)

    def _apply(self, namespace: str, argv: list[str], text: str | None = None) -> None:
        apply(self._sandbox, namespace, argv, text)

    def _everywhere(self, step: Callable[[_T], None], things: Iterable[_T]) -> None:
        for _ in self._executor.map(step, things):
            pass
