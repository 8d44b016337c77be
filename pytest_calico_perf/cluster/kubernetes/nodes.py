"""The cluster's nodes as facts, and the choice of the two that packets travel between."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import combinations
from typing import Any, NamedTuple

from pytest_calico_perf.cluster.kubernetes.reading import (
    annotations_of,
    ipv4_address,
    ipv4_interface,
    ipv4_network,
    labels_of,
    name_of,
    quantity,
    text,
    texts,
    truth,
)
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ClusterProblem, NotReady, did_you_mean
from pytest_calico_perf.model import Encapsulation, Mode
from pytest_calico_perf.parsing import lookup, mappings

# Written by calico-node (libcalico-go/lib/backend/k8s/resources/node.go).
ADDRESS_ANNOTATION = "projectcalico.org/IPv4Address"
TUNNEL_ANNOTATIONS: Mapping[Encapsulation, str] = {
    Encapsulation.IPIP: "projectcalico.org/IPv4IPIPTunnelAddr",
    Encapsulation.VXLAN: "projectcalico.org/IPv4VXLANTunnelAddr",
}
WIREGUARD_ANNOTATION = "projectcalico.org/WireguardPublicKey"

_ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_CONTROL_PLANES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_CORDONED = "node.kubernetes.io/unschedulable"
_NOT_SCHEDULED = ("NoSchedule", "NoExecute")
_SHOWN = 12  # nodes named in a message


@dataclass(frozen=True)
class Taint:
    """What keeps pods off a node that do not tolerate it."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"

    def tolerated(self, tolerations: Iterable[Json]) -> bool:
        """Whether any toleration covers it (k8s.io/api/core/v1, Toleration.ToleratesTaint)."""
        return any(self._covered(each) for each in tolerations)

    def _covered(self, toleration: Json) -> bool:
        effect, key = text(toleration.get("effect")), text(toleration.get("key"))
        if effect not in ("", self.effect) or (key or self.key) != self.key:
            return False
        operator = text(toleration.get("operator")) or "Equal"
        if operator == "Exists":
            return True
        return operator == "Equal" and bool(key) and text(toleration.get("value")) == self.value


@dataclass(frozen=True)
class NodeFacts:
    """A node.

    Attributes:
        name: Its name.
        address: Its IPv4 address for the cluster (`InternalIP`); None where it has none.
        subnet: Its address with the mask by which Calico knows its subnet; None where Calico has not said.
        zone: Its zone; empty where it has none.
        ready: Whether its kubelet says so.
        taints: What keeps pods off it; one for being cordoned, too.
        control_plane: Whether it is one.
        selected: Whether the cluster file's selector holds it.
        system: Its operating system: `linux`.
        architecture: `amd64`, `arm64`.
        kernel: Its kernel's release.
        kubelet: Its kubelet's version.
        cpus: Its CPUs; None where it does not say.
        memory: Its memory in byte; None where it does not say.
        tunnel_addresses: Encapsulation -> address of its tunnel, as Calico notes it.
        encrypts: Whether WireGuard has a key there.
        addresses: All its IPv4 addresses.
        pod_ranges: What Kubernetes sets aside for its pods; Calico's own IPAM does not heed it.
    """

    name: str
    address: IPv4Address | None = None
    subnet: IPv4Interface | None = None
    zone: str = ""
    ready: bool = False
    taints: tuple[Taint, ...] = ()
    control_plane: bool = False
    selected: bool = True
    system: str = "linux"
    architecture: str = ""
    kernel: str = ""
    kubelet: str = ""
    cpus: float | None = None
    memory: float | None = None
    tunnel_addresses: Mapping[str, str] = field(default_factory=dict)
    encrypts: bool = False
    addresses: tuple[IPv4Address, ...] = ()
    pod_ranges: tuple[IPv4Network, ...] = ()

    def why_not(self, tolerations: Sequence[Json]) -> str:
        """Why pods with these tolerations cannot be measured there, in words; empty if they can."""
        if not self.ready:
            return "is not Ready"
        if self.system != "linux":
            return f"runs {self.system or 'an unknown system'}, not linux"
        if self.address is None:
            return "has no IPv4 address (InternalIP)"
        for taint in self.taints:
            if not taint.tolerated(tolerations):
                return f"is {'cordoned' if taint.key == _CORDONED else 'tainted'} ({taint})"
        return ""

    def reaches_directly(self, other: NodeFacts) -> bool | None:
        """Whether Calico here takes the other node for one of its own subnet; None where it is not known.

        A CrossSubnet pool then sends to it without encapsulation (nodeInOurSubnet in
        felix/calc/l3_route_resolver.go).
        """
        if self.subnet is None or other.subnet is None:
            return None
        return other.subnet.ip in self.subnet.network

    def facts(self) -> dict[str, Any]:
        """It, JSON-able; memory in byte."""
        return {
            "name": self.name,
            "address": str(self.address) if self.address else None,
            "subnet": str(self.subnet.network) if self.subnet else None,
            "zone": self.zone,
            "ready": self.ready,
            "control_plane": self.control_plane,
            "taints": [str(taint) for taint in self.taints],
            "system": self.system,
            "architecture": self.architecture,
            "kernel": self.kernel,
            "kubelet": self.kubelet,
            "cpus": self.cpus,
            "memory": self.memory,
            "tunnel_addresses": dict(self.tunnel_addresses),
        }


