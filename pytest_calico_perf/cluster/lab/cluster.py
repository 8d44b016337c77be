"""The lab as a cluster: plan, build, prove, hand out endpoints, take down."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Self

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.inspection import Inspector
from pytest_calico_perf.cluster.lab import janitor, requirements, service
from pytest_calico_perf.cluster.lab.builder import Builder, control_socket
from pytest_calico_perf.cluster.lab.endpoint import LabEndpoint
from pytest_calico_perf.cluster.lab.inspection import LabInspector
from pytest_calico_perf.cluster.lab.ipip.tunnel import IpipTunnel, choose, device_packets
from pytest_calico_perf.cluster.lab.readiness import Readiness
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import DEVICE, FABRIC, Node, Topology
from pytest_calico_perf.clusterfile import LabFile
from pytest_calico_perf.errors import ClusterProblem, ToolProblem, Unsupported
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path
from pytest_calico_perf.parsing import last_line

_LIMIT = 10.0
_WORKERS = 8  # of our own threads, which only wait for commands
_PROGRAMS = (*requirements.LAB_PROGRAMS, "bridge", "birdc", "setsid", "sysctl", "ping")


class LabCluster:
    """A cluster of network namespaces on this machine, as `cluster.base.Cluster` wants it.

    Args:
        file: What the lab looks like.
        modes: Modes to bring up, all side by side.

    Raises:
        UsageProblem: The lab has no pool for one of the modes.
    """

    def __init__(self, file: LabFile, modes: tuple[Mode, ...]) -> None:
        file.check_modes(modes)
        self._file = file
        self._modes = modes
        self._ipip: IpipTunnel | None = None
        self._unsupported: Mapping[Mode, Unsupported] = {}
        self._no_services: Unsupported | None = None
        self._endpoints: Mapping[str, LabEndpoint] = {}
        self._lab: tuple[Sandbox, Topology] | None = None

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def modes(self) -> tuple[Mode, ...]:
        return self._modes

    @property
    def serial(self) -> bool:
        return False

    @property
    def shared(self) -> bool:
        return False

    def turn_to(self, mode: Mode) -> None:
        """Nothing: every mode has a pool of its own."""

    @property
    def topology(self) -> Topology:
        """The plan of what is up; modes the machine cannot do are not in it."""
        return self._up[1]

    @property
    def sandbox(self) -> Sandbox:
        """Where it lives."""
        return self._up[0]

    @property
    def _up(self) -> tuple[Sandbox, Topology]:
        if self._lab is None:
            raise ClusterProblem("the lab is not up", where=self.name, remedy="enter its context first")
        return self._lab

    def __enter__(self) -> Self:
        until = time.monotonic() + self._file.ready_within
        requirements.check(self._programs)
        janitor.remove_orphans()  # of runs that were killed in a way even the keeper did not survive
        sandbox = Sandbox.start()
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="lab") as executor:
            try:
                self._bring_up(sandbox, executor, until)
            except BaseException:
                self._lab = None
                sandbox.close()  # before the executor waits for its threads: it ends what they wait for
                raise
        return self

    @property
    def _programs(self) -> tuple[str, ...]:
        """What this lab cannot be built without."""
        shaping = () if self._file.segmentation_offload else ("ethtool",)
        filtering = ("nft",) if self._file.underlay.source_check else ()
        return (*_PROGRAMS, *shaping, *filtering)

    def _bring_up(self, sandbox: Sandbox, executor: Executor, until: float) -> None:
        sandbox.add_namespaces([FABRIC])
        topology = self._plan(sandbox)
        self._lab = sandbox, topology
        self._endpoints = _endpoints(sandbox, topology)
        self._no_services = service.why_not(sandbox, FABRIC, topology)
        services = self._no_services is None
        Builder(sandbox, topology, self._file, self._ipip, executor, services=services).build()
        readiness = Readiness(sandbox, executor, until=until)
        readiness.await_routes(topology, self._session_state)
        readiness.await_packets(self._living_pairs())

    def __exit__(self, *exc: object) -> None:
        if self._lab is not None:
            self.sandbox.close()

    def keep(self) -> None:
        """Let the lab outlive this process."""
        self.sandbox.keep()

    def how_to_enter(self) -> list[str]:
        enter = [
            f"{endpoint.name} ({endpoint.address}): {' '.join(self.sandbox.command_line(endpoint.namespace))}"
            for endpoint in self._endpoints.values()
        ]
        down = f"{sys.executable} -m pytest_calico_perf.cluster.lab down {self.sandbox.pid}"
        return [*enter, f"take it down: {down}"]

    def host(self, node: str) -> LabEndpoint:
        """The host endpoint of a node.

        Raises:
            ClusterProblem: There is no such node.
        """
        if node not in (known := [plan.name for plan in self.topology.nodes]):
            raise ClusterProblem(
                f"there is no node {node}", where=self.name, remedy=f"known: {', '.join(known)}"
            )
        return self._endpoints[node]

    def pair(self, path: Path, mode: Mode | None) -> EndpointPair:
        client_node, server_node = (self.topology.node(name) for name in self.topology.pair)
        if path.same_node:
            server_node = client_node
        numbers = (1, 2) if path.same_node else (1, 1)
        client = self._end(path.client, client_node, mode, numbers[0])
        server = self._end(path.server, server_node, mode, numbers[1])
        if path.via_service:
            server = self._behind_service(server, mode)
        return EndpointPair(path, mode, client, server)

    def _behind_service(self, server: LabEndpoint, mode: Mode | None) -> LabEndpoint:
        if self._no_services:
            raise self._no_services
        assert mode
        return server.behind(str(self.topology.service(mode).address))

    def _end(self, kind: EndpointKind, node: Node, mode: Mode | None, number: int) -> LabEndpoint:
        if mode and mode in self._unsupported:
            raise self._unsupported[mode]
        if kind is EndpointKind.HOST:
            return self._endpoints[node.name]
        if mode is None:
            raise ValueError("a pod has a mode")
        if mode not in self._modes:
            raise Unsupported(f"mode {mode} was not asked for", where=self.name, remedy="add it to the modes")
        pod = node.pod(mode, number)
        if pod is None:
            raise Unsupported(
                f"{node.name} has fewer than {number} pods of mode {mode}",
                where=self.name,
                remedy=f"set pods-per-node to {number} or more in {self._file.source}",
            )
        return self._endpoints[pod.name]

    def expected_encapsulation(self, pair: EndpointPair) -> Encapsulation | None:
        if pair.mode is None or pair.server.kind is EndpointKind.HOST:
            return Encapsulation.NONE
        source, target = self.topology.node(pair.client.node), self.topology.node(pair.server.node)
        return self.topology.encapsulation(self.topology.pool(pair.mode), source, target)

    def tunnel_devices(self) -> Mapping[Encapsulation, str]:
        return {encapsulation: DEVICE[encapsulation] for encapsulation in sorted(self.topology.tunnels)}

    def tunnel_packets(self, node: str) -> Mapping[Encapsulation, int]:
        packets: dict[Encapsulation, int] = {}
        for encapsulation, device in self.tunnel_devices().items():
            if encapsulation is Encapsulation.IPIP and self._ipip:
                packets[encapsulation] = self._ipip.packets_sent(self.sandbox, node)
            else:
                packets[encapsulation] = device_packets(self.sandbox, node, device)
        return packets

    def inspector(self) -> Inspector:
        return LabInspector(*self._up)

    def facts(self) -> Mapping[str, Any]:
        topology = self.topology
        kernel = f"{platform.system()} {platform.release()}"
        return MappingProxyType(
            {
                "kind": self._file.kind,
                "name": self.name,
                "description": self._file.description,
                "nodes": [
                    {
                        "name": node.name,
                        "address": str(node.address),
                        "subnet": node.subnet.name,
                        "kernel": kernel,
                        "cpu": _cpu(),
                        "cpus": os.cpu_count(),
                    }
                    for node in topology.nodes
                ],
                "pair": list(topology.pair),
                "subnets": [{"name": subnet.name, "range": str(subnet.range)} for subnet in topology.subnets],
                "router": {"bgp": topology.router_bgp},
                "underlay": {"source_check": sorted(topology.source_checked)},
                "pools": [
                    {
                        "mode": str(pool.mode),
                        "carried_as": str(pool.carried_as),
                        "range": str(pool.range),
                        "pod_mtu": pool.pod_mtu,
                    }
                    for pool in topology.pools
                ],
                "mtu": topology.mtu,
                "link_rate": self._file.link_rate,
                "segmentation_offload": self._file.segmentation_offload,
                "ipip": self._ipip.kind if self._ipip else None,
                "notes": self._notes(),
                "unsupported": {str(mode): str(why) for mode, why in self._unsupported.items()},
                "privileged": self.sandbox.privileged,
                "services": [
                    {"mode": str(each.pod.pool.mode), "address": str(each.address)}
                    for each in (() if self._no_services else topology.services)
                ],
                "versions": {
                    "ip": self._version(["ip", "-V"]),
                    "bird": self._version(["bird", "--version"]),
                },
            }
        )

    def _notes(self) -> list[str]:
        notes = ["the lab: its nodes share one kernel and have no network card; compare modes, not machines"]
        if self._ipip and self._ipip.kind != "kernel":
            notes.append(f"ipip: by {self._ipip.kind}, with the same bytes on the wire: no ipip device here")
        return notes

    def _version(self, argv: list[str]) -> str:
        result = self.sandbox.run(FABRIC, argv, limit=_LIMIT).check()
        return last_line(result.stdout + result.stderr)

    def _plan(self, sandbox: Sandbox) -> Topology:
        """Plan what this machine can do, and remember why it cannot do the rest."""
        topology = Topology.of(self._file, self._modes)
        if Encapsulation.IPIP not in topology.tunnels:
            return topology
        try:
            self._ipip = choose(sandbox, FABRIC)
        except Unsupported as reason:
            lost = [pool.mode for pool in topology.pools if pool.carried_as.tunnel is Encapsulation.IPIP]
            self._unsupported = dict.fromkeys(lost, reason)
            return Topology.of(self._file, [mode for mode in self._modes if mode not in lost])
        return topology

    def _living_pairs(self) -> list[EndpointPair]:
        """Every path that can work here. One that cannot by the topology is for the campaign to find."""
        topology = self.topology
        pairs = [self.pair(Path.HOST_TO_HOST, None)]
        for pool in topology.pools:
            for path in Path:
                # A ClusterIP answers no echo; what leads to it is the way to the pod behind it.
                if path.via_service or not path.has_mode:
                    continue
                if topology.works(path, pool):
                    try:
                        pairs.append(self.pair(path, pool.mode))
                    except Unsupported:
                        continue
        return pairs

    def _session_state(self, node: str) -> str:
        argv = ["birdc", "-s", control_socket(self.sandbox, node), "show", "protocols"]
        try:
            lines = self.sandbox.run(node, argv, limit=_LIMIT).check().stdout.splitlines()
        except ToolProblem as problem:
            return str(problem)
        return "; ".join(" ".join(line.split()) for line in lines if " BGP " in line) or "no session at all"


def _endpoints(sandbox: Sandbox, topology: Topology) -> dict[str, LabEndpoint]:
    """Namespace -> the endpoint there: one object each, since an endpoint knows which ports it gave out."""
    endpoints = {}
    for node in topology.nodes:
        endpoints[node.name] = LabEndpoint(
            sandbox, node.name, node.name, EndpointKind.HOST, node.name, str(node.address)
        )
        for pod in node.pods:
            endpoints[pod.name] = LabEndpoint(
                sandbox, pod.name, f"pod {pod.name}", EndpointKind.POD, node.name, str(pod.address)
            )
    return endpoints


def _cpu() -> str:
    """Model of the machine's CPU; its architecture where the kernel tells no model."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else platform.machine()
