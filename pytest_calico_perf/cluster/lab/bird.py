"""BIRD's configuration per node, and for the router where it peers: stock BIRD 2, Calico's routes.

Calico's fork of BIRD 1.6 sets a route's tunnel with `krt_tunnel`; stock BIRD 2 gives the same kernel route
when the import filter sets `ifname`, `onlink` and `gw`, in this order (`ifname` resets the next hop). The
rest follows Calico's templates (node/filesystem/etc/calico/confd/templates).
"""

from __future__ import annotations

from ipaddress import IPv4Address

from pytest_calico_perf.cluster.lab.topology import DEVICE, Node, Pool, Topology
from pytest_calico_perf.model import Encapsulation

ROUTE_METRIC = 1024
"""`ipv4NormalRoutePriority` of Calico 3.32."""

NODE_AS = 64512
"""Calico's default `asNumber`."""

_ROUTER_AS = 64513


def node_config(topology: Topology, node: Node) -> str:
    """The whole configuration of a node's BIRD."""
    # BIRD knows no empty set.
    blocks = ", ".join(str(block) for block in node.blocks.values())
    export = f"  if (net ~ [ {blocks} ]) then accept;\n" if blocks else ""
    # Not for a block of one address: it would take the place of its pod's own route.
    holes = [block for block in node.blocks.values() if block.prefixlen < block.max_prefixlen]
    own = "".join(f"  route {block} blackhole;\n" for block in holes)
    # Calico's rule for who dials: the one whose address is less, compared as text (bgp_processor.go).
    mesh = "".join(
        _mesh_peer(node, peer, passive=str(peer.address) > str(node.address)) for peer in topology.peers(node)
    )
    router = _router_peer(node) if topology.router_bgp else ""
    return f"""\
router id {node.address};

filter mesh_in {{
{_tunnel_rules(topology, node)}  accept;
}}

filter to_peers {{
{export}  reject;
}}

filter to_kernel {{
  if (source = RTS_DEVICE) then reject;
{_felix_rules(topology)}  if (source = RTS_BGP) then krt_metric = {ROUTE_METRIC};
  accept;
}}

protocol device {{ scan time 2; }}

protocol direct {{
  ipv4;
  interface -"cali*", "*";
}}

protocol kernel {{
  learn;
  persist;
  scan time 1;  # Calico's 2 would cost a second of start-up: the first scan comes too early to count
  metric 0;
  ipv4 {{ import all; export filter to_kernel; }};
}}

protocol static {{
  ipv4;
{own}}}

template bgp peer {{
  local {node.address} as {NODE_AS};
  graceful restart on;
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 5;
}}

{mesh}{router}"""


def router_config(topology: Topology) -> str:
    """The whole configuration of a router that peers: it learns every node's blocks and programs them."""
    peers = "".join(
        f"""\
protocol bgp {node.name} {{
  local {node.subnet.router} as {_ROUTER_AS};
  neighbor {node.address} as {NODE_AS};
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 5;
  ipv4 {{ import all; export none; }};
}}
"""
        for node in topology.nodes
    )
    return f"""\
router id {topology.subnets[0].router};

protocol device {{ scan time 2; }}

protocol direct {{ ipv4; }}

protocol kernel {{
  scan time 2;
  metric 0;
  ipv4 {{ import none; export where source = RTS_BGP; }};
}}

{peers}"""


def _mesh_peer(node: Node, peer: Node, *, passive: bool) -> str:
    return f"""\
protocol bgp mesh_{peer.name} from peer {{
  neighbor {peer.address} as {NODE_AS};
  source address {node.address};
  multihop;
  passive {"on" if passive else "off"};
  ipv4 {{ import filter mesh_in; export filter to_peers; gateway recursive; add paths on; }};
}}
"""


def _router_peer(node: Node) -> str:
    # Nothing to import: the router has the nodes' own routes only, and a default route leads to it.
    return f"""\
protocol bgp the_router from peer {{
  neighbor {node.subnet.router} as {_ROUTER_AS};
  passive on;
  ipv4 {{ import none; export filter to_peers; }};
}}
"""


def _tunnel_rules(topology: Topology, node: Node) -> str:
    return "".join(
        _tunnel_rule(pool, node)
        for pool in topology.pools
        if pool.carried_as.tunnel is Encapsulation.IPIP and Encapsulation.IPIP in topology.bird_routes
    )


def _tunnel_rule(pool: Pool, node: Node) -> str:
    direct = ""
    if pool.carried_as.cross_subnet:
        direct = f"    if (bgp_next_hop ~ {node.subnet.range}) then accept;\n"
    return f"""\
  if (net ~ {pool.range}) then {{
{direct}    ifname = "{DEVICE[Encapsulation.IPIP]}";
    onlink = true;
    gw = bgp_next_hop;
    accept;
  }}
"""


def _felix_rules(topology: Topology) -> str:
    return "".join(
        f"  if (net ~ {pool.range}) then reject;  # Felix has these\n"
        for pool in topology.pools
        if pool.carried_as.tunnel not in topology.bird_routes
    )


def bare_gateway(node: Node, peer: Node) -> IPv4Address:
    """Next hop of an un-encapsulated route: the peer, or the router when the peer is in another subnet."""
    return peer.address if peer.subnet == node.subnet else node.subnet.router
