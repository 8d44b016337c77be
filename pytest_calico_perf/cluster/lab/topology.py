"""Who has which address: nodes, blocks, pods, tunnels. Pure planning, the rest of the lab reads it.

Addresses and names follow Calico: one block per node and pool, the tunnel's address in the block of the
first pool of its encapsulation, veth and MAC names by SHA-1 of their owner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from pytest_calico_perf.clusterfile import BENCHMARK_RANGE, BLOCK_PREFIX, LabFile
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path

OVERHEAD: Mapping[Encapsulation, int] = {
    Encapsulation.NONE: 0,
    Encapsulation.IPIP: 20,  # an IPv4 header (RFC 2003)
    Encapsulation.VXLAN: 50,  # IPv4 20 + UDP 8 + VXLAN 8 + inner Ethernet 14 (RFC 7348)
}
"""Bytes each encapsulation adds to a pod's packet, link header aside."""

DEVICE: Mapping[Encapsulation, str] = {Encapsulation.IPIP: "tunl0", Encapsulation.VXLAN: "vxlan.calico"}
"""Tunnel device per encapsulation, named as Felix names them (felix/dataplane/linux)."""

UPLINK = "eth0"
"""A node's link into the fabric."""

FABRIC = "fabric"
"""Namespace of the bridges and the router."""

POD_NAMESPACE = "calico-perf"
"""The Kubernetes namespace the pods' names stand for; it takes part in their veths' names."""


@dataclass(frozen=True)
class Subnet:
    """Nodes on one bridge.

    Attributes:
        name: From the cluster file.
        range: Its addresses.
        router: The fabric's address in it.
        bridge: Device in the fabric.
    """

    name: str
    range: IPv4Network
    router: IPv4Address
    bridge: str


@dataclass(frozen=True)
class Pool:
    """A range pods take their addresses from, and how packets to it travel.

    Attributes:
        name: Unique in the lab; there it is the mode's.
        mode: The mode it serves; `current` for the default pool.
        carried_as: The mode its packets travel in; never `current`.
        range: Its addresses.
        pod_mtu: MTU of its pods in bytes, as in a cluster in which this mode is alone.
    """

    name: str
    mode: Mode
    carried_as: Mode
    range: IPv4Network
    pod_mtu: int


@dataclass(frozen=True)
class Pod:
    """A pod: a namespace with one address.

    Attributes:
        name: `bgp-node2-1`; also its network namespace.
        pool: Where its address is from.
        node: Name of its node.
        address: Its address, a /32.
        mac: Hardware address of its eth0.
        veth: The host end of its veth.
    """

    name: str
    pool: Pool
    node: str
    address: IPv4Address
    mac: str
    veth: str


@dataclass(frozen=True)
class Node:
    """A node: a namespace with an uplink, tunnels and pods.

    Attributes:
        name: `node1`; also its namespace and its port in the fabric.
        subnet: Where it lives.
        address: Its address there.
        blocks: Its share of each pool, by the pool's name.
        tunnels: Address of each tunnel device it has.
        vxlan_mac: Hardware address of its vxlan.calico.
        pods: Its pods, pool by pool.
    """

    name: str
    subnet: Subnet
    address: IPv4Address
    blocks: Mapping[str, IPv4Network]
    tunnels: Mapping[Encapsulation, IPv4Address]
    vxlan_mac: str
    pods: tuple[Pod, ...]

    def pod(self, mode: Mode, number: int) -> Pod | None:
        """Its `number`-th pod of a mode, counted from 1; None when there are fewer."""
        pods = [pod for pod in self.pods if pod.pool.mode is mode]
        return pods[number - 1] if number <= len(pods) else None


@dataclass(frozen=True)
class Service:
    """A ClusterIP in front of one pod.

    Attributes:
        address: The ClusterIP.
        pod: Who answers.
    """

    address: IPv4Address
    pod: Pod


