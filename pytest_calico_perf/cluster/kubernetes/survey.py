"""Looking at a cluster: one page of facts, gathered before anything is made and kept in every report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pytest_calico_perf.cluster.kubernetes.calico import CalicoFacts
from pytest_calico_perf.cluster.kubernetes.detection import find_calico
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts, read_node
from pytest_calico_perf.cluster.kubernetes.reading import Look, Reader, name_of
from pytest_calico_perf.cluster.kubernetes.resource import NODES
from pytest_calico_perf.cluster.kubernetes.support import Ground, no_calico, why_not
from pytest_calico_perf.cluster.kubernetes.taken import find_pod_ranges, find_taken, read_kubeadm
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import Unsupported
from pytest_calico_perf.model import Mode, Provision

__all__ = ["CalicoFacts", "NodeFacts", "Survey", "survey", "unsupported"]


@dataclass(frozen=True)
class Survey:
    """What a cluster is.

    Attributes:
        name: The cluster file's.
        description: The cluster file's.
        server: URL of its API server.
        version: Version of its API server.
        nodes: Its nodes, by name.
        calico: Its Calico; None where there is none.
        taken: Every IPv4 range it is known to use -> what uses it.
        pod_ranges: Where its pods are known to be: kubeadm's podSubnet and its own pools.
        unseen: What could not be looked at, each with its reason.
    """

    name: str
    description: str
    server: str
    version: str
    nodes: tuple[NodeFacts, ...]
    calico: CalicoFacts | None
    taken: Mapping[IPv4Network, str] = field(default_factory=dict)
    pod_ranges: tuple[IPv4Network, ...] = ()
    unseen: tuple[str, ...] = ()

    def mode_at(self, address: IPv4Address) -> Mode | None:
        """The mode of the pool an address is from; None where no pool has it, or its mode makes no sense."""
        pools = [
            (pool.range.prefixlen, pool.mode)
            for pool in (self.calico.pools if self.calico else ())
            if isinstance(pool.range, IPv4Network) and address in pool.range
        ]
        return max(pools, key=lambda pool: pool[0])[1] if pools else None

    @property
    def subnets(self) -> tuple[IPv4Network, ...]:
        """The nodes' subnets, as Calico sees them."""
        return tuple(sorted({node.subnet.network for node in self.nodes if node.subnet}))

    @property
    def zones(self) -> tuple[str, ...]:
        """The nodes' zones."""
        return tuple(sorted({node.zone for node in self.nodes if node.zone}))

    def notes(self) -> list[str]:
        """What a reader of the figures should know, in sentences."""
        notes = self.calico.notes() if self.calico else []
        if self.calico and self.calico.wireguard:
            plain = [node.name for node in self.nodes if not node.encrypts]
            notes.append(
                "WireGuard is on: Calico encrypts what pods of different nodes send each other"
                + (f", but not where {_some(plain)} takes part (no key there)" if plain else "")
            )
        return [*notes, *(f"could not look at {what}" for what in self.unseen)]

    def about_services(self, range_: IPv4Network) -> str:
        """What becomes of what pods of a range send to Services, in a sentence; empty where nothing does.

        kube-proxy masquerades what comes from outside its `clusterCIDR` (pkg/proxy/iptables/proxier.go,
        "masquerade off-cluster traffic"). Calico's eBPF data plane has no such rule.
        """
        if self.calico is None or self.calico.dataplane == "bpf":
            return ""
        if any(range_.subnet_of(known) for known in self.pod_ranges):
            return ""
        return (
            f"pod-to-service: {range_} (pools.range) is outside the cluster's known pod ranges "
            f"({_some(self.pod_ranges) or 'none'}), so kube-proxy, where it has a clusterCIDR, takes test "
            "pods for strangers and masquerades what they send to Services: the figures hold one address "
            "translation more than the cluster's own pods see"
        )

    def lines(self) -> list[str]:
        """The page in a few lines for people."""
        ready = sum(node.ready for node in self.nodes)
        where = [f"{len(self.nodes)} nodes", f"{ready} Ready"]
        where += [f"subnets {_some(self.subnets)}"] if self.subnets else []
        where += [f"zones {_some(self.zones)}"] if self.zones else []
        lines = [f"Kubernetes {self.version or '(unknown version)'} at {self.server}: {', '.join(where)}"]
        if self.calico is None:
            lines.append("Calico: none")
        else:
            calico = self.calico
            lines.append(
                f"Calico {calico.version or '(unknown version)'}: installed by {calico.managed_by}, "
                f"API {calico.api.group}/{calico.api.version}, backend {calico.backend}, "
                f"data plane {calico.dataplane}"
            )
            pools = [f"{pool.name} {pool.range} {pool.mode or '?'}" for pool in calico.pools]
            lines.append(f"pools: {_some(pools) or 'none'}")
        return [*lines, *self.notes()]

    def facts(self) -> dict[str, Any]:
        """The page, JSON-able."""
        return {
            "kind": "kubernetes",
            "name": self.name,
            "description": self.description,
            "server": self.server,
            "version": self.version,
            "kernels": dict(Counter(node.kernel for node in self.nodes)),
            "zones": list(self.zones),
            "subnets": list(map(str, self.subnets)),
            "nodes": [node.facts() for node in self.nodes],
            "calico": self.calico.facts() if self.calico else None,
            "pools": [pool.facts() for pool in self.calico.pools] if self.calico else [],
            # Ranges; single addresses are the nodes' own.
            "taken": {str(range_): what for range_, what in self.taken.items() if range_.prefixlen < 32},
            "notes": self.notes(),
        }


def survey(api: Reader, file: KubernetesFile) -> Survey:
    """Look at a cluster and change nothing.

    What may not be looked at is said in the page. What a run cannot do without is for `permissions.check`.

    Raises:
        ApiProblem: The API cannot be reached, or fails.
    """
    look = Look(api)
    version = look.version()
    found = look.list(NODES)
    # The selector is read by the server, so that it means what it means to kubectl.
    chosen = look.list(NODES, labels=file.nodes.selector) if file.nodes.selector else found
    selected = {name_of(node) for node in chosen}
    nodes = sorted(
        (read_node(node, selected=name_of(node) in selected) for node in found), key=lambda node: node.name
    )
    calico = find_calico(look)
    kubeadm = read_kubeadm(look)
    taken = find_taken(look, nodes, calico, kubeadm)
    return Survey(
        name=file.name,
        description=file.description,
        server=api.server,
        version=version,
        nodes=tuple(nodes),
        calico=calico,
        taken=taken,
        pod_ranges=find_pod_ranges(calico, kubeadm),
        unseen=look.unseen,
    )


def unsupported(
    survey: Survey,
    modes: Iterable[Mode],
    client: NodeFacts,
    server: NodeFacts,
    provision: Provision = Provision.POOLS,
) -> dict[Mode, Unsupported]:
    """The modes this cluster cannot have between two nodes, each with its reason. `current` needs nothing."""
    asked = [mode for mode in modes if mode is not Mode.CURRENT]
    if survey.calico is None:
        return {mode: no_calico(survey.unseen) for mode in asked}
    ground = Ground(survey.calico, client, server, survey.nodes, provision)
    return {mode: reason for mode in asked if (reason := why_not(mode, ground))}


def _some(things: Iterable[object]) -> str:
    """A list for people: the first few, and how many more."""
    words = [str(thing) for thing in things]
    return ", ".join(words[:6]) + (f" and {len(words) - 6} more" if len(words) > 6 else "")