def read_node(found: Json, *, selected: bool = True) -> NodeFacts:
    """A node out of the API's object."""
    annotations, labels = annotations_of(found), labels_of(found)
    addresses = [
        (text(each.get("type")), address)
        for each in mappings(lookup(found, "status", "addresses"))
        if (address := ipv4_address(each.get("address")))
    ]
    ranges = [lookup(found, "spec", "podCIDR"), *texts(lookup(found, "spec", "podCIDRs"))]
    return NodeFacts(
        name=name_of(found),
        address=next((address for kind, address in addresses if kind == "InternalIP"), None),
        subnet=ipv4_interface(annotations.get(ADDRESS_ANNOTATION)),
        zone=next((text(labels[zone]) for zone in _ZONES if zone in labels), ""),
        ready=any(
            condition.get("type") == "Ready" and condition.get("status") == "True"
            for condition in mappings(lookup(found, "status", "conditions"))
        ),
        taints=_taints(lookup(found, "spec")),
        control_plane=any(label in labels for label in _CONTROL_PLANES),
        selected=selected,
        system=text(lookup(found, "status", "nodeInfo", "operatingSystem")),
        architecture=text(lookup(found, "status", "nodeInfo", "architecture")),
        kernel=text(lookup(found, "status", "nodeInfo", "kernelVersion")),
        kubelet=text(lookup(found, "status", "nodeInfo", "kubeletVersion")),
        cpus=quantity(lookup(found, "status", "capacity", "cpu")),
        memory=quantity(lookup(found, "status", "capacity", "memory")),
        tunnel_addresses={
            str(kind): text(annotations[name])
            for kind, name in TUNNEL_ANNOTATIONS.items()
            if name in annotations
        },
        encrypts=bool(annotations.get(WIREGUARD_ANNOTATION)),
        addresses=tuple(dict.fromkeys(address for _, address in addresses)),
        pod_ranges=tuple(dict.fromkeys(each for each in map(ipv4_network, ranges) if each)),
    )


def _taints(spec: object) -> tuple[Taint, ...]:
    taints = [
        Taint(text(each.get("key")), text(each.get("value")), text(each.get("effect")))
        for each in mappings(lookup(spec, "taints"))
        if each.get("effect") in _NOT_SCHEDULED
    ]
    if truth(lookup(spec, "unschedulable")) and not any(taint.key == _CORDONED for taint in taints):
        taints.append(Taint(_CORDONED, "", "NoSchedule"))  # the scheduler treats the field like the taint
    return tuple(taints)


class Choice(NamedTuple):
    """The two nodes that packets travel between.

    Attributes:
        client: Where clients run, and the neighbour of paths within a node.
        server: Where servers run.
        explanation: Which they are and how to have them again, a sentence.
    """

    client: NodeFacts
    server: NodeFacts
    explanation: str


def choose(nodes: Sequence[NodeFacts], file: KubernetesFile, modes: Iterable[Mode] = ()) -> Choice:
    """The two nodes the cluster file names, or two that pods can run on: the same two each time.

    Workers come before control planes, then names decide. Where a mode of `modes` makes a difference between
    subnets, two nodes of different subnets are preferred, else it could not be exercised.

    Raises:
        ClusterFileProblem: A node it names is not there, or its selector holds none.
        NotReady: A node it names is not Ready.
        ClusterProblem: A node cannot be used, or there are no two that can.
    """
    tolerations = [toleration.manifest() for toleration in file.tolerations]
    if file.nodes.pair:
        client, server = (_named(nodes, name, file, tolerations) for name in file.nodes.pair)
        return Choice(
            client,
            server,
            f"nodes {client.name} (client) and {server.name} (server) as the cluster file says",
        )
    selected = [node for node in nodes if node.selected]
    if file.nodes.selector and not selected:
        raise file.problem(("nodes", "selector"), f"no node of {len(nodes)} has {file.nodes.selector}")
    usable = sorted((node for node in selected if not node.why_not(tolerations)), key=_order)
    if len(usable) < 2:
        raise ClusterProblem(
            f"two nodes are needed and {len(usable)} of {len(selected)} can be used"
            f"{_reasons(selected, tolerations)}",
            remedy="make nodes Ready, or add `tolerations` to the cluster file",
        )
    spread = any(mode.cross_subnet for mode in modes)
    apart = (pair for pair in combinations(usable, 2) if pair[0].reaches_directly(pair[1]) is False)
    client, server = (next(apart, None) if spread else None) or (usable[0], usable[1])
    return Choice(
        client,
        server,
        f"nodes {client.name} (client) and {server.name} (server) chosen of {len(nodes)}; "
        f"to repeat: nodes: {{pair: [{client.name}, {server.name}]}}",
    )


def _named(
    nodes: Sequence[NodeFacts], name: str, file: KubernetesFile, tolerations: Sequence[Json]
) -> NodeFacts:
    node = next((node for node in nodes if node.name == name), None)
    if node is None:
        names = [node.name for node in nodes]
        known = ", ".join(sorted(names)[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        raise file.problem(
            ("nodes", "pair"), f"there is no node {name}{did_you_mean(name, names)} (known: {known})"
        )
    why = node.why_not(tolerations)
    if not node.ready:
        raise NotReady(why, where=f"node {name}", remedy=f"see kubectl describe node {name}")
    if why:
        raise ClusterProblem(
            why, where=f"node {name}", remedy="name another node, or add `tolerations` to the cluster file"
        )
    return node


def _order(node: NodeFacts) -> tuple[bool, str]:
    """Workers first, then by name, numbers in it by size: node2 before node10."""
    return node.control_plane, re.sub("[0-9]+", lambda digits: digits[0].zfill(20), node.name)


def _reasons(nodes: Sequence[NodeFacts], tolerations: Sequence[Json]) -> str:
    reasons = [f"{node.name} {why}" for node in nodes if (why := node.why_not(tolerations))]
    more = f", and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return f": {', '.join(reasons[:_SHOWN])}{more}" if reasons else ""
