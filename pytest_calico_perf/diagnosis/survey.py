"""Looks around: asks both nodes, both pods and Calico side by side, and fills in a Scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_calico_perf.cluster.base import Cluster, Endpoint, EndpointPair
from pytest_calico_perf.cluster.inspection import Inspector, Look, NodeState
from pytest_calico_perf.diagnosis import kernel, payload
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen, Question
from pytest_calico_perf.diagnosis.scene import NodeView, Scene, Side, View, Way
from pytest_calico_perf.errors import CellProblem, ClusterProblem
from pytest_calico_perf.model import Encapsulation, EndpointKind, Path

_OPPOSITE = {Path.HOST_TO_POD: Path.POD_TO_HOST, Path.POD_TO_HOST: Path.HOST_TO_POD}
_LATER: Look[Any] = Look(None, "", "nobody was asked")
_IP = ("ip", "-4", "-j")
_DEVICES = ("ip", "-j", "-d", "addr", "show")
_NEIGHBOURS = (*_IP, "neigh", "show", "nud", "all")
_SYSCTLS = ("rp_filter", "forwarding", "proxy_arp")
_TUNNELS = ("tunl0", "vxlan.calico")


def look_around(cluster: Cluster, pair: EndpointPair, looks: Looks) -> Scene:
    """Look from both ends.

    First at what does not depend on traffic, while pings run. When none is answered, then at what kernels
    know of their neighbours, which they know from packets, and at what keeps packets from being forwarded.
    """
    inspector = cluster.inspector()
    client, server = pair.client, pair.server
    hosts = {node: _host(cluster, node) for node in (client.node, server.node)}
    opposite = EndpointPair(_OPPOSITE.get(pair.path, pair.path), pair.mode, server, client)
    questions = _of_calico(inspector) | {
        "pinged": partial(_pinged, looks, client, server.own_address),
        "nodes pinged": partial(_pinged, looks, hosts[client.node], _address(hosts[server.node])),
    }
    for mine, others in ((client, server), (server, client)):
        questions |= _of_node(inspector, looks, hosts[mine.node], mine)
        questions |= _of_ways(looks, hosts[mine.node], mine, others, _address(hosts[others.node]))
        questions |= _of_pod(looks, mine)
    get = _asked(looks, questions)
    one, two = (_side(get, mine, hosts[mine.node]) for mine in (client, server))
    scene = Scene(
        cluster=cluster,
        pair=pair,
        client=one,
        server=two,
        forward=_expected(cluster, pair),
        backward=_of_answers(pair, _expected(cluster, pair), _expected(cluster, opposite)),
        tunnels=dict(cluster.tunnel_devices()),
        nodes=get["nodes"],
        pools=get["pools"],
        blocks=get["blocks"],
        mesh=get["mesh"],
        pinged=get["pinged"],
        nodes_pinged=get["nodes pinged"],
        writers={each: get[f"writer {each}"] for each in Encapsulation},
    )
    if scene.alive:
        return scene
    asking = replace(scene, client=replace(one, asks_from=_asks_from(scene)))
    one, two = _closer(looks, asking)
    return replace(asking, client=one, server=two)


def _asked(looks: Looks, questions: Mapping[str, Callable[[], object]]) -> Mapping[str, Look[Any]]:
    """The answers by name; whoever reads one knows its type."""
    answers = looks.all([Question(name, ask) for name, ask in questions.items()])
    return dict(zip(questions, answers, strict=True))


def _host(cluster: Cluster, node: str) -> Endpoint | None:
    try:
        return cluster.host(node)
    except (ClusterProblem, CellProblem):
        return None


def _address(host: Endpoint | None) -> str:
    return host.own_address if host else ""


def _expected(cluster: Cluster, pair: EndpointPair) -> Encapsulation | None:
    try:
        return cluster.expected_encapsulation(pair)
    except (ClusterProblem, CellProblem):
        return None


def _of_answers(
    pair: EndpointPair, forward: Encapsulation | None, backward: Encapsulation | None
) -> Encapsulation | None:
    """What wraps the answers: a host asks through a tunnel by the tunnel's address, which is of its block."""
    from_tunnel = pair.client.kind is EndpointKind.HOST and forward not in (None, Encapsulation.NONE)
    return forward if from_tunnel else backward


