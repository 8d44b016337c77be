"""What a plane is to be: nodes, and the Calico they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Any

from pytest_calico_perf.model import Mode

SUBNETS = tuple(IPv4Network(f"198.18.{number}.0/24") for number in range(4))
"""Where nodes are, a bridge each, joined by a router that knows no pod."""

MTU = 1500

DEFAULT_RANGE = IPv4Network("198.18.64.0/20")
SERVICE_RANGE = IPv4Network("198.18.128.0/20")


class Group(StrEnum):
    """Through which API groups a cluster serves Calico's objects (calico.md 1.1)."""

    CRD = "crd"  # crd.projectcalico.org/v1 alone: nothing is checked
    AGGREGATED = "aggregated"  # and projectcalico.org/v3 by Calico's API server over it
    NATIVE = "native"  # projectcalico.org/v3 as CRDs


@dataclass(frozen=True)
class NodeSpec:
    """A node to be.

    Attributes:
        name: Of the Node; also of its network namespace.
        subnet: Index into `SUBNETS`.
        zone: Its topology label; empty for none.
        labels: More labels.
        taints: As in its spec.
        control_plane: Whether it bears the label of control planes, and their taint.
        unschedulable: Whether it is cordoned.
    """

    name: str
    subnet: int = 0
    zone: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    control_plane: bool = False
    unschedulable: bool = False


@dataclass(frozen=True)
class CalicoSpec:
    """A Calico to be.

    Attributes:
        version: As ClusterInformation tells it.
        group: `crd`, `aggregated` or `native`.
        managed_by: `operator` (an Installation owns the default pool) or `manifest`.
        backend: `bird` or `vxlan`, which has no BIRD, so that only VXLAN pools have routes.
        mode: Of the default pool.
        pool: Name of the default pool.
        range: Its addresses.
        block_size: Its blocks' prefix length.
        dataplane: `iptables`, `nftables` or `bpf`, as FelixConfiguration tells it; the packets do not feel it.
        wireguard: As FelixConfiguration tells it; the packets do not feel it.
        felix: More of FelixConfiguration's spec.
        bgp: BGPConfiguration's spec; None leaves the object out, as Calico does.
        felix_notices: Seconds until Felix has seen that the set of encapsulations changed; all is ready meanwhile.
        felix_restart: Seconds Felix takes to restart when the set of encapsulations changes.
        absent: Whether there is no Calico at all: pods are wired in the same way, and no object of the API says by whom.
    """

    version: str = "v3.32.1"
    group: str = "crd"
    managed_by: str = "manifest"
    backend: str = "bird"
    mode: Mode = Mode.IPIP
    pool: str = "default-ipv4-ippool"
    range: IPv4Network = DEFAULT_RANGE
    block_size: int = 26
    dataplane: str = "iptables"
    wireguard: bool = False
    felix: Mapping[str, Any] = field(default_factory=dict)
    bgp: Mapping[str, Any] | None = None
    felix_notices: float = 0.0
    felix_restart: float = 0.3
    absent: bool = False

    @property
    def release(self) -> tuple[int, ...]:
        """Major and minor number of its version."""
        return tuple(map(int, self.version.removeprefix("v").split(".")[:2]))

    @property
    def namespace(self) -> str:
        """Where calico-node runs."""
        return "calico-system" if self.managed_by == "operator" else "kube-system"


def nodes_of(nodes: int | Sequence[NodeSpec], subnets: int) -> tuple[NodeSpec, ...]:
    """So many nodes, dealt evenly over so many subnets; or those given."""
    if not isinstance(nodes, int):
        return tuple(nodes)
    return tuple(
        NodeSpec(
            f"node{number + 1}",
            subnet=number * subnets // nodes,
            zone=f"zone-{'abcd'[number * subnets // nodes]}",
        )
        for number in range(nodes)
    )
