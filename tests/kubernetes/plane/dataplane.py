"""The network of the plane: nodes, tunnels, routes and pods' wires, in a sandbox of the lab.

Everything is the lab's own (wiring, BIRD, Felix, tunl0); here it is changed while it runs. A node is brought from
what was applied to what is wanted, so that wanting the same again costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from itertools import count

from pytest_calico_perf.cluster.lab import bird, builder, felix, wiring
from pytest_calico_perf.cluster.lab.ipip.tunnel import IpipTunnel, choose
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import (
    DEVICE,
    FABRIC,
    OVERHEAD,
    Node,
    Pod,
    Pool,
    Subnet,
    Topology,
    vxlan_mac,
)
from pytest_calico_perf.model import Encapsulation
from tests.kubernetes.plane.spec import MTU, SUBNETS, NodeSpec

_NAT_TABLE = "calico"
_ROUTER = 1  # its number in every subnet
_FIRST_NODE = 11


@dataclass
class _Applied:
    """What a node has at the moment."""

    tunnels: dict[Encapsulation, IPv4Address | None] = field(default_factory=dict)
    neighbours: set[str] = field(default_factory=set)
    forwarding: str = ""
    routes: set[str] = field(default_factory=set)
    nat: str = ""
    bird: str = ""


class DataPlane:
    """Nodes in a sandbox.

    Args:
        specs: The nodes.
        mtu: Of the links between them, in bytes.
        with_bird: Whether they run BIRD.

    Attributes:
        sandbox: Where it is.
    """

    def __init__(
        self, sandbox: Sandbox, specs: Sequence[NodeSpec], *, mtu: int = MTU, with_bird: bool = True
    ) -> None:
        self.sandbox = sandbox
        self._with_bird = with_bird
        self._ipip: IpipTunnel | None = None
        self._executor = ThreadPoolExecutor(4, thread_name_prefix="plane")
        self._lock = threading.Lock()
        self._topology = _bare_topology(specs, mtu)
        self._applied = {node.name: _Applied() for node in self._topology.nodes}

    @property
    def topology(self) -> Topology:
        """The state last wanted."""
        return self._topology

    @property
    def pod_mtu(self) -> int:
        """MTU of new pods, in bytes: the least over all encapsulations (felix/dataplane/linux, determinePodMTU)."""
        return min(
            self._topology.mtu - OVERHEAD[each] for each in (Encapsulation.NONE, *self._topology.tunnels)
        )

    def build(self) -> None:
        """Make fabric and nodes, and start their BIRDs."""
        nodes = self._topology.nodes
        self.sandbox.add_namespaces([FABRIC, *(node.name for node in nodes)])
        self._ipip = choose(self.sandbox, FABRIC, counting=True)
        self._run(FABRIC, ["sysctl", "--quiet", "--load=-"], wiring.fabric_sysctls())
        self._run(FABRIC, ["ip", "-batch", "-"], wiring.fabric_links(self._topology))
        self._everywhere(self._build_node)

    def close(self) -> None:
        """Start no more commands."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def want(
        self,
        pools: Iterable[Pool],
        blocks: Mapping[str, Mapping[str, IPv4Network]],
        tunnels: Mapping[str, Mapping[Encapsulation, IPv4Address]],
        masqueraded: Iterable[IPv4Network],
        *,
        felix_routes: frozenset[Encapsulation],
        bird_routes: frozenset[Encapsulation],
    ) -> None:
        """Bring every node to this state.

        Args:
            pools: All pools, disabled ones too: Felix and confd look at all.
            blocks: Node -> pool's name -> its block. A block whose pool is gone may have any name.
            tunnels: Node -> the addresses of its tunnel devices.
            masqueraded: Ranges of the pools with natOutgoing.
            felix_routes: Encapsulations of the pools whose routes Felix writes.
            bird_routes: Those whose routes BIRD writes.
        """
        with self._lock:
            nodes = tuple(
                replace(
                    node, blocks=dict(blocks.get(node.name, {})), tunnels=dict(tunnels.get(node.name, {}))
                )
                for node in self._topology.nodes
            )
            writers = {"felix_routes": felix_routes, "bird_routes": bird_routes}
            self._topology = replace(self._topology, pools=tuple(pools), nodes=nodes, **writers)
            nat = _nat(self._topology.pools, list(masqueraded))
            self._everywhere(lambda node: self._bring(node, nat))

    def add_pod(self, pod: Pod) -> None:
        """Wire a pod as the CNI plugin does; its namespace is made."""
        node = replace(self._node(pod.node), pods=(pod,))
        self.sandbox.add_namespaces([pod.name])
        self._run(node.name, ["ip", "-batch", "-"], wiring.pod_host_ends(node))
        self._run(node.name, ["sysctl", "--quiet", "--load=-"], wiring.pod_host_sysctls(node))
        self._run(pod.name, ["ip", "-batch", "-"], wiring.pod_links(pod))

    def remove_pod(self, pod: Pod) -> None:
        """Take a pod's wire away, with its routes, and its namespace."""
        self._run(pod.node, ["ip", "-batch", "-"], f"link delete {pod.veth}\n")
        self.sandbox.remove_namespaces([pod.name])

    def set_rules(self, node: str, rules: str) -> None:
        """Load a file of `nft` on a node."""
        self._run(node, ["nft", "--file", "-"], rules)

    def set_link(self, node: str, *, up: bool) -> None:
        """Plug a node's cable in or out, at the fabric's end."""
        self._run(FABRIC, ["ip", "-batch", "-"], f"link set {node} {'up' if up else 'down'}\n")

    def _build_node(self, node: Node) -> None:
        self._run(node.name, ["sysctl", "--quiet", "--load=-"], wiring.node_sysctls())
        self._run(node.name, ["ip", "-batch", "-"], wiring.node_links(node))
        if self._with_bird:
            config = bird.node_config(self._topology, node)
            builder.start_bird(self.sandbox, node.name, config)
            self._applied[node.name].bird = config

    def _bring(self, node: Node, nat: str) -> None:
        topology, applied = self._topology, self._applied[node.name]
        self._bring_tunl0(topology, node, applied)
        self._bring_felix(topology, node, applied)
        if nat != applied.nat:
            self.set_rules(node.name, nat)
            applied.nat = nat
        if self._with_bird and (config := bird.node_config(topology, node)) != applied.bird:
            builder.reconfigure_bird(self.sandbox, node.name, config)
            applied.bird = config

    def _bring_tunl0(self, topology: Topology, node: Node, applied: _Applied) -> None:
        """The kernel's fallback device stays once it is there; without IPIP pools it has no address."""
        kind = Encapsulation.IPIP
        address = node.tunnels.get(kind) if kind in topology.tunnels else None
        if kind in topology.tunnels and kind not in applied.tunnels:
            self._ipip.prepare(self.sandbox, node.name)
            self._run(node.name, ["ip", "-batch", "-"], self._ipip.links(topology.mtu))
            self._run(node.name, ["tc", "-batch", "-"], self._ipip.filters())
            applied.tunnels[kind] = None
        if applied.tunnels.get(kind) != address:
            self._run(node.name, ["ip", "-batch", "-"], _readdress(node, kind, address))
            applied.tunnels[kind] = address

    def _bring_felix(self, topology: Topology, node: Node, applied: _Applied) -> None:
        """vxlan.calico, and the routes that Felix writes."""
        kind = Encapsulation.VXLAN
        address = node.tunnels.get(kind) if kind in topology.tunnels else None
        if address is None and applied.tunnels.get(kind):
            # The device takes its neighbours, forwarding entries and routes with it.
            self._run(node.name, ["ip", "-batch", "-"], f"link delete {DEVICE[kind]}\n")
            del applied.tunnels[kind]
            applied.neighbours, applied.forwarding = set(), ""
            applied.routes = {route for route in applied.routes if DEVICE[kind] not in route}
        lines: list[str] = []
        if address and kind not in applied.tunnels:
            lines += felix.vxlan_device(topology, node)
        elif address and applied.tunnels[kind] != address:
            lines += _readdress(node, kind, address).splitlines()
        if address:
            applied.tunnels[kind] = address
        neighbours = set(felix.vxlan_neighbours(topology, node)) if address else set()
        routes = {route for route in felix.routes(topology, node) if address or DEVICE[kind] not in route}
        lines += [
            f"neigh delete {gone.split()[0]} dev {DEVICE[kind]}" for gone in applied.neighbours - neighbours
        ]
        lines += [f"neigh replace {new}" for new in neighbours - applied.neighbours]
        # By destination first: the route to a block may only have changed its way.
        kept = {_destination(route) for route in routes}
        lines += [
            f"route delete {gone}" for gone in applied.routes - routes if _destination(gone) not in kept
        ]
        lines += [f"route replace {new}" for new in routes - applied.routes]
        self._run(node.name, ["ip", "-batch", "-"], "".join(f"{line}\n" for line in lines))
        forwarding = felix.vxlan_forwarding(topology, node) if address else ""
        if forwarding != applied.forwarding:
            self._run(node.name, ["bridge", "-batch", "-"], forwarding)
        applied.neighbours, applied.routes, applied.forwarding = neighbours, routes, forwarding

    def _node(self, name: str) -> Node:
        return self._topology.node(name)

    def _run(self, namespace: str, argv: list[str], text: str | None = None) -> None:
        builder.apply(self.sandbox, namespace, argv, text)

    def _everywhere(self, step: Callable[[Node], None]) -> None:
        for _ in self._executor.map(step, self._topology.nodes):
            pass


