"""A look at a path at one moment: addresses, pools, routes and counters of both nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from pytest_calico_perf.cluster.base import Cluster, Endpoint, EndpointPair
from pytest_calico_perf.cluster.inspection import PoolState
from pytest_calico_perf.cluster.routes import Route, route_to
from pytest_calico_perf.errors import CellProblem, ClusterProblem
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path
from pytest_calico_perf.parsing import lookup, mappings

_LAB = "kernel routes without policies (lab)"
Watch = Callable[[Endpoint], Endpoint]
_OPPOSITE = {Path.HOST_TO_POD: Path.POD_TO_HOST, Path.POD_TO_HOST: Path.HOST_TO_POD}


@dataclass(frozen=True)
class Ground:
    """What is the same for every path of a cluster, and for as long as it keeps its mode.

    Attributes:
        pools: The pools that are known.
        all_pools: Whether these are all there are: an address outside them is then from none.
        data_plane: What forwards pods' packets: `iptables`, `nftables`, `bpf`; empty where nobody knows.
    """

    pools: tuple[PoolState, ...] = ()
    all_pools: bool = False
    data_plane: str = ""

    def pool_of(self, address: str) -> PoolState | None:
        """The pool an address is from: the smallest that has it, as Calico's IPAM gives it out."""
        ranges = [(ip_network(pool.range, strict=False), pool) for pool in self.pools]
        having = [(range_, pool) for range_, pool in ranges if ip_address(address) in range_]
        return max(having, key=lambda each: each[0].prefixlen)[1] if having else None


@dataclass(frozen=True)
class Side:
    """One end of a path, and what its node knows.

    Attributes:
        name: Of the endpoint.
        kind: Host or pod.
        node: Name of its node.
        node_address: Address of its node.
        address: Its own address.
        service: The ClusterIP it is asked by; empty where it is asked by its own address.
        pool: The pool its address is from; None for a host, and where no pool is known.
        route: Its node's route to the other end.
        underlay: Its node's route to the other node; None on one node, and where no tunnel is expected.
        tunnel_packets: Packets each tunnel of its node has sent since it came up.
    """

    name: str
    kind: EndpointKind
    node: str
    node_address: str
    address: str
    service: str
    pool: PoolState | None
    route: Route
    underlay: Route | None
    tunnel_packets: Mapping[Encapsulation, int]

    def to_json(self) -> dict[str, Any]:
        """Who it is: name, addresses, pool."""
        pool = self.pool
        return {
            "name": self.name,
            "node": self.node,
            "node_address": self.node_address,
            "address": self.address,
            **({"service": self.service} if self.service else {}),
            "pool": {"name": pool.name, "range": pool.range, "mode": str(pool.mode)} if pool else None,
        }


@dataclass(frozen=True)
class Evidence:
    """A look at a path at one moment.

    Attributes:
        client: Its client's side.
        server: Its server's side.
        expected: What must be on the wire from client to server; None when nobody can know.
        expected_back: The same from server to client.
        devices: Tunnel devices by what they wrap.
        ground: What is the same for every path of the cluster.
    """

    client: Side
    server: Side
    expected: Encapsulation | None
    expected_back: Encapsulation | None
    devices: Mapping[Encapsulation, str]
    ground: Ground

    @property
    def forward(self) -> Route:
        """The route on the client's node to the server."""
        return self.client.route

    @property
    def backward(self) -> Route:
        """The route on the server's node to the client."""
        return self.server.route


def collect(
    cluster: Cluster, pair: EndpointPair, ground: Ground | None = None, *, watch: Watch = lambda node: node
) -> Evidence:
    """Look at a path now. Costs some short commands on both nodes and a reading of their counters.

    Args:
        cluster: Where.
        pair: The path.
        ground: What is known of the cluster; asked for where it is not given.
        watch: Wraps each node before it is asked for its routes, so that somebody may note the commands.

    Raises:
        Unreachable: A node has no route to the other end.
        ToolProblem: A node lacks `ip`.
        ClusterProblem: A node cannot be talked to.
    """
    known = ground or ground_of(cluster)
    expected, back = cluster.expected_encapsulation(pair), cluster.expected_encapsulation(reverse(pair))
    wrapped = {expected, back} & set(Encapsulation) - {Encapsulation.NONE}
    return Evidence(
        client=_side(cluster, known, pair.client, pair.server, watch, wrapped=bool(wrapped)),
        server=_side(cluster, known, pair.server, pair.client, watch, wrapped=bool(wrapped)),
        expected=expected,
        expected_back=back,
        devices=dict(cluster.tunnel_devices()),
        ground=known,
    )


def ground_of(cluster: Cluster) -> Ground:
    """What is the same for every path: the pools, as far as they can be seen, and the data plane.

    Where nobody can look into Calico, the pools are those this run made or planned itself.
    """
    facts = cluster.facts()
    in_lab = facts.get("kind") == "lab"
    data_plane = _LAB if in_lab else str(lookup(facts, "calico", "dataplane") or "")
    seen = cluster.inspector().pools()
    if seen.value is not None:
        return Ground(seen.value, all_pools=True, data_plane=data_plane)
    # What a real cluster tells of its own pools was seen at the start: it may have been turned since.
    planned = mappings(facts.get("pools" if in_lab else "test_pools"))
    pools = [
        PoolState(str(pool.get("name", pool["mode"])), str(pool["range"]), Mode(pool["mode"]))
        for pool in planned
    ]
    return Ground(tuple(pools), data_plane=data_plane)


def reverse(pair: EndpointPair) -> EndpointPair:
    """The same path seen from its server: what replies travel."""
    return EndpointPair(_OPPOSITE.get(pair.path, pair.path), pair.mode, pair.server, pair.client)


def _side(
    cluster: Cluster, ground: Ground, here: Endpoint, there: Endpoint, watch: Watch, *, wrapped: bool
) -> Side:
    node = watch(cluster.host(here.node))
    is_pod = here.kind is EndpointKind.POD
    between = wrapped and here.node != there.node
    return Side(
        name=here.name,
        kind=here.kind,
        node=here.node,
        node_address=node.own_address,
        address=here.own_address,
        service=here.address if here.address != here.own_address else "",
        pool=ground.pool_of(here.own_address) if is_pod else None,
        route=route_to(node, there.own_address),
        underlay=_underlay(node, cluster.host(there.node).own_address) if between else None,
        tunnel_packets=dict(cluster.tunnel_packets(here.node)),
    )


def _underlay(node: Endpoint, address: str) -> Route | None:
    """A node's way to the other one. It proves no more than the MTU: without it the rest still counts."""
    try:
        return route_to(node, address)
    except (CellProblem, ClusterProblem):
        return None
