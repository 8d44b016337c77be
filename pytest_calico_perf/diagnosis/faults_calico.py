"""Faults of what Calico intends: pools, blocks, BGP, and the routes that come of them."""

from __future__ import annotations

from pytest_calico_perf.diagnosis.finding import Fault, Link

_NO_BGP = "vxlan and vxlan-cross-subnet (Felix writes their routes), and ipip where Felix writes its routes"

OF_CALICO = (
    # -- what Calico intends -----------------------------------------------------------------------
    Fault(
        "address-outside-pools",
        Link.POOL,
        "A pod's address is of no pool",
        "no IP pool holds the pod's address, or its pool is gone or disabled",
        "No node announces or programs a route to such an address.",
        "put the pool back, or recreate the pod so that it gets an address from a living pool",
    ),
    Fault(
        "block-of-another-node",
        Link.POOL,
        "A pod's block belongs to another node",
        "the block that holds the pod's address belongs to another node or to none, and there is no /32"
        " for the pod",
        "Packets to the pod go to the block's node, where it does not live.",
        "recreate the pod; `calicoctl ipam check` shows what else leaked",
    ),
    # -- BGP ---------------------------------------------------------------------------------------
    Fault(
        "bird-dead",
        Link.BGP,
        "BIRD does not run",
        "a node whose routes BIRD writes has no BIRD, and its peers' sessions with it are down",
        "Nobody announces that node's blocks, and it learns nobody else's.",
        "look at the log of its calico-node and restart it",
        _NO_BGP,
    ),
    Fault(
        "bgp-mesh-off",
        Link.BGP,
        "The BGP mesh is switched off",
        "nodeToNodeMeshEnabled is false, and no peer is configured that would take its place",
        "Nodes announce their blocks to nobody. calico-node is Ready all the same.",
        "set nodeToNodeMeshEnabled in the BGPConfiguration, or configure BGPPeers to route reflectors",
        _NO_BGP,
    ),
    Fault(
        "bgp-session-missing",
        Link.BGP,
        "One BGP session is missing",
        "one node has no session with the other, or it is disabled, while other sessions are up",
        "Each of the two nodes lacks the routes to the other's blocks. Other nodes are fine.",
        "see the node's BGPPeers, its address and its BIRD configuration; restart calico-node on both nodes",
        _NO_BGP,
    ),
    Fault(
        "bgp-wrong-as",
        Link.BGP,
        "The two ends of a BGP session disagree on AS numbers",
        "the session falls from OpenSent back to Idle, and BIRD says `Bad peer AS`",
        "They reach each other and refuse each other, so no routes are exchanged.",
        "make asNumber of the BGPConfiguration, of the node and of the BGPPeer agree",
        _NO_BGP,
    ),
    Fault(
        "bgp-port-blocked",
        Link.BGP,
        "TCP 179 is blocked between the nodes",
        "the nodes reach each other, both BIRDs run, and the session stays in Active or Connect",
        "BGP cannot exchange routes. A wrong password looks the same: TCP drops what it cannot verify"
        " (RFC 2385).",
        "let TCP 179 pass between all nodes, both ways; compare passwords where sessions have them",
        _NO_BGP,
    ),
    # -- routes ------------------------------------------------------------------------------------
    Fault(
        "felix-dead",
        Link.ROUTE,
        "Felix does not run",
        "a node whose routes Felix writes has no Felix, and its route to the other's block is missing",
        "Nobody programs routes, tunnels and policies on that node any more.",
        "look at the log of its calico-node and restart it",
    ),
    Fault(
        "route-writers-disagree",
        Link.ROUTE,
        "Nobody, or more than one, writes the routes to remote blocks",
        "the two fields programClusterRoutes of FelixConfiguration and BGPConfiguration do not"
        " complement each other",
        "Calico 3.31 and later let Felix or BIRD write them. Where neither does there are none; where"
        " both do they fight.",
        "make the two programClusterRoutes complement each other (clusterRoutingMode with the operator)",
        "vxlan and vxlan-cross-subnet: always Felix's",
    ),
    Fault(
        "block-blackholed",
        Link.ROUTE,
        "A blackhole shadows the block",
        "a blackhole, unreachable or prohibit route is what the node uses for the other's block",
        "The node itself throws the packets away. Such routes are often left over from a pool or a node"
        " that was removed.",
        "delete that route, and see who wrote it",
    ),
    Fault(
        "block-route-missing",
        Link.ROUTE,
        "The route to the other node's block is missing",
        "only a default route, or none, matches the pod's address, although those who write routes are well",
        "Packets go to the default gateway, which knows no pods, or nowhere.",
        "see who should write it: BIRD's filters (`birdcl show route`), Felix's log, disableBGPExport of"
        " the pool",
    ),
    Fault(
        "block-route-wrong",
        Link.ROUTE,
        "The route to the other node's block leads elsewhere",
        "the route's device is not the mode's, or its gateway is not the other node",
        "Packets leave by a way that the other node does not expect or that does not lead there.",
        "see who wrote the route and delete it; change of modes has left such routes behind (calico"
        " issue 4022)",
    ),
)
