"""Whether the nodes reach each other at all, and are who they say they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.diagnosis import kernel, payload, trace
from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.kernel import Device
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen, Question
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Scene, Side
from pytest_calico_perf.errors import CellProblem, ClusterProblem

FAULTS = ("duplicate-node-address", "next-hop-unresolved", "underlay-down")
"""What makes all that rests on it meaningless."""

_PINGS = 30
_MOST_NODES = 16  # others asked whether they have one of our addresses


def look(scene: Scene, looks: Looks, notes: Notes) -> None:
    """Check that the nodes reach each other."""
    if scene.same_node:
        return
    if duplicates(scene, looks, notes, ask=not scene.alive):
        return
    one, two = scene.client, scene.server
    if one.host is None or not two.node_address:
        notes.unseen(Link.UNDERLAY, one.node, f"no command can be run on {one.node} itself")
        return
    try:
        received, sent = scene.nodes_pinged.value or (0, 0)
        if received:
            notes.ok(Link.UNDERLAY, "", f"{two.node} answers {one.node}: {received} of {sent} pings")
            return
        if _gateway_dead(scene, notes):
            return
        proof = _arriving(scene, looks, one.host) or _tcp(scene, looks)
    except NotSeen as reason:
        notes.unseen(Link.UNDERLAY, one.node, str(reason))
        return
    if proof:
        notes.ok(Link.UNDERLAY, "", f"{two.node} does not answer pings of {one.node}, but {proof}")
        return
    notes.find(
        "underlay-down",
        "",
        f"{one.node} ({one.node_address}) does not reach {two.node} ({two.node_address})",
        f"no ping from {one.node} to {two.node_address} was answered, and TCP got no connection",
        *_neighbours(scene),
        at=At.FABRIC,
    )


def _gateway_dead(scene: Scene, notes: Notes) -> bool:
    """Whether nobody answers for the router by which one node reaches the other."""
    for side, at in ((scene.client, At.CLIENT_NODE), (scene.server, At.SERVER_NODE_BACK)):
        way = side.view.to_node.value
        route = way.route if way else None
        entry = side.view.neighbour(route.gateway, route.device) if route and route.gateway else None
        if route and entry and entry.dead:
            notes.find(
                "next-hop-unresolved",
                side.node,
                f"nobody answers for {route.gateway}, by which {side.node} reaches {scene.other(side).node}",
                f"its route to {scene.other(side).node_address}: {route}",
                f"neighbour entry of {route.gateway} dev {route.device} on {side.node}: {entry.state}",
                at=at,
            )
            return True
    return False


def _arriving(scene: Scene, looks: Looks, host: Endpoint) -> str:
    """What shows that pings arrive though they are not answered; empty for nothing."""
    two = scene.server

    def send() -> int:
        return payload.ping(looks, host, two.node_address, count=_PINGS, interval=0.01)[1]

    growth = trace.watch(scene, looks, send)
    # Not the device's counter: it counts frames for somebody else, too.
    got = growth.shared(two.node, "Ip.InReceives")
    if got is None or got < _PINGS / 2:
        return ""
    return f"of {_PINGS} pings {got} reached it"


def _tcp(scene: Scene, looks: Looks) -> str:
    """What shows that they reach each other by TCP; empty for nothing.

    An established BGP session is no proof: it lives on for its hold time, 90 seconds and more.
    """
    client, server = scene.client.host, scene.server.host
    if client is None or server is None:
        return ""
    result = payload.transfer(looks, client, server, scene.server.node_address)
    return f"TCP reaches it: {result.said}" if result.reached else ""


def _neighbours(scene: Scene) -> Iterator[str]:
    """What each node knows of its next hop towards the other."""
    for side in (scene.client, scene.server):
        other = scene.other(side)
        way = side.view.to_node.value
        if way is None:
            continue
        if way.route is None:
            yield f"{side.node} has no route to {other.node_address}: {way.refusal}"
            continue
        device = (side.view.devices.value or {}).get(way.route.device)
        if device and not device.up:
            yield f"{way.route.device} of {side.node} is not UP or has no carrier"
        hop = way.route.gateway or other.node_address
        entry = side.view.neighbour(hop, way.route.device)
        if entry is None:
            continue
        there = (other.view.devices.value or {}).get(other.uplink)
        foreign = not way.route.gateway and entry.mac and there and there.mac and entry.mac != there.mac
        owner = f", while {other.uplink} of {other.node} has {there.mac}" if foreign and there else ""
        yield f"neighbour entry of {hop} on {side.node}: {entry.mac or 'no address'} {entry.state}{owner}"


# -- who has which address -----------------------------------------------------------------------


def duplicates(scene: Scene, looks: Looks, notes: Notes, *, ask: bool = True) -> bool:
    """Note which other nodes have an address of one of the path's two, and get its packets; whether one has.

    Args:
        scene: Both sides.
        looks: Runs the commands.
        notes: Where to write.
        ask: Whether to ask the other nodes, too, which is one command on each.
    """
    macs = _others(scene, looks, notes) if ask else {}
    for side in (scene.client, scene.server):
        other = scene.other(side)
        for node in scene.nodes.value or ():
            if node.name != side.node and node.address and node.address == side.node_address:
                _duplicate(notes, side, node.name, "Calico has it for both nodes")
        way = other.view.to_node.value
        if not way or not way.route or way.route.gateway:
            continue
        entry = other.view.neighbour(side.node_address, way.route.device)
        if entry and entry.mac in macs:
            thief = macs[entry.mac]
            fact = f"neighbour entry of {side.node_address} on {other.node}: {entry.mac}, which is {thief}'s"
            _duplicate(notes, side, thief, fact)
    return notes.has("duplicate-node-address")


def _others(scene: Scene, looks: Looks, notes: Notes) -> Mapping[str, str]:
    """Hardware address -> node, of the nodes that are not the path's; notes who has a path's address."""
    ours = (scene.client, scene.server)
    names = [node.name for node in scene.nodes.value or () if node.name not in {side.node for side in ours}]
    macs: dict[str, str] = {}
    questions = [
        Question(name, partial(_devices, looks, host))
        for name in names[:_MOST_NODES]
        if (host := _host(scene, name)) is not None
    ]
    for question, answer in zip(questions, looks.all(questions), strict=True):
        devices = answer.value if isinstance(answer.value, dict) else {}
        for device in devices.values():
            if device.mac and device.kind != "vxlan":
                macs[device.mac] = question.source
            for side in ours:
                if side.node_address and side.node_address in device.addresses:
                    fact = f"`ip addr` on {question.source}: {side.node_address} dev {device.name}"
                    _duplicate(notes, side, question.source, fact)
    return {mac: name for mac, name in macs.items() if mac not in _own_macs(ours)}


def _own_macs(sides: tuple[Side, ...]) -> set[str]:
    return {device.mac for side in sides for device in (side.view.devices.value or {}).values()}


def _devices(looks: Looks, host: Endpoint) -> dict[str, Device]:
    return kernel.devices(looks.read(host, ["ip", "-j", "-d", "addr", "show"]))


def _host(scene: Scene, node: str) -> Endpoint | None:
    try:
        return scene.cluster.host(node)
    except (ClusterProblem, CellProblem):
        return None


def _duplicate(notes: Notes, side: Side, other: str, fact: str) -> None:
    notes.find(
        "duplicate-node-address",
        side.node,
        f"{side.node} and {other} have one address: {side.node_address}",
        fact,
        at=At.FABRIC,
        remedy=f"give {other} or {side.node} another address; see IP_AUTODETECTION_METHOD where Calico "
        "chose it",
    )
