"""The cluster file of the embedded lab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from pytest_calico_perf.clusterfile.fields import ClusterFile, Model, Name, Network, Rate, Seconds, misfit
from pytest_calico_perf.clusterfile.located_yaml import FieldPath, show
from pytest_calico_perf.errors import UsageProblem, did_you_mean
from pytest_calico_perf.model import Mode

BENCHMARK_RANGE = IPv4Network("198.18.0.0/15")
"""Addresses set aside for benchmarks, routed nowhere (RFC 2544, appendix C.2.2)."""

BLOCK_PREFIX = 26
"""Prefix length of a node's share of a pool: Calico's default `blockSize` (api/v3/ippool.go)."""

LEAST_MTU = 576 + 50
"""Lowest link MTU in bytes: what every IPv4 host must accept (RFC 791) inside VXLAN's 50 bytes of headers."""

GREATEST_MTU = 65535
"""Highest link MTU in bytes: a veth's, and an IPv4 packet's total length."""


class Subnet(Model):
    """Nodes that reach one another without a router.

    Attributes:
        name: For people.
        range: Its addresses; the first is the router's, the next ones are the nodes'.
        nodes: How many nodes it has.
    """

    name: Name
    range: Network
    nodes: Annotated[StrictInt, Field(ge=1, le=64)]


class Router(Model):
    """What joins the subnets.

    Attributes:
        bgp: Whether it peers with the nodes and so carries pod addresses; else it knows the nodes' only.
    """

    bgp: StrictBool = False


class Underlay(Model):
    """What the network between the nodes does to their packets, beside carrying them.

    Attributes:
        source_check: Nodes whose port takes only packets whose source is the node's own address, as virtual
            switches and clouds check against spoofing. What such a node receives is not looked at.
    """

    source_check: tuple[StrictStr, ...] = ()


class LabFile(ClusterFile):
    """The embedded lab: network namespaces on this machine.

    Attributes:
        kind: `lab`.
        ready_within: Deadline for bringing it up, in seconds.
        subnets: Subnets of nodes; more than one are joined by a router.
        router: What joins them.
        underlay: What the network between the nodes does to their packets.
        pods_per_node: Pods of each mode on each node.
        mtu: MTU of the links between nodes, in bytes.
        link_rate: Rate of each node's link in bit/s; None leaves it as fast as the machine is.
        segmentation_offload: Whether TCP segments may stay merged (TSO, GSO, GRO) up to the link.
        pools: Address range per mode.
        current: The mode of the lab's default pool, the one `--calico-mode=current` measures.
        pair: The client's node and the server's; None chooses the first nodes of two subnets, else node1
            and node2.
    """

    kind: Literal["lab"]
    ready_within: Annotated[Seconds, Field(le=3600)] = 20.0
    subnets: Annotated[tuple[Subnet, ...], Field(min_length=1, max_length=8)]
    router: Router = Router()
    underlay: Underlay = Underlay()
    pods_per_node: Annotated[StrictInt, Field(ge=1, le=16)] = 2
    mtu: Annotated[StrictInt, Field(ge=LEAST_MTU, le=GREATEST_MTU)] = 1500
    link_rate: Rate | None = None
    segmentation_offload: StrictBool = True
    pools: Annotated[Mapping[Mode, Network], Field(min_length=1)]
    current: Mode = Mode.IPIP
    pair: tuple[StrictStr, StrictStr] | None = None

    @property
    def node_count(self) -> int:
        """Nodes of all subnets together."""
        return sum(subnet.nodes for subnet in self.subnets)

    @property
    def node_names(self) -> tuple[str, ...]:
        """`node1`, `node2`, ... through all subnets."""
        return tuple(f"node{number}" for number in range(1, self.node_count + 1))

    def check_modes(self, modes: Iterable[Mode]) -> None:
        for mode in modes:
            if mode not in self.pools:
                raise UsageProblem(
                    f"cluster {self.name} cannot carry {mode}: it has no pool for it",
                    where=self.source,
                    remedy=f"add one under pools, or ask for: {', '.join(self.pools)}",
                )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_ranges()
        self._check_subnets()
        self._check_pools()
        self._check_nodes(("underlay", "source-check"), self.underlay.source_check)
        self._check_pair()
        return self

    def _check_ranges(self) -> None:
        ranges: list[tuple[FieldPath, IPv4Network]] = [
            (("subnets", index, "range"), subnet.range) for index, subnet in enumerate(self.subnets)
        ]
        ranges += [(("pools", str(mode)), pool) for mode, pool in self.pools.items()]
        for field, network in ranges:
            if not network.subnet_of(BENCHMARK_RANGE):
                message = f"{network} is outside {BENCHMARK_RANGE}, the range set aside for benchmarks"
                raise misfit(field, message)
        for (field, network), (other_field, other) in combinations(ranges, 2):
            if network.overlaps(other):
                message = f"{other} overlaps {show(field)} {network} in line {{line}}"
                raise misfit(other_field, message, other=field)

    def _check_subnets(self) -> None:
        if self.node_count < 2:
            raise misfit(("subnets",), "a comparison needs at least two nodes")
        names = [subnet.name for subnet in self.subnets]
        for index, subnet in enumerate(self.subnets):
            # Network, broadcast and router address are not for nodes.
            if (room := max(0, subnet.range.num_addresses - 3)) < subnet.nodes:
                message = f"{subnet.nodes} nodes do not fit into {subnet.range}, which has room for {room}"
                raise misfit(("subnets", index, "nodes"), message)
            if subnet.name in names[:index]:
                raise misfit(("subnets", index, "name"), f"two subnets are called {subnet.name}")

    def _check_pools(self) -> None:
        for mode, pool in self.pools.items():
            blocks = pool.num_addresses >> (32 - BLOCK_PREFIX)
            if blocks < self.node_count:
                raise misfit(
                    ("pools", str(mode)),
                    f"{pool} has room for {blocks} blocks of /{BLOCK_PREFIX}, but there are"
                    f" {self.node_count} nodes and each takes one",
                )
        if self.current is Mode.CURRENT:
            raise misfit(("current",), "must be the mode the default pool is in, not current")
        for index, mode in enumerate(self.defaults.modes or ()):
            if mode not in self.pools:
                raise misfit(("defaults", "modes", index), f"{mode} has no pool")

    def _check_pair(self) -> None:
        if self.pair is None:
            return
        self._check_nodes(("pair",), self.pair)
        if self.pair[0] == self.pair[1]:
            raise misfit(("pair",), "client and server must be on different nodes")

    def _check_nodes(self, field: FieldPath, names: Iterable[str]) -> None:
        for index, node in enumerate(names):
            if node not in self.node_names:
                hint = did_you_mean(node, self.node_names)
                raise misfit(
                    (*field, index), f"there is no node {node}{hint} (known: {', '.join(self.node_names)})"
                )
