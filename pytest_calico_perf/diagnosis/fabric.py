"""Names what the network between the nodes does to packets that leave one and never reach the other."""

from __future__ import annotations

import re

from pytest_calico_perf.diagnosis import payload, trace
from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Scene, Side
from pytest_calico_perf.diagnosis.trace import Trace, Zone
from pytest_calico_perf.model import Encapsulation

_DROPPED = {Encapsulation.IPIP: "ipip-dropped", Encapsulation.VXLAN: "vxlan-dropped"}
_WHAT = {Encapsulation.IPIP: "IP protocol 4 (IPIP)", Encapsulation.VXLAN: "UDP 4789 (VXLAN)"}
_PINGS = 50
_INTERVAL = 0.01


def name(scene: Scene, looks: Looks, notes: Notes, traced: Trace, at: At) -> None:
    """Note what drops them: `at` says whether the questions or the answers."""
    source = scene.client if at is At.FABRIC else scene.server
    target = scene.other(source)
    wraps = scene.forward if at is At.FABRIC else scene.backward
    if wraps in _DROPPED:
        both = at is At.FABRIC and _lost(scene, looks, target) is not False
        direction = "between" if both else "from"
        to = "and" if both else "to"
        _wrapped_dropped(scene, notes, wraps, f"{direction} {source.node} {to} {target.node}", traced, at)
    elif source.pod is None and target.pod is None:
        broken = f"packets from {source.node} to {target.node} are lost on the way"
        notes.find("fabric-drops-unknown", "", broken, *traced.facts, at=at)
    elif scene.routed and not scene.router_peers:
        _router(scene, looks, notes, traced, at)
    else:
        _unwrapped_dropped(scene, looks, notes, traced, at)


def unwrapped_by_nobody(scene: Scene, notes: Notes, traced: Trace, side: Side, at: At) -> None:
    """Wrapped packets reach a node and do not come out of its tunnel."""
    wraps = scene.forward if at <= At.SERVER else scene.backward
    if wraps in _DROPPED:
        _wrapped_dropped(scene, notes, wraps, f"on {side.node} itself", traced, at)


def _wrapped_dropped(  # noqa: PLR0917  # what, where, by what it shows
    scene: Scene, notes: Notes, wraps: Encapsulation | None, where: str, traced: Trace, at: At
) -> None:
    assert wraps is not None
    nodes = f"{scene.client.node} and {scene.server.node}"
    notes.find(
        _DROPPED[wraps],
        "",
        f"{_WHAT[wraps]} is dropped {where}",
        *traced.facts,
        f"{nodes} reach each other otherwise",
        at=at,
    )


def _router(scene: Scene, looks: Looks, notes: Notes, traced: Trace, at: At) -> None:
    way = (scene.client if at is At.FABRIC else scene.server).view.to_node.value
    gateway = way.route.gateway if way and way.route else ""
    notes.find(
        "router-without-pod-routes",
        "",
        f"the router {gateway or 'between them'} knows no pods: packets between {scene.client.node} and "
        f"{scene.server.node} must pass it with pod addresses, since this mode wraps nothing",
        *traced.facts,
        *_unreachables(scene, looks),
        f"{scene.client.node} ({scene.client.node_address}) and {scene.server.node} "
        f"({scene.server.node_address}) reach each other through it",
        at=at,
        remedy="let that router learn pod routes (BGP peering with the nodes), or use a mode that wraps "
        "across subnets: ipip, vxlan, ipip-cross-subnet, vxlan-cross-subnet",
    )


def _unreachables(scene: Scene, looks: Looks) -> list[str]:
    """What routers say to the client's packets."""
    argv = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", scene.server.address]
    try:
        said = looks.run(scene.client.endpoint, argv).stdout
    except NotSeen:
        return []
    found = re.findall(r"^From (\S+) icmp_seq=\d+ (.*)$", said, re.MULTILINE)
    return [f"{who} says: {what}" for who, what in dict.fromkeys(found)]


def _unwrapped_dropped(scene: Scene, looks: Looks, notes: Notes, traced: Trace, at: At) -> None:
    source = scene.client if at is At.FABRIC else scene.server
    target = scene.other(source)
    # When the questions arrive and the answers do not, one direction is known to work.
    lost = False if at is At.FABRIC_BACK else _lost(scene, looks, target)
    otherwise = f"{source.node} and {target.node} reach each other by their own addresses"
    if lost is not False:
        ways = "both ways" if lost else f"those from {source.node} at least"
        notes.find(
            "pod-addresses-dropped",
            "",
            f"the network between {source.node} and {target.node} drops packets with pod addresses, {ways}",
            *traced.facts,
            otherwise,
            at=at,
        )
        if lost is None:
            notes.unseen(Link.FABRIC, target.node, "whether what it sends with pod addresses gets through")
        return
    notes.find(
        "pod-addresses-dropped-one-way",
        "",
        f"the network drops packets with pod addresses from {source.node} to {target.node}, but not those "
        f"from {target.node} to {source.node}",
        *traced.facts,
        f"what {target.node} sends with pod addresses reaches {source.node}",
        otherwise,
        at=at,
        remedy=f"compare the ports of {source.node} and {target.node} in the cloud or switch, first that of "
        f"{source.node}: source/destination check, port security, allowed address pairs",
    )


def _lost(scene: Scene, looks: Looks, source: Side) -> bool | None:
    """Whether packets from this side vanish between the nodes, too; None when that cannot be seen."""
    target = scene.other(source)

    def send() -> int:
        return payload.ping(looks, source.endpoint, target.address, count=_PINGS, interval=_INTERVAL)[1]

    try:
        traced = trace.follow(scene, looks, source, send, icmp=True, kind=f"echo requests of {source.name}")
    except NotSeen:
        return None
    vanished = traced.vanished
    if vanished is None:
        return False
    if vanished[1].zone <= Zone.SOURCE_NODE:
        return None
    return vanished[0].zone <= Zone.SOURCE_NODE
