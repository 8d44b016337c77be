"""What proves that a cell's packets went as its mode says: routes both ways and tunnel counters.

The MSS in use is the remaining proof; it comes from the tcp probe, which sees the connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.cluster.base import Cluster, Endpoint, EndpointPair
from pytest_calico_perf.cluster.routes import Route, route_to
from pytest_calico_perf.model import Encapsulation, Path

_OPPOSITE = {Path.HOST_TO_POD: Path.POD_TO_HOST, Path.POD_TO_HOST: Path.HOST_TO_POD}


@dataclass(frozen=True)
class Evidence:
    """A look at a path at one moment.

    Attributes:
        client: Name, node and address of the client.
        server: The same of the server.
        expected: What must be on the wire from client to server; None when nobody can know.
        forward: Route on the client's node to the server.
        backward: Route on the server's node to the client.
        tunnel_packets: Packets each tunnel of the client's node has sent since it came up.
    """

    client: Mapping[str, str]
    server: Mapping[str, str]
    expected: Encapsulation | None
    forward: Route
    backward: Route
    tunnel_packets: Mapping[Encapsulation, int]

    def to_json(self, after: Evidence | None = None) -> dict[str, Any]:
        """JSON-able; with `after`, a later look at the same path, counters show both moments."""
        return {
            "client": dict(self.client),
            "server": dict(self.server),
            "expected_encapsulation": None if self.expected is None else str(self.expected),
            "forward": self.forward.to_json(),
            "backward": self.backward.to_json(),
            "tunnel_packets": {
                str(tunnel): {
                    "before": sent,
                    "after": None if after is None else after.tunnel_packets.get(tunnel),
                }
                for tunnel, sent in self.tunnel_packets.items()
            },
        }


def collect(cluster: Cluster, pair: EndpointPair) -> Evidence:
    """Look at a path now. Costs four short commands and one reading of counters.

    Raises:
        Unreachable: A node has no route to the other end.
        ToolProblem: A node lacks `ip`.
        ClusterProblem: A node cannot be talked to.
    """
    return Evidence(
        client=_identity(pair.client),
        server=_identity(pair.server),
        expected=cluster.expected_encapsulation(pair),
        forward=route_to(cluster.host(pair.client.node), pair.server.own_address),
        backward=route_to(cluster.host(pair.server.node), pair.client.own_address),
        tunnel_packets=dict(cluster.tunnel_packets(pair.client.node)),
    )


def contradiction(
    cluster: Cluster,
    pair: EndpointPair,
    before: Evidence,
    after: Evidence | None = None,
    *,
    packets_expected: int = 0,
    in_use: Collection[Encapsulation] = (),
) -> str | None:
    """What shows that the traffic did not go as the mode says, in words; None when nothing does.

    Args:
        cluster: Says what to expect.
        pair: The path.
        before: A look before the first packet.
        after: A look after the last one; without it only routes are judged.
        packets_expected: The client sent at least so many packets to the server in between.
        in_use: Tunnels of the client's node that may have carried something else in between (for another
            contender of the block; on a cluster with other traffic, all): that these moved says nothing.
    """
    looks = [before] if after is None else [before, after]
    opposite = reverse(pair)
    wrong = [
        text
        for look in looks
        for text in (
            _wrong_device(cluster, look.forward, look.expected, pair),
            _wrong_device(cluster, look.backward, cluster.expected_encapsulation(opposite), opposite),
        )
        if text
    ]
    if wrong:
        return wrong[0]
    if after is None:
        return None
    return _moved_route(before, after) or _wrong_counter(cluster, before, after, packets_expected, in_use)


def reverse(pair: EndpointPair) -> EndpointPair:
    """The same path seen from its server: what replies travel."""
    return EndpointPair(_OPPOSITE.get(pair.path, pair.path), pair.mode, pair.server, pair.client)


def _identity(endpoint: Endpoint) -> dict[str, str]:
    identity = {"name": endpoint.name, "node": endpoint.node, "address": endpoint.own_address}
    behind_service = endpoint.address != endpoint.own_address
    return {**identity, "service": endpoint.address} if behind_service else identity


def _wrong_device(
    cluster: Cluster, route: Route, expected: Encapsulation | None, pair: EndpointPair
) -> str | None:
    if expected is None:
        return None
    devices = cluster.tunnel_devices()
    if expected is Encapsulation.NONE:
        right, should = route.device not in devices.values(), "unencapsulated"
    else:
        wanted = devices.get(expected, f"a device for {expected}")
        right, should = route.device == wanted, f"through {wanted}"
    if right:
        return None
    return (
        f"packets from {pair.client.name} to {pair.server.name} ({pair.server.own_address}) should go "
        f"{should}, but {pair.client.node} sends them through {route.device} ({route})"
    )


def _moved_route(before: Evidence, after: Evidence) -> str | None:
    for node, address, old, new in (
        (before.client["node"], before.server["address"], before.forward, after.forward),
        (before.server["node"], before.client["address"], before.backward, after.backward),
    ):
        if (old.device, old.gateway) != (new.device, new.gateway):
            return f"{node} changed its route to {address} while we measured: from {old} to {new}"
    return None


def _wrong_counter(
    cluster: Cluster,
    before: Evidence,
    after: Evidence,
    packets_expected: int,
    in_use: Collection[Encapsulation],
) -> str | None:
    expected = before.expected
    if expected is None or packets_expected == 0:
        return None
    devices = cluster.tunnel_devices()
    node, address = before.client["node"], before.server["address"]
    sent = {
        tunnel: after.tunnel_packets.get(tunnel, 0) - count for tunnel, count in before.tunnel_packets.items()
    }
    if expected in devices and sent.get(expected, 0) < packets_expected:
        return (
            f"{devices[expected]} of {node} sent {sent.get(expected, 0)} packets while at least "
            f"{packets_expected} were sent to {address}, which should go through it"
        )
    # Only without encapsulation: a packet that is to go through one tunnel and is counted there went there.
    if expected is Encapsulation.NONE:
        for tunnel, count in sent.items():
            if tunnel not in in_use and count >= packets_expected:
                return (
                    f"{devices.get(tunnel, tunnel)} of {node} sent {count} packets while only unencapsulated "
                    f"ones were sent to {address}"
                )
    return None