def _pinged(looks: Looks, source: Endpoint | None, address: str) -> tuple[int, int]:
    if source is None or not address:
        raise NotSeen("no command can be run on the node itself")
    return payload.ping(looks, source, address, count=3, interval=0.02)


# -- what is asked -------------------------------------------------------------------------------


def _of_calico(inspector: Inspector) -> dict[str, Callable[[], object]]:
    questions: dict[str, Callable[[], object]] = {
        "nodes": inspector.nodes,
        "pools": inspector.pools,
        "blocks": inspector.blocks,
        "mesh": inspector.mesh,
    }
    for each in Encapsulation:
        questions[f"writer {each}"] = partial(inspector.route_writer, each)
    return questions


def _of_node(
    inspector: Inspector, looks: Looks, host: Endpoint | None, mine: Endpoint
) -> dict[str, Callable[[], object]]:
    def tell(*argv: str) -> str:
        return _read(looks, host, argv)

    return {
        f"{mine.name} devices": lambda: kernel.devices(tell(*_DEVICES)),
        f"{mine.name} routes": lambda: kernel.routes(tell(*_IP, "route", "show", "table", "all")),
        f"{mine.name} sessions": partial(inspector.sessions, mine.node),
        f"{mine.name} daemons": partial(inspector.daemons, mine.node),
    }


def _of_ways(
    looks: Looks, host: Endpoint | None, mine: Endpoint, others: Endpoint, far: str
) -> dict[str, Callable[[], object]]:
    return {
        f"{mine.name} to end": partial(_way, looks, host, others.own_address),
        f"{mine.name} to node": partial(_way, looks, host, far),
    }


def _of_pod(looks: Looks, mine: Endpoint) -> dict[str, Callable[[], object]]:
    if mine.kind is not EndpointKind.POD:
        return {}

    def tell(*argv: str) -> str:
        return looks.read(mine, argv)

    return {
        f"{mine.name} own devices": lambda: kernel.devices(tell(*_DEVICES)),
        f"{mine.name} own routes": lambda: kernel.routes(tell(*_IP, "route", "show", "table", "all")),
    }


def _read(looks: Looks, host: Endpoint | None, argv: tuple[str, ...]) -> str:
    if host is None:
        raise NotSeen("no command can be run on the node itself")
    return looks.read(host, argv)


def _way(looks: Looks, host: Endpoint | None, address: str) -> Way:
    """As `ip route get fibmatch` tells it.

    Raises:
        NotSeen: It tells nothing.
    """
    if host is None or not address:
        raise NotSeen("no command can be run on the node itself")
    answer = looks.run(host, ["ip", "-j", "route", "get", "fibmatch", address])
    if answer.exit_code == 2 and "RTNETLINK answers" in answer.stderr:
        return Way(None, answer.last_words)
    if answer.exit_code != 0:
        raise NotSeen(f"ip at {host.name} says: {answer.last_words}")
    found = kernel.routes(answer.stdout)
    if not found:
        raise NotSeen(f"ip at {host.name} names no route to {address}")
    return Way(None, f"{found[0]}") if found[0].refuses else Way(found[0])


# -- what comes of it ----------------------------------------------------------------------------


def _side(get: Mapping[str, Look[Any]], mine: Endpoint, host: Endpoint | None) -> Side:
    nodes: tuple[NodeState, ...] = get["nodes"].value or ()
    state = next((node for node in nodes if node.name == mine.node), None)
    view = NodeView(
        devices=get[f"{mine.name} devices"],
        routes=get[f"{mine.name} routes"],
        neighbours=_LATER,
        forwarding=_LATER,
        to_end=get[f"{mine.name} to end"],
        to_node=get[f"{mine.name} to node"],
        sessions=get[f"{mine.name} sessions"],
        daemons=get[f"{mine.name} daemons"],
        sysctls=_LATER,
    )
    pod = None
    if mine.kind is EndpointKind.POD:
        pod = View(get[f"{mine.name} own devices"], get[f"{mine.name} own routes"], _LATER)
    address = _address(host) or (state.address if state else "")
    return Side(mine, host, mine.node, address, state, view, pod, _veth(view, pod, mine.own_address))


