"""Faults of a node: its routes, tunnels, neighbours, filters and sysctls."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_calico_perf.cluster.lab import felix, service
from pytest_calico_perf.cluster.lab.topology import DEVICE, UPLINK, Node, Pod
from pytest_calico_perf.model import Encapsulation
from tests.lab.faults import bgp
from tests.lab.faults.site import Site

_STRANGER = "02:00:00:00:00:99"  # a hardware address nobody has


# -- routes ----------------------------------------------------------------------------------------


@contextmanager
def block_route_missing(site: Site, node: Node) -> Iterator[None]:
    """The node has no route to the other one's block, though BGP and Felix do their work."""
    if site.encapsulation in site.cluster.topology.bird_routes:
        with bgp.route_rejected(site, node):
            yield
        return
    words = site.ask(node.name, "ip", "route", "show", str(site.block(site.other(node)))).split()
    site.route(node, "del", *words)
    try:
        yield
    finally:
        site.route(node, "add", *words)


@contextmanager
def block_blackholed(site: Site, node: Node) -> Iterator[None]:
    """A blackhole of a pool that once was lies over the other one's block."""
    hole = ("blackhole", str(site.block(site.other(node))))
    site.route(node, "prepend", *hole)
    try:
        yield
    finally:
        site.route(node, "del", *hole)


@contextmanager
def block_route_by_wrong_device(site: Site, node: Node) -> Iterator[None]:
    """A route to the other one's block by vxlan.calico, left from when the pool was wrapped so."""
    way = (str(site.block(site.other(node))), "via", str(site.other(node).address))
    device = ("dev", DEVICE[Encapsulation.VXLAN], "onlink")
    site.route(node, "prepend", *way, *device)
    try:
        yield
    finally:
        site.route(node, "del", *way, *device)


@contextmanager
def block_route_by_wrong_gateway(site: Site, node: Node) -> Iterator[None]:
    """The route to the other one's block leads to an address of the nodes' subnet that nobody has."""
    nobody = list(node.subnet.range.hosts())[-1]
    way = (str(site.block(site.other(node))), "via", str(nobody), "dev", UPLINK)
    site.route(node, "prepend", *way)
    try:
        yield
    finally:
        site.route(node, "del", *way)


@contextmanager
def gateway_absent(site: Site, node: Node) -> Iterator[None]:
    """The node's default route leads to an address nobody has."""
    nobody = list(node.subnet.range.hosts())[-1]
    site.route(node, "replace", "default", "via", str(nobody))
    try:
        yield
    finally:
        site.route(node, "replace", "default", "via", str(node.subnet.router))
        site.restart_sessions(node)


@contextmanager
def next_hop_neighbour_wrong(site: Site, node: Node) -> Iterator[None]:
    """The node has a permanent neighbour entry for the other one, with a hardware address that is nobody's."""
    entry = (str(site.other(node).address), "dev", UPLINK)
    site.run(node.name, "ip", "neigh", "replace", *entry, "lladdr", _STRANGER, "nud", "permanent")
    try:
        yield
    finally:
        site.run(node.name, "ip", "neigh", "del", *entry)
        site.restart_sessions(node)


@contextmanager
def reverse_path_filtered(site: Site) -> Iterator[None]:
    """The server's node sends to the client's block another way than it hears from it, and is strict about it.

    Either alone would do no harm: a path may be asymmetric, and a filter meets nothing on a symmetric one.
    """
    node, peer = site.server, site.client
    if site.encapsulation is Encapsulation.NONE:
        detour = (str(peer.address), "tunl0")
    else:
        detour = (str(peer.address), UPLINK)
    way = (str(site.block(peer)), "via", detour[0], "dev", detour[1], "onlink")
    site.route(node, "prepend", *way)
    try:
        with _sysctl(site, node, f"net/ipv4/conf/{site.way_out}/rp_filter", "1"):
            yield
    finally:
        site.route(node, "del", *way)


@contextmanager
def forwarding_off(site: Site, node: Node) -> Iterator[None]:
    with _sysctl(site, node, "net/ipv4/ip_forward", "0"):
        yield


@contextmanager
def _sysctl(site: Site, node: Node, name: str, value: str) -> Iterator[None]:
    before = site.ask(node.name, "sysctl", "--values", name).strip()
    site.run(node.name, "sysctl", "--quiet", f"{name}={value}")
    try:
        yield
    finally:
        site.run(node.name, "sysctl", "--quiet", f"{name}={before}")


# -- filters ---------------------------------------------------------------------------------------


@contextmanager
def policy(site: Site, pod: Pod, match: str = "", *, egress: bool = False) -> Iterator[None]:
    """A policy drops what goes into the pod, or comes out of it, and matches.

    With chains as Felix's nftables have them (felix/rules).
    """
    word, device = ("fw", "iifname") if egress else ("tw", "oifname")
    chains = f"""\
  chain filter-cali-{word}-{pod.veth} {{
    {match} counter drop comment "cali: Drop if no policies passed packet"
  }}
  chain filter-FORWARD {{
    type filter hook forward priority 0
    {device} "{pod.veth}" counter jump filter-cali-{word}-{pod.veth}
  }}
"""
    with site.table(pod.node, "ip calico", chains):
        yield


@contextmanager
def firewalled(site: Site, node: Node, match: str) -> Iterator[None]:
    """The node's own firewall drops what it is sent and matches."""
    chain = f"  chain input {{ type filter hook input priority 0; {match} counter drop; }}\n"
    with site.table(node.name, "inet firewall", chain):
        yield


@contextmanager
def service_rules_missing(site: Site, node: Node) -> Iterator[None]:
    """kube-proxy's rules are gone from the node."""
    site.run(node.name, "nft", "delete", "table", "ip", "kube-proxy")
    try:
        yield
    finally:
        site.run(node.name, *service.COMMAND, stdin=service.rules(site.cluster.topology))


