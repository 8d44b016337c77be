"""Which ranges of addresses a cluster uses already.

Raw v1 pools are checked by nobody, and no pool is ever checked against nodes and Services, so we do it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import NamedTuple

import yaml

from pytest_calico_perf.cluster.kubernetes.calico import CalicoFacts
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts
from pytest_calico_perf.cluster.kubernetes.reading import (
    Look,
    document,
    ipv4_address,
    ipv4_network,
    name_of,
    text,
    texts,
)
from pytest_calico_perf.cluster.kubernetes.resource import CONFIG_MAPS, SERVICE_RANGES, SERVICES
from pytest_calico_perf.parsing import lookup, mappings

KUBEADM_CONFIG = "kubeadm-config"
"""ConfigMap of kubeadm's, in kube-system."""

_GUESSED_PREFIX = 16  # where a cluster's Services begin is known, where they end is not


class Kubeadm(NamedTuple):
    """Ranges as kubeadm was told them; none where it did not make the cluster.

    Attributes:
        pods: What kube-proxy takes for the pods', and controllers share out among the nodes.
        services: ClusterIPs.
    """

    pods: tuple[IPv4Network, ...] = ()
    services: tuple[IPv4Network, ...] = ()


def find_taken(
    look: Look, nodes: Iterable[NodeFacts], calico: CalicoFacts | None, kubeadm: Kubeadm
) -> dict[IPv4Network, str]:
    """Every IPv4 range the cluster is known to use: pools, pods, Services, nodes, left-over blocks.

    What kubeadm sets aside for pods is not in use where Calico's IPAM hands out addresses: that goes by its
    pools, and a pool there is what kube-proxy knows as pods.
    """
    taken: dict[IPv4Network, str] = {}

    def take(network: object, what: str) -> None:
        if isinstance(network, IPv4Network):
            taken.setdefault(network, what)

    for pool in calico.pools if calico else ():
        take(pool.range, f"pool {pool.name}")
    for node in nodes:
        take(node.subnet.network if node.subnet else None, f"subnet of node {node.name}")
        for address in node.addresses:
            take(IPv4Network(address), f"address of node {node.name}")
        for network in node.pod_ranges:
            take(network, f"pods of node {node.name}")
    if calico is None or calico.ipam not in ("", "calico-ipam"):
        for network in kubeadm.pods:
            take(network, "pods (podSubnet of kubeadm-config)")
    for network, what in _services(look, kubeadm).items():
        take(network, what)
    if calico is not None:
        for field in ("serviceClusterIPs", "serviceExternalIPs", "serviceLoadBalancerIPs"):
            for each in mappings(calico.bgp.get(field)):
                take(ipv4_network(each.get("cidr")), f"Services ({field} of BGPConfiguration)")
        # Blocks outlive pools that are deleted through raw CRDs, and Calico then refuses a pool there.
        pools = [pool.range for pool in calico.pools if isinstance(pool.range, IPv4Network)]
        for block in look.list(calico.api.blocks):
            cidr = ipv4_network(lookup(block, "spec", "cidr"))
            if cidr and not any(cidr.subnet_of(pool) for pool in pools):
                take(cidr, f"left-over address block {name_of(block)}")
    return taken


def find_pod_ranges(calico: CalicoFacts | None, kubeadm: Kubeadm) -> tuple[IPv4Network, ...]:
    """Where the cluster's own pods are known to be."""
    pools = (pool.range for pool in (calico.pools if calico else ()) if not pool.is_ours)
    own = (network for network in pools if isinstance(network, IPv4Network))
    return tuple(dict.fromkeys((*kubeadm.pods, *own)))


def _services(look: Look, kubeadm: Kubeadm) -> dict[IPv4Network, str]:
    """The range of ClusterIPs: from ServiceCIDRs (Kubernetes 1.33), kubeadm, else what can be seen of it."""
    found: dict[IPv4Network, str] = {}
    if look.serves(SERVICE_RANGES.group, SERVICE_RANGES.version, SERVICE_RANGES.plural):
        for service_range in look.list(SERVICE_RANGES):
            for cidr in texts(lookup(service_range, "spec", "cidrs")):
                for network in _networks(cidr):
                    found[network] = f"Services (ServiceCIDR {name_of(service_range)})"
    for network in kubeadm.services:
        found.setdefault(network, "Services (serviceSubnet of kubeadm-config)")
    if found:
        return found
    addresses = filter(
        None, (ipv4_address(lookup(each, "spec", "clusterIP")) for each in look.list(SERVICES))
    )
    guesses = {IPv4Network((int(address), _GUESSED_PREFIX), strict=False) for address in addresses}
    look.note(
        "range of ClusterIPs", f"not told by the cluster; taken for {_join(guesses)}, around those that exist"
    )
    return dict.fromkeys(sorted(guesses), "Services (guessed around existing ClusterIPs)")


def read_kubeadm(look: Look) -> Kubeadm:
    """What kubeadm was told."""
    found = look.find(CONFIG_MAPS, KUBEADM_CONFIG, namespace="kube-system")
    configuration = document(lookup(found, "data", "ClusterConfiguration"))
    try:
        networking = lookup(yaml.safe_load(configuration), "networking")
    except (yaml.YAMLError, ValueError, RecursionError):
        look.note(f"{CONFIG_MAPS} kube-system/{KUBEADM_CONFIG}", "is no YAML")
        return Kubeadm()
    return Kubeadm(_networks(lookup(networking, "podSubnet")), _networks(lookup(networking, "serviceSubnet")))


def _networks(value: object) -> tuple[IPv4Network, ...]:
    """IPv4 ranges out of a list with commas, as dual-stack settings are written."""
    return tuple(network for part in text(value).split(",") if (network := ipv4_network(part)))


def _join(networks: Iterable[IPv4Network]) -> str:
    return ", ".join(map(str, sorted(networks))) or "nothing"
