"""The pods of a path: link, address, way out, and their nodes' way in."""

from __future__ import annotations

from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.kernel import Device, matching
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Scene, Side, View


def look(scene: Scene, notes: Notes) -> None:
    """Check each end that is a pod."""
    _look_at(scene, scene.client, notes, inward=At.CLIENT_NODE_BACK, inside=At.CLIENT)
    _look_at(scene, scene.server, notes, inward=At.SERVER_NODE, inside=At.SERVER)


def _look_at(scene: Scene, side: Side, notes: Notes, *, inward: At, inside: At) -> None:
    if side.pod is None:
        return
    if scene.alive:
        notes.ok(Link.POD, side.name, "its pings are answered, or it answers them")
        return
    other = scene.other(side).address
    if _link_down(side, side.pod, notes, min(inward, inside)):
        return
    if side.pod.devices.value is None:
        notes.unseen(Link.POD, side.name, side.pod.devices.why_not)
    elif not any(side.address in device.addresses for device in side.pod.devices.value.values()):
        notes.find(
            "pod-without-address",
            side.name,
            f"{side.name} does not have its address {side.address}",
            f"its devices have: {_addresses(side.pod.devices.value)}",
            at=inside,
        )
        return
    _way_out(side, side.pod, other, notes, inside)
    _way_in(side, notes, inward)


def _link_down(side: Side, pod: View, notes: Notes, at: At) -> bool:
    """Whether one of the two ends of the pod's veth is down or gone."""
    inner = pod.devices.value
    eth0 = _eth0(inner, side.address) if inner is not None else None
    if inner is not None and (eth0 is None or not eth0.up):
        state = "is not UP" if eth0 else "does not exist"
        outer = (side.view.devices.value or {}).get(side.veth)
        if not (eth0 and outer and not outer.up and _is_set_up(eth0)):
            broken = f"eth0 of {side.name} {state}"
            notes.find("pod-link-down", side.name, broken, f"`ip addr` in {side.name}: eth0 {state}", at=at)
            return True
    outer = (side.view.devices.value or {}).get(side.veth)
    if outer and not outer.up:
        notes.find(
            "pod-link-down",
            side.name,
            f"{side.veth} on {side.node}, the node's end of {side.name}'s link, is not UP",
            f"`ip addr` on {side.node}: {side.veth} is not UP",
            at=at,
        )
        return True
    return False


def _is_set_up(device: Device) -> bool:
    """Whether it was set up and only lacks a carrier: its other end is to blame."""
    return device.admin_up


def _eth0(devices: dict[str, Device], address: str) -> Device | None:
    with_address = (device for device in devices.values() if address in device.addresses)
    return next(with_address, None) or devices.get("eth0")


def _addresses(devices: dict[str, Device]) -> str:
    return ", ".join(f"{d.name} {' '.join(d.addresses)}" for d in devices.values() if d.addresses) or "none"


def _way_out(side: Side, pod: View, other: str, notes: Notes, inside: At) -> None:
    if pod.routes.value is None:
        notes.unseen(Link.POD, side.name, pod.routes.why_not)
        return
    found = matching(pod.routes.value, other)
    if not found or found[0].refuses:
        has = (
            f"only {', '.join(str(route) for route in pod.routes.value)}"
            if pod.routes.value
            else "none at all"
        )
        notes.find(
            "pod-without-route",
            side.name,
            f"{side.name} has no route to {other}",
            f"of routes it has {found[0] if found else has}",
            at=inside,
            remedy=f"delete {side.name} so that the CNI plugin wires it anew, or put its route back: "
            "`ip route add default via 169.254.1.1 dev eth0`",
        )
        return
    route = found[0]
    entry = pod.neighbour(route.gateway, route.device) if route.gateway else None
    if entry and entry.dead and side.view.sysctls.value and not _forwards(side):
        return  # a node that does not forward answers for nobody: that is the fault
    if entry and entry.dead:
        notes.find(
            "pod-gateway-silent",
            side.name,
            f"{side.node} does not answer {side.name} for its gateway {route.gateway}",
            f"neighbour entry of {route.gateway} in {side.name}: {entry.state}",
            *_proxy_arp(side),
            at=inside,
        )
        return
    if route.gateway and pod.neighbours.value is None:
        notes.unseen(Link.POD, side.name, f"who answers for {route.gateway}: {pod.neighbours.why_not}")
        return
    notes.ok(Link.POD, side.name, f"eth0 is up, has {side.address}, and {route} leads to {other}")


def _forwards(side: Side) -> bool:
    sysctls = side.view.sysctls.value or {}
    return sysctls.get("net/ipv4/ip_forward") != "0"


def _proxy_arp(side: Side) -> list[str]:
    value = (side.view.sysctls.value or {}).get(f"net/ipv4/conf/{side.veth}/proxy_arp")
    return [f"proxy_arp of {side.veth} on {side.node} is {value}"] if value is not None else []


def _way_in(side: Side, notes: Notes, inward: At) -> None:
    if side.view.routes.value is None:
        notes.unseen(Link.POD, side.node, side.view.routes.why_not)
        return
    found = matching(side.view.routes.value, side.address)
    best = found[0] if found else None
    if best and not best.refuses and best.destination.prefixlen == 32 and side.veth in ("", best.device):
        notes.ok(Link.POD, side.node, f"knows its pod: {best}")
        return
    notes.find(
        "pod-route-missing-on-node",
        side.node,
        f"{side.node} has no route to its own {side.name} ({side.address})",
        f"what matches there is {best}" if best else "nothing matches there",
        at=inward,
        remedy=f"see whether Felix runs on {side.node} and knows {side.name}; restart its calico-node, or "
        "delete the pod",
    )
