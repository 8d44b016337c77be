"""The fault book: every fault of the catalogue that a lab can have, built in for real and taken out again.

    with injected(cluster, pair, "block-route-missing@server"):
        ...

A fault is named by its key in the catalogue (`diagnosis`), after an @ by which of its forms it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import MappingProxyType

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from tests.lab.faults import bgp, fabric, node, pod
from tests.lab.faults.site import Site

BOOK: Mapping[str, Callable[[Site], AbstractContextManager[None]]] = MappingProxyType(
    {
        "bgp-port-blocked": bgp.port_blocked,
        "bgp-port-blocked@node": bgp.port_closed_on_node,
        "bgp-wrong-as": bgp.wrong_as,
        "bgp-session-missing": bgp.session_off,
        "bgp-session-missing@unconfigured": bgp.session_not_configured,
        "bgp-mesh-off": bgp.mesh_off,
        "bird-dead": bgp.daemon_dead,
        "pod-addresses-dropped": fabric.pod_addresses_dropped,
        "pod-addresses-dropped-one-way": lambda site: fabric.pod_sources_dropped(site, site.client),
        "pod-addresses-dropped-one-way@back": lambda site: fabric.pod_sources_dropped(site, site.server),
        "ipip-dropped": fabric.ipip_dropped,
        "ipip-dropped@back": lambda site: fabric.ipip_dropped(site, site.server),
        "vxlan-dropped": fabric.vxlan_dropped,
        "vxlan-dropped@node": lambda site: node.firewalled(site, site.server, "udp dport 4789"),
        "mtu-black-hole": fabric.mtu_black_hole,
        "tcp-payload-lost": fabric.payload_dropped,
        "underlay-down": fabric.cable_pulled,
        "underlay-down@silent": fabric.everything_dropped,
        "block-route-missing": lambda site: node.block_route_missing(site, site.client),
        "block-route-missing@server": lambda site: node.block_route_missing(site, site.server),
        "block-blackholed": lambda site: node.block_blackholed(site, site.client),
        "block-blackholed@server": lambda site: node.block_blackholed(site, site.server),
        "block-route-wrong": lambda site: node.block_route_by_wrong_device(site, site.client),
        "block-route-wrong@gateway": lambda site: node.block_route_by_wrong_gateway(site, site.client),
        "next-hop-unresolved": lambda site: node.gateway_absent(site, site.client),
        "underlay-down@arp": fabric.arp_dropped,
        "underlay-down@neighbour": lambda site: node.next_hop_neighbour_wrong(site, site.client),
        "reverse-path-filter": node.reverse_path_filtered,
        "forwarding-off": lambda site: node.forwarding_off(site, site.server),
        "forwarding-off@client": lambda site: node.forwarding_off(site, site.client),
        "policy-drops-everything": lambda site: node.policy(site, site.server_pod),
        "policy-drops-everything@client": lambda site: node.policy(site, site.client_pod, egress=True),
        "icmp-dropped": lambda site: node.policy(site, site.server_pod, "ip protocol icmp"),
        "icmp-dropped@fabric": lambda site: fabric.pods_protocol_dropped(site, "icmp"),
        "tcp-dropped": lambda site: node.policy(site, site.server_pod, "ip protocol tcp"),
        "tcp-dropped@fabric": lambda site: fabric.pods_protocol_dropped(site, "tcp"),
        "service-without-rules": lambda site: node.service_rules_missing(site, site.client),
        "tunnel-device-down": lambda site: node.tunnel_down(site, site.client),
        "tunnel-device-down@server": lambda site: node.tunnel_down(site, site.server),
        "vxlan-wrong-mac": lambda site: node.vxlan_mac_wrong(site, site.client, forwarded=True),
        "vxlan-wrong-mac@neighbour": lambda site: node.vxlan_mac_wrong(site, site.server, forwarded=False),
        "vxlan-entry-missing": lambda site: node.forwarding_entry_missing(site, site.client),
        "vxlan-entry-missing@neighbour": lambda site: node.neighbour_entry_missing(site, site.server),
        "vxlan-parameters-differ": lambda site: node.vxlan_port_changed(site, site.server),
        "duplicate-node-address": node.address_duplicated,
        "pod-without-route": lambda site: pod.without_route(site, site.server_pod),
        "pod-without-route@client": lambda site: pod.without_route(site, site.client_pod),
        "pod-link-down": lambda site: pod.link_down(site, site.server_pod),
        "pod-link-down@client": lambda site: pod.link_down(site, site.client_pod),
        "pod-link-down@host-end": lambda site: pod.host_end_down(site, site.server_pod),
        "pod-route-missing-on-node": lambda site: pod.route_missing_on_node(site, site.server_pod),
        "pod-route-missing-on-node@client": lambda site: pod.route_missing_on_node(site, site.client_pod),
        "pod-without-address": lambda site: pod.without_address(site, site.server_pod),
        "pod-gateway-silent": lambda site: pod.gateway_silent(site, site.server_pod),
        "checksum-offload": lambda site: pod.checksums_spoilt(site, site.client_pod),
    }
)
"""Name -> the fault, as a context manager that has taken effect once it is entered."""


def key(name: str) -> str:
    """The catalogue's key of a fault."""
    return name.partition("@")[0]


@contextmanager
def injected(cluster: LabCluster, pair: EndpointPair, *names: str) -> Iterator[None]:
    """Build faults into a running lab; on leaving take them out and wait until it is healthy again.

    Args:
        cluster: The lab.
        pair: The path they are to break; its two nodes and pods are where they go.
        names: From the book, built in in this order.

    Raises:
        NotReady: A fault took no effect, or the lab did not recover, within a deadline.
        ClusterProblem: A command that builds it in or takes it out failed.
    """
    site = Site(cluster, pair)
    try:
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(BOOK[name](site))
            yield
    finally:
        site.await_health()