# -- tunnels ---------------------------------------------------------------------------------------


@contextmanager
def tunnel_down(site: Site, node: Node) -> Iterator[None]:
    """The node's tunnel device is down; its routes and entries go with it."""
    site.run(node.name, "ip", "link", "set", site.tunnel, "down")
    try:
        site.await_no_route(node)
        yield
    finally:
        site.run(node.name, "ip", "link", "set", site.tunnel, "up")
        if site.encapsulation is Encapsulation.VXLAN:
            _felix_again(site, node)


def _felix_again(site: Site, node: Node) -> None:
    """Felix's next round: what it wants to be there is there."""
    topology = site.cluster.topology
    lines = [f"neigh replace {entry}\n" for entry in felix.vxlan_neighbours(topology, node)]
    lines += [f"route replace {route}\n" for route in felix.routes(topology, node)]
    site.run(node.name, "ip", "-batch", "-", stdin="".join(lines))
    site.run(node.name, "bridge", "-batch", "-", stdin=felix.vxlan_forwarding(topology, node))


@contextmanager
def vxlan_mac_wrong(site: Site, node: Node, *, forwarded: bool) -> Iterator[None]:
    """The node takes a stranger's hardware address for that of the other one's vxlan.calico.

    Args:
        site: Where.
        node: Whose entry.
        forwarded: Whether its forwarding database knows the stranger, too, behind the right node: packets
            then arrive there and are thrown away.
    """
    peer = site.other(node)
    far_end = str(peer.tunnels[Encapsulation.VXLAN])
    site.run(
        node.name,
        "ip",
        "neigh",
        "replace",
        far_end,
        "lladdr",
        _STRANGER,
        "dev",
        site.tunnel,
        "nud",
        "permanent",
    )
    entry = (_STRANGER, "dev", site.tunnel, "dst", str(peer.address), "self", "permanent")
    if forwarded:
        site.run(node.name, "bridge", "fdb", "replace", *entry)
    try:
        yield
    finally:
        if forwarded:
            site.run(node.name, "bridge", "fdb", "del", *entry)
        _felix_again(site, node)


@contextmanager
def forwarding_entry_missing(site: Site, node: Node) -> Iterator[None]:
    """The forwarding database of the node's vxlan.calico does not say where the other one is."""
    peer = site.other(node)
    site.run(node.name, "bridge", "fdb", "del", peer.vxlan_mac, "dev", site.tunnel, "dst", str(peer.address))
    try:
        yield
    finally:
        _felix_again(site, node)


@contextmanager
def neighbour_entry_missing(site: Site, node: Node) -> Iterator[None]:
    """The node does not know the hardware address of the other one's vxlan.calico, and nobody answers ARP there."""
    far_end = str(site.other(node).tunnels[Encapsulation.VXLAN])
    site.run(node.name, "ip", "neigh", "del", far_end, "dev", site.tunnel)
    try:
        yield
    finally:
        _felix_again(site, node)


@contextmanager
def vxlan_port_changed(site: Site, node: Node) -> Iterator[None]:
    """The node's vxlan.calico was made with another port than all others'."""
    _make_vxlan(site, node, port=8472)  # the kernel's own default, and flannel's
    try:
        yield
    finally:
        _make_vxlan(site, node, port=felix.PORT)


def _make_vxlan(site: Site, node: Node, *, port: int) -> None:
    lines = felix.vxlan_device(site.cluster.topology, node)
    device = "".join(f"{line}\n" for line in lines).replace(f"dstport {felix.PORT}", f"dstport {port}")
    site.run(node.name, "ip", "-batch", "-", stdin=f"link delete {site.tunnel}\n{device}")
    _felix_again(site, node)


# -- addresses -------------------------------------------------------------------------------------

# Gratuitous ARP (RFC 5227, 3), ten times a second: the last who claims an address has it.
_CLAIM = """
import socket, sys, time
device, address = sys.argv[1:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind((device, 0))
    own = raw.getsockname()[4]
    ip = socket.inet_aton(address)
    arp = b"\\x00\\x01\\x08\\x00\\x06\\x04\\x00\\x01" + own + ip + bytes(6) + ip
    while True:
        raw.send(b"\\xff" * 6 + own + b"\\x08\\x06" + arp)
        print("claimed", flush=True)
        time.sleep(0.1)
"""


@contextmanager
def address_duplicated(site: Site) -> Iterator[None]:
    """A third node was given the address of the server's, too, and is the louder one."""
    node, address = site.bystander, site.server.address
    own = f"{address}/{node.subnet.range.prefixlen}"
    site.run(node.name, "ip", "address", "add", own, "dev", UPLINK)
    try:
        argv = [sys.executable, "-c", _CLAIM, UPLINK, str(address)]
        with site.cluster.sandbox.start_command(node.name, argv, limit=120) as claims:
            claims.wait_for_output("claimed", deadline=10)
            thief = _mac(site, node)
            site.await_(
                "the theft of the address", lambda: thief in _neighbour(site, site.client, str(address))
            )
            yield
    finally:
        site.run(node.name, "ip", "address", "del", own, "dev", UPLINK)
        for each in site.cluster.topology.nodes:
            site.run(each.name, "ip", "neigh", "flush", "dev", UPLINK)
        site.restart_sessions(site.server)


def _mac(site: Site, node: Node) -> str:
    # Not by /sys, which shows the network namespace that mounted it.
    (link,) = json.loads(site.ask(node.name, "ip", "-j", "link", "show", "dev", UPLINK))
    return link["address"]


def _neighbour(site: Site, node: Node, address: str) -> str:
    return site.ask(node.name, "ip", "neigh", "show", address, "dev", UPLINK)
