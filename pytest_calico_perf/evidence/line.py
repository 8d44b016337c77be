"""The evidence of a cell in one line for people."""

from __future__ import annotations

from pytest_calico_perf.cluster.routes import Route
from pytest_calico_perf.evidence.look import Evidence, Side
from pytest_calico_perf.evidence.own_run import OwnRun, plain_ways
from pytest_calico_perf.model import Encapsulation, EndpointKind


def line(
    look: Evidence, own: OwnRun | None = None, *, path_mtu: int | None = None, mss: int | None = None
) -> str:
    """Who talked to whom, by which route, in which packets, and what the tunnels counted.

    `node1 198.18.0.2 -> node2 198.18.0.3: pod 198.19.0.66 (pool ipip 198.19.0.0/22) by tunl0 via 198.18.0.3
    proto bird, mtu 1480, mss 1428; tunl0 +18,204 packets on node1, +18,204 on node2 while it sent at least
    9,102`.

    Args:
        look: The look before measuring.
        own: What the tunnels counted around one run of its own.
        path_mtu: Largest packet that got through unfragmented, in bytes.
        mss: Of the measured connection, in bytes.
    """
    client, server = look.client, look.server
    nodes = f"{client.node} {client.node_address}"
    if server.node != client.node:
        nodes += f" -> {server.node} {server.node_address}"
    service = f"Service {server.service} -> " if server.service else ""
    mtu = f"mtu {path_mtu or look.forward.mtu}" + (f", mss {mss}" if mss else "")
    told = [f"{nodes}: {service}{_end(server)} by {_way(look.forward)}, {mtu}"]
    one_sided = server.kind is EndpointKind.HOST and client.kind is EndpointKind.POD
    if one_sided or look.backward.device != look.forward.device:
        told.append(f"back to {_end(client)} by {_way(look.backward)}")
    return "; ".join([*told, *(_counted(look, own) if own else [])])


def _end(side: Side) -> str:
    pool = f" (pool {side.pool.name} {side.pool.range})" if side.pool else ""
    kind = "pod" if side.kind is EndpointKind.POD else "host"
    return f"{kind} {side.address}{pool}"


def _way(route: Route) -> str:
    via = f" via {route.gateway}" if route.gateway else ""
    writer = f" proto {route.protocol}" if route.protocol else ""
    # `80`, or nothing at all, says nothing to most readers.
    owner = f" ({route.owner})" if route.owner and route.owner != route.protocol else ""
    return f"{route.device}{via}{writer}{owner}"


def _counted(look: Evidence, own: OwnRun) -> list[str]:
    """What the tunnels of both nodes sent while it ran once, and what that leaves open."""
    expected = {look.expected, look.expected_back}
    used = [tunnel for tunnel in look.devices if tunnel in expected]
    plain = not used and Encapsulation.NONE in expected
    # Nobody can know what `current` should use: what moved is told.
    grown = [tunnel for tunnel in look.devices if own.client_sent(tunnel) or own.server_sent(tunnel)]
    while_sent = f"while it sent at least {own.moved.forward:,}"
    if not used and not grown:
        return [f"{' and '.join(look.devices.values())} +0 packets {while_sent}"] if look.devices else []
    told = [f"{_sent(look, own, tunnel)} {while_sent}" for tunnel in used or grown]
    if plain and any(
        own.leaked(sent_by(tunnel), count) is None
        for _, _, sent_by, count in plain_ways(look, own)
        for tunnel in grown
    ):
        told.append("whether its packets are among them is unknown: others may use the tunnels, too")
    # natOutgoing: what leaves a pool for no pool takes its node's address (felix/rules/nat.go).
    if used and look.server.kind is EndpointKind.HOST and not any(map(own.server_sent, used)):
        told.append(f"so replies went to {look.client.node} itself: it masquerades what pods send to hosts")
    return told


def _sent(look: Evidence, own: OwnRun, tunnel: Encapsulation) -> str:
    text = f"{look.devices[tunnel]} +{own.client_sent(tunnel):,} packets on {look.client.node}"
    if look.server.node == look.client.node:
        return text
    return f"{text}, +{own.server_sent(tunnel):,} on {look.server.node}"