def _bare_topology(specs: Sequence[NodeSpec], mtu: int) -> Topology:
    """Nodes without pools."""
    subnets = {
        number: Subnet(f"rack{number + 1}", SUBNETS[number], SUBNETS[number][_ROUTER], f"br{number}")
        for number in sorted({spec.subnet for spec in specs})
    }
    numbers = {number: count(_FIRST_NODE) for number in subnets}
    nodes = tuple(
        Node(
            name=spec.name,
            subnet=subnets[spec.subnet],
            address=SUBNETS[spec.subnet][next(numbers[spec.subnet])],
            blocks={},
            tunnels={},
            vxlan_mac=vxlan_mac(spec.name),
            pods=(),
        )
        for spec in specs
    )
    return Topology(mtu, tuple(subnets.values()), False, (), nodes, (nodes[0].name, nodes[-1].name), ())


def _readdress(node: Node, kind: Encapsulation, address: IPv4Address | None) -> str:
    flush = f"address flush dev {DEVICE[kind]}\n"
    if address is None:
        return f"{flush}link set {DEVICE[kind]} down\n"
    return flush + "".join(f"{line}\n" for line in wiring.tunnel_up(node, kind))


def _destination(route: str) -> str:
    """`blackhole 10.0.0.0/26 proto 80` and `10.0.0.0/26 via ...` both go to the block."""
    return next(word for word in route.split() if word != "blackhole")


def _nat(pools: Sequence[Pool], masqueraded: Sequence[IPv4Network]) -> str:
    """natOutgoing: what leaves such a pool for no pool at all takes its node's address (felix/rules/nat.go)."""
    table = f"table ip {_NAT_TABLE}"
    rule = ""
    if masqueraded:
        # Pools may overlap where nobody checks them, ranges of a set may not.
        ours = ", ".join(map(str, collapse_addresses(masqueraded)))
        everyones = ", ".join(map(str, collapse_addresses(pool.range for pool in pools)))
        rule = f"ip saddr {{ {ours} }} ip daddr != {{ {everyones} }} masquerade"
    return (
        f"{table}\ndelete {table}\n"  # made first, since only what is there can be deleted
        f"{table} {{\n  chain nat-postrouting {{\n"
        f"    type nat hook postrouting priority 100\n    {rule}\n  }}\n}}\n"
    )
