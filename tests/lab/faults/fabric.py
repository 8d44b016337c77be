"""Faults of the network between the nodes: what it drops, and what it does to what it lets pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_calico_perf.cluster.lab.topology import FABRIC, UPLINK, Node
from tests.lab.faults.site import Site

_NARROW = 1400  # bytes: what every tunnel's packets of full size exceed


def _pods(site: Site) -> str:
    return f"{{ {', '.join(str(pool.range) for pool in site.cluster.topology.pools)} }}"


@contextmanager
def pod_addresses_dropped(site: Site) -> Iterator[None]:
    """It checks source and destination, as a cloud does: an address that is no node's does not pass."""
    pods = _pods(site)
    with site.dropped_in_fabric("spoofing", f"ip saddr {pods}", f"ip daddr {pods}"):
        yield


@contextmanager
def pod_sources_dropped(site: Site, node: Node) -> Iterator[None]:
    """One node's port checks sources: what its pods send is lost, what they are sent arrives."""
    with site.dropped_in_fabric("spoofing", f"ip saddr {_pods(site)}", nodes=[node]):
        yield


@contextmanager
def ipip_dropped(site: Site, *nodes: Node) -> Iterator[None]:
    """It knows TCP, UDP and ICMP, and nothing else, at these nodes' ports or at all."""
    with site.dropped_in_fabric("ipip", "ip protocol 4", nodes=nodes):
        yield


@contextmanager
def vxlan_dropped(site: Site) -> Iterator[None]:
    """It does not let UDP pass to VXLAN's port."""
    with site.dropped_in_fabric("vxlan", "udp dport 4789"):
        yield


@contextmanager
def pods_protocol_dropped(site: Site, protocol: str) -> Iterator[None]:
    """It drops one protocol of those that pods speak, where it sees them bare."""
    with site.dropped_in_fabric("protocol", f"ip saddr {_pods(site)} ip protocol {protocol}"):
        yield


@contextmanager
def mtu_black_hole(site: Site) -> Iterator[None]:
    """It takes smaller packets than the nodes believe and loses larger ones without a word (RFC 2923).

    Merged segments count by their whole length, as they are longer than what they would be cut into.
    """
    with site.dropped_in_fabric("narrow", f"meta protocol ip meta length > {_NARROW}"):
        yield


@contextmanager
def payload_dropped(site: Site) -> Iterator[None]:
    """It lets pods' TCP connections be opened and takes what they carry, as a broken middlebox does."""
    with site.dropped_in_fabric("payload", f"ip saddr {_pods(site)} ip protocol tcp meta length > 100"):
        yield


@contextmanager
def arp_dropped(site: Site) -> Iterator[None]:
    """It lets no ARP of the server's node pass (RFC 826), as a switch does that inspects it and knows better."""
    with site.dropped_in_fabric("arp", "meta protocol arp", nodes=[site.server]):
        site.run(site.client.name, "ip", "neigh", "flush", "dev", UPLINK)
        yield
    site.restart_sessions(site.server)


@contextmanager
def cable_pulled(site: Site) -> Iterator[None]:
    """The server's node has no carrier."""
    site.run(FABRIC, "ip", "link", "set", site.server.name, "down")
    try:
        site.await_(
            "the loss of carrier",
            lambda: "NO-CARRIER" in site.ask(site.server.name, "ip", "link", "show", UPLINK),
        )
        yield
    finally:
        site.run(FABRIC, "ip", "link", "set", site.server.name, "up")
        site.restart_sessions(site.server)


@contextmanager
def everything_dropped(site: Site) -> Iterator[None]:
    """Nothing but ARP passes between the two nodes."""
    nodes = (site.client, site.server)
    with site.dropped_in_fabric(
        "everything",
        *(f"ip saddr {node.address} ip daddr {site.other(node).address}" for node in nodes),
        f"ip saddr {_pods(site)} ip daddr {_pods(site)}",
        nodes=nodes,
    ):
        yield
