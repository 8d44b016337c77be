"""Faults of a pod: its link, its route, the node's route to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_calico_perf.cluster.lab.topology import FABRIC, Pod
from pytest_calico_perf.cluster.lab.wiring import GATEWAY
from pytest_calico_perf.model import Encapsulation
from tests.lab.faults.site import Site


@contextmanager
def without_route(site: Site, pod: Pod) -> Iterator[None]:
    """The pod has lost its default route."""
    way = ("default", "via", GATEWAY, "dev", "eth0")
    site.run(pod.name, "ip", "route", "del", *way)
    try:
        yield
    finally:
        site.run(pod.name, "ip", "route", "add", *way)


@contextmanager
def link_down(site: Site, pod: Pod) -> Iterator[None]:
    """The pod's own end of its veth is down."""
    site.run(pod.name, "ip", "link", "set", "eth0", "down")
    try:
        yield
    finally:
        lines = (
            "link set eth0 up",
            f"route add {GATEWAY} dev eth0 scope link",
            f"route add default via {GATEWAY}",
        )
        site.run(pod.name, "ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))


@contextmanager
def host_end_down(site: Site, pod: Pod) -> Iterator[None]:
    """The node's end of the pod's veth is down; the node's route to it goes with it."""
    site.run(pod.node, "ip", "link", "set", pod.veth, "down")
    try:
        yield
    finally:
        lines = (
            f"link set {pod.veth} up",
            f"neigh replace {pod.address} lladdr {pod.mac} dev {pod.veth} nud permanent",
            f"route replace {pod.address}/32 dev {pod.veth} scope link proto 80",
        )
        site.run(pod.node, "ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))


@contextmanager
def route_missing_on_node(site: Site, pod: Pod) -> Iterator[None]:
    """The node does not know by which veth its own pod is reached; its block's blackhole takes the packets."""
    way = (f"{pod.address}/32", "dev", pod.veth, "scope", "link", "proto", "80")
    site.run(pod.node, "ip", "route", "del", *way)
    try:
        yield
    finally:
        site.run(pod.node, "ip", "route", "add", *way)


@contextmanager
def without_address(site: Site, pod: Pod) -> Iterator[None]:
    """The pod has another address than the one Calico gave it."""
    site.run(pod.name, "ip", "-batch", "-", stdin=_address(f"{pod.address + 16}", str(pod.address)))
    try:
        yield
    finally:
        site.run(pod.name, "ip", "-batch", "-", stdin=_address(str(pod.address), f"{pod.address + 16}"))


def _address(new: str, old: str) -> str:
    # In this order: with the last address its routes would go.
    return f"address add {new}/32 dev eth0\naddress del {old}/32 dev eth0\n"


@contextmanager
def gateway_silent(site: Site, pod: Pod) -> Iterator[None]:
    """The node does not answer for the gateway of the pod, which forgot what it once heard."""
    proxy_arp = f"net/ipv4/conf/{pod.veth}/proxy_arp"
    site.run(pod.node, "sysctl", "--quiet", f"{proxy_arp}=0")
    site.run(pod.name, "ip", "neigh", "flush", "dev", "eth0")
    try:
        yield
    finally:
        site.run(pod.node, "sysctl", "--quiet", f"{proxy_arp}=1")
        site.run(pod.name, "ip", "neigh", "flush", "dev", "eth0")


@contextmanager
def checksums_spoilt(site: Site, pod: Pod) -> Iterator[None]:
    """What a network card does that was asked for checksums it cannot fill in: the pod's TCP leaves with wrong ones.

    The pod fills them in itself, since the kernel believes whatever it has not sent over a wire; the fabric
    spoils them.
    """
    site.run(pod.name, "ethtool", "-K", "eth0", "tx", "off")
    rule = "ip protocol tcp tcp checksum set 0xdead"
    if site.encapsulation is Encapsulation.VXLAN:
        # Behind UDP's header 8 bytes of VXLAN's, 14 of Ethernet's, 20 of IPv4's; TCP's checksum is 16 on.
        protocol, checksum = 8 * (8 + 8 + 14 + 9), 8 * (8 + 8 + 14 + 20 + 16)
        rule = f"udp dport 4789 @th,{protocol},8 6 @th,{checksum},16 set 0xdead"
    else:
        rule = f"ip saddr {pod.address} {rule}"
    chain = f"""\
  chain spoil {{
    type filter hook ingress device "{pod.node}" priority 0
    {rule}
  }}
"""
    try:
        with site.table(FABRIC, "netdev card", chain):
            yield
    finally:
        site.run(pod.name, "ethtool", "-K", "eth0", "tx", "on")