def _veth(view: NodeView, pod: View | None, address: str) -> str:
    """The pod's device on its node: the other end of its eth0, else where the node routes its address."""
    if pod is None:
        return ""
    eth0 = next(
        (d for d in (pod.devices.value or {}).values() if address in d.addresses or d.name == "eth0"), None
    )
    there = view.devices.value or {}
    if eth0 and eth0.peer_index is not None:
        for device in there.values():
            if device.index == eth0.peer_index:
                return device.name
    for route in view.routes.value or ():
        if route.destination.prefixlen == 32 and str(route.destination.network_address) == address:
            return route.device
    return ""


def _asks_from(scene: Scene) -> str:
    """The address of the tunnel's end by which a host asks; empty where it asks from its own.

    Of the device's addresses the kernel takes the first for packets that are to leave by it.
    """
    client, wraps = scene.client, scene.forward
    if client.pod is not None or wraps is None or wraps not in scene.tunnels:
        return ""
    return client.tunnel_address(wraps, scene.tunnels[wraps])


def _closer(looks: Looks, scene: Scene) -> list[Side]:
    """The sides with what only a dead path makes one ask."""
    sides = (scene.client, scene.server)
    questions: dict[str, Callable[[], object]] = {}
    for side in sides:
        questions |= {
            f"{side.name} neighbours": partial(_neighbours, looks, side.host, scene.other(side).node_address),
            f"{side.name} forwarding": partial(_forwarding, looks, side),
            f"{side.name} sysctls": partial(_sysctls, looks, side),
        }
        if far_end := scene.other(side).asks_from:
            questions[f"{side.name} to end"] = partial(_way, looks, side.host, far_end)
        if side.pod:
            questions[f"{side.name} own neighbours"] = partial(
                _neighbours, looks, side.endpoint, side.node_address
            )
    get = _asked(looks, questions)
    return [
        replace(
            side,
            view=replace(
                side.view,
                neighbours=get[f"{side.name} neighbours"],
                forwarding=get[f"{side.name} forwarding"],
                sysctls=get[f"{side.name} sysctls"],
                to_end=get.get(f"{side.name} to end", side.view.to_end),
            ),
            pod=side.pod and replace(side.pod, neighbours=get[f"{side.name} own neighbours"]),
        )
        for side in sides
    ]


def _forwarding(looks: Looks, side: Side) -> dict[str, str]:
    return kernel.forwarding(_read(looks, side.host, ("bridge", "-j", "fdb", "show")))


def _neighbours(looks: Looks, endpoint: Endpoint | None, far: str) -> tuple[kernel.Neighbour, ...]:
    """Neighbour entries; where one says that nobody answered, a packet makes the kernel ask again first."""
    found = kernel.neighbours(_read(looks, endpoint, _NEIGHBOURS))
    dead = [entry for entry in found if entry.dead]
    if endpoint is None or not far or not dead:
        return found
    payload.ping(looks, endpoint, far, count=1, interval=1)
    again = kernel.neighbours(_read(looks, endpoint, _NEIGHBOURS))
    # With many entries, the kernel forgets those that failed every 15 seconds (neigh_periodic_work).
    known = {(entry.address, entry.device) for entry in again}
    return (*again, *(entry for entry in dead if (entry.address, entry.device) not in known))


def _sysctls(looks: Looks, side: Side) -> dict[str, str]:
    if side.host is None:
        raise NotSeen("no command can be run on the node itself")
    there = {"all", *(side.view.devices.value or {})}
    names = [name for name in ("all", side.uplink, side.veth, *_TUNNELS) if name in there]
    files = [f"/proc/sys/net/ipv4/conf/{name}/{key}" for name in names for key in _SYSCTLS]
    # Prints each file's name; a missing one makes it fail without silencing the others.
    argv = ["grep", "-H", "", "/proc/sys/net/ipv4/ip_forward", *files]
    return kernel.sysctls(looks.run(side.host, argv).stdout)
