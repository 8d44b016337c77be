"""The evidence held against the mode: the first thing in it that cannot be if the mode was on the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.evidence.look import Evidence, Side
from pytest_calico_perf.evidence.own_run import OwnRun, Sent, plain_ways
from pytest_calico_perf.evidence.traffic import Moved
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode

# Bytes that wrapping adds to a pod's packet.
_OVERHEAD: Mapping[Encapsulation | None, int] = {
    Encapsulation.IPIP: 20,  # an IPv4 header (RFC 2003)
    Encapsulation.VXLAN: 50,  # IPv4 20 + UDP 8 + VXLAN 8 + inner Ethernet 14 (RFC 7348)
}
_TCP_IP_HEADERS = 40  # bytes, without options: what a segment's packet has at least (RFC 9293)


def contradiction(
    pair: EndpointPair,
    before: Evidence,
    after: Evidence | None = None,
    *,
    moved: Moved | None = None,
    own: OwnRun | None = None,
    path_mtu: int | None = None,
    mss: int | None = None,
) -> str | None:
    """What shows that the traffic did not go as the mode says, in words; None when nothing does.

    Args:
        pair: The path.
        before: A look before the first packet.
        after: A look after the last one.
        moved: What was sent in between, at least: a tunnel that counted less did not carry all of it.
        own: What the tunnels counted around one run of its own; what they counted between the looks may be
            of another contender of the block.
        path_mtu: Largest packet that got through unfragmented, in bytes.
        mss: Of the measured connection, in bytes.
    """
    seen = [_wrong_nodes(pair, before), _wrong_pools(pair.mode, before), _wrong_devices(before)]
    if after is not None:
        seen += [_wrong_devices(after), _moved_routes(before, after)]
    seen.append(_wrong_mtu(before, path_mtu, mss))
    if after is not None and moved is not None and moved.runs:
        client, server = _grown(before.client, after.client), _grown(before.server, after.server)
        seen.append(_flat_counters(before, client, server, moved))
    if own is not None:
        seen += [
            _flat_counters(before, own.client_sent, own.server_sent, own.moved),
            _leaking_counters(before, own),
        ]
    return next(chain.from_iterable(seen), None)


def _wrong_nodes(pair: EndpointPair, look: Evidence) -> Iterator[str]:
    client, server = look.client, look.server
    if (client.node == server.node) is not pair.path.same_node:
        wanted = "one node" if pair.path.same_node else "two nodes"
        where = (
            f"both on {client.node}"
            if client.node == server.node
            else f"on {client.node} and on {server.node}"
        )
        yield f"{pair.path} is between {wanted}, but {client.name} and {server.name} are {where}"


def _wrong_pools(mode: Mode | None, look: Evidence) -> Iterator[str]:
    """A pool decides the mode of the packets to it, so an address of another one is another mode's."""
    for side in (look.client, look.server):
        if mode in (None, Mode.CURRENT) or side.kind is not EndpointKind.POD:
            continue
        if side.pool is None:
            if look.ground.all_pools:
                yield f"{side.name} has the address {side.address}, which is from no pool"
        elif side.pool.mode is not mode:
            yield (
                f"{side.name} has the address {side.address} of the pool {side.pool.name} "
                f"({side.pool.range}), whose mode is {side.pool.mode}, not {mode}"
            )


def _wrong_devices(look: Evidence) -> Iterator[str]:
    yield from _wrong_device(look, look.client, look.server, look.expected)
    yield from _wrong_device(look, look.server, look.client, look.expected_back)


def _wrong_device(look: Evidence, here: Side, there: Side, expected: Encapsulation | None) -> Iterator[str]:
    if expected is None:
        return
    route = here.route
    if expected is Encapsulation.NONE:
        right, should = route.device not in look.devices.values(), "unencapsulated"
    else:
        wanted = look.devices.get(expected, f"a device for {expected}")
        right, should = route.device == wanted, f"through {wanted}"
    if not right:
        yield (
            f"packets from {here.name} to {there.name} ({there.address}) should go {should}, but {here.node} "
            f"sends them through {route.device} ({route})"
        )


def _moved_routes(before: Evidence, after: Evidence) -> Iterator[str]:
    for node, address, old, new in (
        (before.client.node, before.server.address, before.forward, after.forward),
        (before.server.node, before.client.address, before.backward, after.backward),
    ):
        if (old.device, old.gateway, old.mtu) != (new.device, new.gateway, new.mtu):
            yield f"{node} changed its route to {address} while we measured: from {old} to {new}"


def _wrong_mtu(look: Evidence, path_mtu: int | None, mss: int | None) -> Iterator[str]:
    """Packets so large that they cannot have been wrapped, or only in fragments.

    Smaller ones than the mode takes contradict nothing: Calico gives all pods the smallest MTU of all its
    encapsulations, and people set their own.
    """
    overhead = _OVERHEAD.get(look.expected, 0)
    underlay = look.client.underlay
    if overhead and underlay is not None:
        fits = underlay.mtu - overhead
        largest = path_mtu or look.forward.mtu
        if largest > fits:
            yield (
                f"packets of {largest} bytes get through unfragmented, but {look.expected} leaves {fits} of "
                f"the {underlay.mtu} bytes that {look.client.node} can send to {look.server.node}"
            )
    largest = path_mtu or look.forward.mtu
    if mss is not None and mss + _TCP_IP_HEADERS > largest:
        yield (
            f"the measured connection sent segments of {mss} bytes, in packets of at least "
            f"{mss + _TCP_IP_HEADERS}, but the path takes {largest} (MSS and MTU)"
        )


def _flat_counters(look: Evidence, client: Sent, server: Sent, moved: Moved) -> Iterator[str]:
    """A tunnel that should have carried the packets and has not counted them.

    Of replies only those from pod to pod are sure to go through one: what a pod sends to a host may be
    masqueraded (`natOutgoing`, felix/rules/nat.go), and is then answered to its node, without encapsulation.
    """
    ways = [(look.expected, client, look.client, look.server, moved.forward)]
    if look.server.kind is EndpointKind.POD:
        ways.append((look.expected_back, server, look.server, look.client, moved.backward))
    for expected, sent_by, here, there, count in ways:
        if expected is not None and expected in look.devices:
            sent = sent_by(expected)
            if sent < count:
                yield (
                    f"{look.devices[expected]} of {here.node} sent {sent} packets while at least "
                    f"{count} were sent to {there.address}, which should go through it"
                )


def _leaking_counters(look: Evidence, own: OwnRun) -> Iterator[str]:
    """A tunnel that carried the packets of a run that should have gone unencapsulated."""
    for here, there, sent_by, count in plain_ways(look, own):
        for tunnel, device in look.devices.items():
            sent = sent_by(tunnel)
            if own.leaked(sent, count):
                yield (
                    f"{device} of {here.node} sent {sent} packets while only unencapsulated ones, at least "
                    f"{count}, were sent to {there.address}"
                )


def _grown(before: Side, after: Side) -> Sent:
    return lambda tunnel: after.tunnel_packets.get(tunnel, 0) - before.tunnel_packets.get(tunnel, 0)