@dataclass(frozen=True)
class Topology:
    """The lab on paper.

    Attributes:
        mtu: MTU of the links between nodes, in bytes.
        subnets: One bridge each.
        router_bgp: Whether the router peers with the nodes.
        pools: Of the modes in use only.
        nodes: All nodes, in order of their numbers.
        pair: Names of the client's node and the server's.
        services: One per pool, in front of the first pod of the server's node; none where the file's ranges
            leave no room for them.
        source_checked: Names of the nodes whose port takes only packets from the node's own address.
        felix_routes: Encapsulations of the pools whose routes Felix writes.
        bird_routes: Those whose routes BIRD writes; by default as in Calico up to 3.32.
    """

    mtu: int
    subnets: tuple[Subnet, ...]
    router_bgp: bool
    pools: tuple[Pool, ...]
    nodes: tuple[Node, ...]
    pair: tuple[str, str]
    services: tuple[Service, ...]
    source_checked: frozenset[str] = frozenset()
    felix_routes: frozenset[Encapsulation] = frozenset({Encapsulation.VXLAN})
    bird_routes: frozenset[Encapsulation] = frozenset({Encapsulation.NONE, Encapsulation.IPIP})

    @classmethod
    def of(cls, file: LabFile, modes: Iterable[Mode]) -> Topology:
        """Plan the lab of a cluster file, with the pools of `modes` and no others."""
        subnets = tuple(
            Subnet(subnet.name, subnet.range, next(subnet.range.hosts()), f"br{index}")
            for index, subnet in enumerate(file.subnets)
        )
        pools = []
        for mode in modes:
            carried_as = file.current if mode is Mode.CURRENT else mode
            pod_mtu = file.mtu - OVERHEAD[carried_as.tunnel]
            pools.append(Pool(str(mode), mode, carried_as, file.pools[mode], pod_mtu))
        places = [
            (subnet, address)
            for subnet, plan in zip(subnets, file.subnets, strict=True)
            for address in islice(subnet.range.hosts(), 1, 1 + plan.nodes)
        ]
        nodes = tuple(
            _node(index, subnet, address, pools, file.pods_per_node)
            for index, (subnet, address) in enumerate(places)
        )
        pair = file.pair or _usual_pair(nodes)
        server = next(node for node in nodes if node.name == pair[1])
        return cls(
            file.mtu,
            subnets,
            file.router.bgp,
            tuple(pools),
            nodes,
            pair,
            _services(file, server, pools),
            frozenset(file.underlay.source_check),
        )

    def node(self, name: str) -> Node:
        """The node of that name; KeyError when there is none."""
        return {node.name: node for node in self.nodes}[name]

    def pool(self, mode: Mode) -> Pool:
        """The pool of a mode; KeyError when the lab has none."""
        return {pool.mode: pool for pool in self.pools}[mode]

    def service(self, mode: Mode) -> Service:
        """The Service of a mode's pool; KeyError when there is none."""
        return {service.pod.pool.mode: service for service in self.services}[mode]

    def peers(self, node: Node) -> tuple[Node, ...]:
        """All other nodes."""
        return tuple(peer for peer in self.nodes if peer.name != node.name)

    @property
    def tunnels(self) -> frozenset[Encapsulation]:
        """Encapsulations that some pool may use: their devices are made."""
        return frozenset(pool.carried_as.tunnel for pool in self.pools) - {Encapsulation.NONE}

    def encapsulation(self, pool: Pool, source: Node, target: Node) -> Encapsulation:
        """What wraps a packet from one node to a pod of `pool` on another.

        CrossSubnet modes wrap only between subnets (felix/calc/l3_route_resolver.go, nodeInOurSubnet).
        """
        if source.name == target.name:
            return Encapsulation.NONE
        if pool.carried_as.cross_subnet and target.address in source.subnet.range:
            return Encapsulation.NONE
        return pool.carried_as.tunnel

    def carries(self, pool: Pool, source: Node, target: Node) -> bool:
        """Whether the fabric can carry such a packet: bare pod addresses pass a router only if it peers."""
        return (
            self.encapsulation(pool, source, target) is not Encapsulation.NONE
            or source.subnet == target.subnet
            or self.router_bgp
        )

    def works(self, path: Path, pool: Pool) -> bool:
        """Whether the fabric lets an echo on that path between the pair come back, whichever end asks."""
        if path.same_node:
            return True
        client, server = (self.node(name) for name in self.pair)
        wrapped = self.encapsulation(pool, client, server) is not Encapsulation.NONE
        there, back = (client, path.client), (server, path.server)
        return self.carries(pool, client, server) and not any(
            source.name in self.source_checked
            and kind is EndpointKind.POD
            # What a pod sends to a host's address no mode wraps. (A host that asks through a tunnel does so
            # with the tunnel's address, and is answered through it.)
            and not (wrapped and target is EndpointKind.POD)
            for (source, kind), (_, target) in ((there, back), (back, there))
        )


