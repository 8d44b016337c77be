"""What Felix would program: the VXLAN device, its neighbours, routes to VXLAN blocks; for `ip` and `bridge`.

Sources: felix/dataplane/linux/vxlan_mgr.go, felix/vxlanfdb/vxlan_fdb.go, felix/calc/l3_route_resolver.go.
"""

from __future__ import annotations

from pytest_calico_perf.cluster.lab.topology import DEVICE, OVERHEAD, UPLINK, Node, Topology
from pytest_calico_perf.cluster.lab.wiring import tunnel_up
from pytest_calico_perf.model import Encapsulation

VNI = 4096
PORT = 4789

_DEVICE = DEVICE[Encapsulation.VXLAN]


def vxlan_links(topology: Topology, node: Node) -> str:
    """`ip` lines: the device, permanent neighbours, own blackholes and routes to the peers' blocks.

    A route goes straight over the uplink where a CrossSubnet pool does not encapsulate.
    """
    mtu = topology.mtu - OVERHEAD[Encapsulation.VXLAN]
    kind = f"type vxlan id {VNI} dstport {PORT} local {node.address} dev {UPLINK} nolearning"
    lines = [
        f"link add {_DEVICE} address {node.vxlan_mac} mtu {mtu} {kind}",
        *tunnel_up(node, Encapsulation.VXLAN),
    ]
    pools = [pool for pool in topology.pools if pool.carried_as.tunnel is Encapsulation.VXLAN]
    lines += [f"route add blackhole {node.blocks[pool.mode]} proto 80" for pool in pools]
    for peer in topology.peers(node):
        far_end = peer.tunnels[Encapsulation.VXLAN]
        lines.append(f"neigh replace {far_end} lladdr {peer.vxlan_mac} dev {_DEVICE} nud permanent")
        for pool in pools:
            if topology.encapsulation(pool, node, peer) is Encapsulation.NONE:
                way = f"via {peer.address} dev {UPLINK} proto 80 onlink"
            else:
                way = f"via {far_end} dev {_DEVICE} onlink"
            lines.append(f"route add {peer.blocks[pool.mode]} {way}")
    return "".join(f"{line}\n" for line in lines)


def vxlan_forwarding(topology: Topology, node: Node) -> str:
    """`bridge` lines: behind which node each peer's hardware address is."""
    return "".join(
        f"fdb replace {peer.vxlan_mac} dev {_DEVICE} dst {peer.address} self permanent\n"
        for peer in topology.peers(node)
    )
