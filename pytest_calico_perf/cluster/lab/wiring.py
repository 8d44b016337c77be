"""Namespaces wired together, as text for `ip -batch` and `sysctl --load`: one process per namespace.

Pods are wired as Calico's CNI plugin does it (cni-plugin/pkg/dataplane/linux): a /32, a link-local gateway
that exists nowhere, and a host end that answers ARP for it.
"""

from __future__ import annotations

from pytest_calico_perf.cluster.lab.topology import DEVICE, UPLINK, Node, Pod, Topology
from pytest_calico_perf.model import Encapsulation

GATEWAY = "169.254.1.1"
"""What every pod has for a gateway; proxy ARP answers for it."""

HOST_END_MAC = "ee:ee:ee:ee:ee:ee"
"""Hardware address of every host end, as in Calico."""

# A node's packets and a router's may come back another way than they left, as across CrossSubnet pools;
# Calico's strict check of pods' sources is a firewall rule and none of the paths measured here meets it.
_ROUTER_SYSCTLS = (
    "net/ipv4/ip_forward = 1",
    "net/ipv4/conf/all/rp_filter = 0",
    "net/ipv4/conf/default/rp_filter = 0",
    # The lab is IPv4; without this, router solicitations would show up in the tunnels' counters.
    "-net/ipv6/conf/all/disable_ipv6 = 1",
    "-net/ipv6/conf/default/disable_ipv6 = 1",
)


def fabric_links(topology: Topology) -> str:
    """Bridges, and a cable from each to its nodes, whose namespaces must exist."""
    lines = ["link set lo up"]
    for subnet in topology.subnets:
        lines += [
            f"link add {subnet.bridge} mtu {topology.mtu} type bridge mcast_snooping 0",
            f"address add {subnet.router}/{subnet.range.prefixlen} dev {subnet.bridge}",
            f"link set {subnet.bridge} up",
        ]
    for node in topology.nodes:
        node_end = f"peer name {UPLINK} mtu {topology.mtu} netns {node.name}"
        lines += [
            f"link add {node.name} mtu {topology.mtu} type veth {node_end}",
            f"link set {node.name} master {node.subnet.bridge} up",
        ]
    return _text(lines)


def fabric_sysctls() -> str:
    """The fabric routes between subnets; a firewall of the machine's must not look into its bridges."""
    return _text([*_ROUTER_SYSCTLS, "-net/bridge/bridge-nf-call-iptables = 0"])


def node_sysctls() -> str:
    """A node forwards. To be loaded before its devices are made, since they inherit the defaults."""
    return _text([*_ROUTER_SYSCTLS, f"net/ipv4/conf/{UPLINK}/rp_filter = 0"])


def node_links(node: Node) -> str:
    """Uplink and default route.

    The default route also makes proxy ARP work: the kernel answers only for what it could route.
    """
    return _text(
        [
            "link set lo up",
            f"address add {node.address}/{node.subnet.range.prefixlen} dev {UPLINK}",
            f"link set {UPLINK} up",
            f"route add default via {node.subnet.router}",
        ]
    )


def tunnel_up(node: Node, encapsulation: Encapsulation) -> list[str]:
    """`ip` lines that give a tunnel device its address and bring it up."""
    device = DEVICE[encapsulation]
    return [f"address add {node.tunnels[encapsulation]}/32 dev {device}", f"link set {device} up"]


def pod_host_ends(node: Node) -> str:
    """Both ends of the pods' veths, and the node's routes to the pods as Felix keeps them."""
    lines = []
    for pod in node.pods:
        mtu = pod.pool.pod_mtu
        pod_end = f"peer name eth0 address {pod.mac} mtu {mtu} netns {pod.name}"
        lines += [
            f"link add {pod.veth} address {HOST_END_MAC} mtu {mtu} type veth {pod_end}",
            f"link set {pod.veth} up",
            f"neigh replace {pod.address} lladdr {pod.mac} dev {pod.veth} nud permanent",
            f"route add {pod.address}/32 dev {pod.veth} scope link proto 80",
        ]
    return _text(lines)


def pod_host_sysctls(node: Node) -> str:
    """Host ends answer ARP for whatever a pod asks, at once."""
    lines = []
    for pod in node.pods:
        lines += [
            f"net/ipv4/conf/{pod.veth}/proxy_arp = 1",
            f"net/ipv4/neigh/{pod.veth}/proxy_delay = 0",
        ]
    return _text(lines)


def pod_links(pod: Pod) -> str:
    """A pod's own end."""
    return _text(
        [
            "link set lo up",
            "link set eth0 addrgenmode none",
            "link set eth0 up",
            f"address add {pod.address}/32 dev eth0",
            f"route add {GATEWAY} dev eth0 scope link",
            f"route add default via {GATEWAY} dev eth0",
        ]
    )


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
