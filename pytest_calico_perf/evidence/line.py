"""The evidence of a cell in one line for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_calico_perf.cluster.routes import Route
from pytest_calico_perf.model import Encapsulation, EndpointKind

if TYPE_CHECKING:  # look.py shows itself by this module
    from pytest_calico_perf.evidence.look import Evidence, Side


def line(
    before: Evidence, after: Evidence | None = None, *, path_mtu: int | None = None, mss: int | None = None
) -> str:
    """Who talked to whom, by which route, in which packets, and what the tunnels counted.

    `node1 198.18.0.2 -> node2 198.18.0.3: pod 198.19.0.66 (pool ipip 198.19.0.0/22) by tunl0 via 198.18.0.3
    proto bird, mtu 1480, mss 1428; tunl0 +18,204 packets (client), +18,204 (server)`.

    Args:
        before: The look before measuring.
        after: The look after it.
        path_mtu: Largest packet that got through unfragmented, in bytes.
        mss: Of the measured connection, in bytes.
    """
    client, server = before.client, before.server
    nodes = f"{client.node} {client.node_address}"
    if server.node != client.node:
        nodes += f" -> {server.node} {server.node_address}"
    service = f"Service {server.service} -> " if server.service else ""
    mtu = f"mtu {path_mtu or before.forward.mtu}" + (f", mss {mss}" if mss else "")
    told = [f"{nodes}: {service}{_end(server)} by {_way(before.forward)}, {mtu}"]
    one_sided = server.kind is EndpointKind.HOST and client.kind is EndpointKind.POD
    if one_sided or before.backward.device != before.forward.device:
        told.append(f"back to {_end(client)} by {_way(before.backward)}")
    return "; ".join([*told, *_counted(before, after)])


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


def _counted(before: Evidence, after: Evidence | None) -> list[str]:
    """What the tunnels of both nodes sent meanwhile, where that proves something."""
    if after is None:
        return []
    grown = {
        tunnel: (_grown(before.client, after.client, tunnel), _grown(before.server, after.server, tunnel))
        for tunnel in before.devices
    }
    used = {tunnel for tunnel in grown if tunnel in (before.expected, before.expected_back)}
    if not used:
        # Where others of the block went through tunnels, that these moved says nothing about this cell.
        flat = grown and not any(count for both in grown.values() for count in both)
        return [f"{' and '.join(before.devices.values())} sent nothing on either node"] if flat else []
    told = [
        f"{before.devices[tunnel]} +{here:,} packets (client), +{there:,} (server)"
        for tunnel, (here, there) in grown.items()
        if tunnel in used
    ]
    # natOutgoing: what leaves a pool for no pool takes its node's address (felix/rules/nat.go).
    if before.server.kind is EndpointKind.HOST and not any(grown[tunnel][1] for tunnel in used):
        told.append(f"so replies went to {before.client.node} itself: it masquerades what pods send to hosts")
    return told


def _grown(before: Side, after: Side, tunnel: Encapsulation) -> int:
    return after.tunnel_packets.get(tunnel, 0) - before.tunnel_packets.get(tunnel, 0)