def _usual_pair(nodes: tuple[Node, ...]) -> tuple[str, str]:
    first = nodes[0]
    elsewhere = [node for node in nodes if node.subnet != first.subnet]
    return first.name, (elsewhere or nodes[1:])[0].name


def _services(file: LabFile, server: Node, pools: list[Pool]) -> tuple[Service, ...]:
    taken = [*file.pools.values(), *(subnet.range for subnet in file.subnets)]
    # From the top of the lower half: by convention nodes are at its bottom, pods in the upper half.
    for range_ in reversed(list(next(BENCHMARK_RANGE.subnets()).subnets(new_prefix=24))):
        if not any(range_.overlaps(other) for other in taken):
            first_pods = [pod for pool in pools if (pod := server.pod(pool.mode, 1))]
            return tuple(Service(range_[number], pod) for number, pod in enumerate(first_pods, 1))
    return ()


def _node(index: int, subnet: Subnet, address: IPv4Address, pools: list[Pool], pods_per_node: int) -> Node:
    name = f"node{index + 1}"
    blocks = {pool.name: _block(pool.range, index) for pool in pools}
    tunnels: dict[Encapsulation, IPv4Address] = {}
    for pool in pools:
        if pool.carried_as.tunnel is not Encapsulation.NONE:
            # Calico hands a block's addresses out from the first; the tunnel was there before any pod.
            tunnels.setdefault(pool.carried_as.tunnel, blocks[pool.name][0])
    pods = tuple(
        make_pod(f"{pool.name}-{name}-{number}", pool, name, blocks[pool.name][number])
        for pool in pools
        for number in range(1, pods_per_node + 1)
    )
    return Node(name, subnet, address, blocks, tunnels, vxlan_mac(name), pods)


def _block(pool: IPv4Network, index: int) -> IPv4Network:
    size = 1 << (32 - BLOCK_PREFIX)
    return IPv4Network((int(pool.network_address) + index * size, BLOCK_PREFIX))


def make_pod(name: str, pool: Pool, node: str, address: IPv4Address, *, workload: str = "") -> Pod:
    """A pod with the names Calico derives from its workload, `<namespace>.<name>` in Kubernetes."""
    # libcalico-go/lib/backend/k8s/conversion, VethNameForWorkload.
    digest = _sha1(workload or f"{POD_NAMESPACE}.{name}")
    # 02: locally administered, unicast.
    return Pod(name, pool, node, address, _mac(0x02, digest), f"cali{digest.hex()[:11]}")


def vxlan_mac(node: str) -> str:
    """As Felix derives it: byte 0x66, then SHA-1 of the node's name (felix/dataplane/linux, vxlan_mgr)."""
    return _mac(0x66, _sha1(node))


def _mac(first: int, digest: bytes) -> str:
    return bytes([first, *digest[:5]]).hex(":")


def _sha1(text: str) -> bytes:
    return hashlib.sha1(text.encode(), usedforsecurity=False).digest()
