"""What Felix would program: the VXLAN device, its neighbours, routes to blocks; for `ip` and `bridge`.

Sources: felix/dataplane/linux/vxlan_mgr.go, felix/vxlanfdb/vxlan_fdb.go, felix/calc/l3_route_resolver.go.
"""

from __future__ import annotations

from pytest_calico_perf.cluster.lab.bird import bare_gateway
from pytest_calico_perf.cluster.lab.topology import DEVICE, OVERHEAD, UPLINK, Node, Pool, Topology
from pytest_calico_perf.cluster.lab.wiring import tunnel_up
from pytest_calico_perf.model import Encapsulation

VNI = 4096
PORT = 4789

_DEVICE = DEVICE[Encapsulation.VXLAN]


def vxlan_links(topology: Topology, node: Node) -> str:
    """`ip` lines: the device, permanent neighbours, own blackholes and routes to the peers' blocks."""
    lines = [
        *vxlan_device(topology, node),
        *(f"neigh replace {neighbour}" for neighbour in vxlan_neighbours(topology, node)),
        *(f"route add {route}" for route in routes(topology, node)),
    ]
    return "".join(f"{line}\n" for line in lines)


def vxlan_device(topology: Topology, node: Node) -> list[str]:
    """`ip` lines that make the device, with its address and up."""
    mtu = topology.mtu - OVERHEAD[Encapsulation.VXLAN]
    kind = f"type vxlan id {VNI} dstport {PORT} local {node.address} dev {UPLINK} nolearning"
    return [
        f"link add {_DEVICE} address {node.vxlan_mac} mtu {mtu} {kind}",
        *tunnel_up(node, Encapsulation.VXLAN),
    ]


def vxlan_neighbours(topology: Topology, node: Node) -> list[str]:
    """One per peer that has a tunnel, as `ip neigh` takes it."""
    return [
        f"{far_end} lladdr {peer.vxlan_mac} dev {_DEVICE} nud permanent"
        for peer in topology.peers(node)
        if (far_end := peer.tunnels.get(Encapsulation.VXLAN))
    ]


def routes(topology: Topology, node: Node) -> list[str]:
    """Blackholes for own blocks and routes to the peers', as `ip route` takes them, of the pools Felix has.

    A route goes straight over the uplink where a CrossSubnet pool does not encapsulate. To a peer without a
    tunnel's address there is none through that tunnel.
    """
    pools = [pool for pool in topology.pools if pool.carried_as.tunnel in topology.felix_routes]
    own = [node.blocks[pool.name] for pool in pools if pool.name in node.blocks]
    # Not for a block of one address: it would take the place of its pod's own route.
    found = [f"blackhole {block} proto 80" for block in own if block.prefixlen < block.max_prefixlen]
    for peer in topology.peers(node):
        found += [
            f"{peer.blocks[pool.name]} {way} onlink"
            for pool in pools
            if pool.name in peer.blocks and (way := _way(topology, pool, node, peer))
        ]
    return found


def _way(topology: Topology, pool: Pool, node: Node, peer: Node) -> str:
    match topology.encapsulation(pool, node, peer):
        case Encapsulation.NONE:
            return f"via {bare_gateway(node, peer)} dev {UPLINK} proto 80"
        case Encapsulation.IPIP:
            # Without an address of its own Felix does not bring tunl0 up.
            return (
                f"via {peer.address} dev {DEVICE[Encapsulation.IPIP]} proto 80"
                if Encapsulation.IPIP in node.tunnels
                else ""
            )
        case Encapsulation.VXLAN:
            far_end = peer.tunnels.get(Encapsulation.VXLAN)
            return f"via {far_end} dev {_DEVICE}" if far_end else ""


def vxlan_forwarding(topology: Topology, node: Node) -> str:
    """`bridge` lines: behind which node each peer's hardware address is."""
    return "".join(
        f"fdb replace {peer.vxlan_mac} dev {_DEVICE} dst {peer.address} self permanent\n"
        for peer in topology.peers(node)
    )
