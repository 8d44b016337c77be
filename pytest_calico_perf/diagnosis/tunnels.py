"""Tunnel devices on both nodes, and what VXLAN must know of the other end."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.kernel import KernelRoute
from pytest_calico_perf.diagnosis.notes import Notes
from pytest_calico_perf.diagnosis.scene import Leg, Scene


def look(scene: Scene, leg: Leg, notes: Notes) -> None:
    """Check the tunnel's device on both nodes, where the direction is meant to be wrapped."""
    device = scene.tunnels.get(leg.wraps, "") if leg.wraps else ""
    if not device:
        return
    for side, at in ((leg.source, leg.at), (leg.target, leg.far)):
        there = side.view.devices.value
        if there is None:
            notes.unseen(Link.TUNNEL, side.node, side.view.devices.why_not)
            continue
        if device not in there or not there[device].admin_up:
            state = "is not UP" if device in there else "does not exist"
            notes.find(
                "tunnel-device-down",
                side.node,
                f"{device} of {side.node} {state}",
                f"`ip addr` on {side.node}: {device} {state}",
                at=at,
                remedy=f"`ip link set {device} up` on {side.node}; see what took it down: NetworkManager and "
                "systemd-networkd must leave it alone",
            )
        elif not there[device].addresses:
            notes.find(
                "tunnel-address-missing",
                side.node,
                f"{device} of {side.node} has no address",
                f"Calico gave it {side.state.tunnels.get(leg.wraps, 'none')}"
                if side.state and leg.wraps
                else "",
                at=at,
            )
        else:
            notes.ok(Link.TUNNEL, side.node, f"{device} is up with {there[device].addresses[0]}")
    _parameters(leg, device, notes)


def _parameters(leg: Leg, device: str, notes: Notes) -> None:
    one, two = ((side.view.devices.value or {}).get(device) for side in (leg.source, leg.target))
    if one is None or two is None or one.kind != "vxlan" or two.kind != "vxlan":
        return
    if (one.vni, one.port) != (two.vni, two.port):
        told = [
            f"{device} of {side.node}: VNI {each.vni}, UDP port {each.port}"
            for side, each in sorted(((leg.source, one), (leg.target, two)), key=lambda pair: pair[0].node)
        ]
        broken = f"{device} of {leg.source.node} and {leg.target.node} do not fit: {told[0]}; {told[1]}"
        notes.find("vxlan-parameters-differ", "", broken, *told, at=leg.far)


def explain(scene: Scene, leg: Leg, notes: Notes) -> bool:
    """Whether the route is missing since the kernel drops, and Felix withholds, routes of a dead tunnel."""
    wraps = leg.wraps is not None and leg.wraps in scene.tunnels
    faults = ("tunnel-device-down", "tunnel-address-missing")
    return wraps and any(notes.has(*faults, where=side.node) for side in (leg.source, leg.target))


# -- VXLAN's entries -----------------------------------------------------------------------------


def entries(leg: Leg, route: KernelRoute, notes: Notes) -> None:
    """Check VXLAN's neighbour and forwarding entries for the route's gateway against the other end itself."""
    source, target = leg.source, leg.target
    mine = (source.view.devices.value or {}).get(route.device)
    if mine and mine.by_flow:
        notes.ok(Link.NEXT_HOP, source.node, f"{route.device} is told by eBPF where each packet goes")
        return
    if source.view.neighbours.value is None or source.view.forwarding.value is None:
        why = source.view.neighbours.why_not or source.view.forwarding.why_not
        notes.unseen(Link.NEXT_HOP, source.node, why)
        return
    entry = source.view.neighbour(route.gateway, route.device)
    if entry is None or not entry.mac or entry.dead:
        state = f"is {entry.state}" if entry else "does not exist"
        notes.find(
            "vxlan-entry-missing",
            source.node,
            f"{source.node} does not know the hardware address of {target.node}'s {route.device}",
            f"neighbour entry of {route.gateway} dev {route.device} on {source.node} {state}",
            at=leg.at,
        )
        return
    for wrong in _wrong_entries(leg, route, entry.mac):
        notes.find("vxlan-wrong-mac", source.node, *wrong, at=leg.at)
        return
    if entry.mac not in source.view.forwarding.value:
        notes.find(
            "vxlan-entry-missing",
            source.node,
            f"{source.node} does not know behind which node {target.node}'s {route.device} ({entry.mac}) is",
            f"no forwarding entry for {entry.mac} on {source.node} (`bridge fdb show`)",
            at=leg.at,
        )
        return
    notes.ok(Link.NEXT_HOP, source.node, f"{route.gateway} is {entry.mac} behind {target.node_address}")


def _wrong_entries(leg: Leg, route: KernelRoute, mac: str) -> Iterator[tuple[str, str]]:
    """What is wrong, and the fact that shows it."""
    source, target = leg.source, leg.target
    device = (target.view.devices.value or {}).get(route.device)
    right = device.mac if device else target.state.vxlan_mac if target.state else ""
    if right and mac != right:
        yield (
            f"{source.node} sends to a wrong hardware address for {target.node}'s {route.device}",
            f"{source.node} has {mac} for {route.gateway}; {route.device} of {target.node} has {right}",
        )
    behind = (source.view.forwarding.value or {}).get(mac)
    if behind and target.node_address and behind != target.node_address:
        yield (
            f"{source.node} sends {target.node}'s VXLAN packets to {behind} instead of {target.node_address}",
            f"forwarding entry of {mac} on {source.node}: dst {behind}",
        )
