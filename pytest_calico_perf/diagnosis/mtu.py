"""Which sizes of packets get through: RFC 1191's discovery by hand, and RFC 2923's black holes."""

from __future__ import annotations

import re
from functools import partial

from pytest_calico_perf.diagnosis import payload
from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.kernel import matching
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen, Question
from pytest_calico_perf.diagnosis.notes import Notes
from pytest_calico_perf.diagnosis.scene import Scene, Side

_TOLD = re.compile(r"mtu\s*[=:]\s*(\d{1,9})\b", re.ASCII)  # local and remote wording, see reachability
_ANSWERED = re.compile(r"\b([1-9]\d{0,8}) (?:packets )?received", re.ASCII)
_HEADERS = 28
_STEPS = 8
_AT_ONCE = 8
_LARGEST = 65535


def look(scene: Scene, looks: Looks, notes: Notes) -> None:
    """Check that packets as large as the client's device takes get through, or are told to be too large."""
    size = _size(scene.client)
    if size is None:
        notes.unseen(Link.MTU, scene.client.name, "the MTU of its device cannot be read")
        return
    try:
        passed, size = _descend(scene, looks, size)
        if passed:
            notes.ok(Link.MTU, "", f"packets of {size} bytes get through unfragmented")
            return
        largest = _largest(scene, looks, size)
    except NotSeen as reason:
        notes.unseen(Link.MTU, scene.client.name, str(reason))
        return
    notes.find(
        "mtu-black-hole",
        "",
        f"packets of {size} bytes from {scene.client.name} to {scene.server.name} vanish without a word",
        f"the largest that got through unfragmented has about {largest} bytes",
        f"{scene.client.name} takes {size} bytes for the path's MTU, and nobody tells it otherwise",
        *_mtus(scene),
    )


def _size(client: Side) -> int | None:
    """MTU of the device by which the client sends."""
    view = client.pod or client.view
    target = view.devices.value
    if target is None:
        return None
    if client.pod is None:
        way = client.view.to_end.value
        name = way.route.device if way and way.route else ""
    else:
        found = [route for route in matching(client.pod.routes.value or (), "169.254.1.1") if route.device]
        name = found[0].device if found else "eth0"
    return min(target[name].mtu, _LARGEST) if name in target else None


def _descend(scene: Scene, looks: Looks, size: int) -> tuple[bool, int]:
    """Send full-size packets; smaller ones as often as somebody says how small they must be."""
    for _ in range(_STEPS):
        argv = ["ping", "-n", "-c", "3", "-i", "0.02", "-W", "1", "-M", "do", "-s", str(size - _HEADERS)]
        answer = looks.run(scene.client.endpoint, [*argv, scene.server.address])
        if _ANSWERED.search(answer.stdout):
            return True, size
        told = _TOLD.search(answer.stdout + answer.stderr)
        if not told or not _HEADERS < int(told[1]) < size:
            break
        size = int(told[1])
    return False, size


def _largest(scene: Scene, looks: Looks, size: int) -> int:
    """Size of the largest packet that gets through, to a few bytes; several sizes are tried at once."""
    low, high = 100, size
    while high - low > 2 * _AT_ONCE:
        step = max(1, (high - low) // (_AT_ONCE + 1))
        sizes = list(range(low + step, high, step))[:_AT_ONCE]
        ask = [Question(str(each), partial(_passes, scene, looks, each)) for each in sizes]
        passing = [each for each, answer in zip(sizes, looks.all(ask), strict=True) if answer.value]
        best = max(passing, default=low)
        low, high = best, min([each for each in sizes if each > best], default=high)
        if low >= high:
            break
    return low


def _passes(scene: Scene, looks: Looks, size: int) -> bool:
    client, address = scene.client.endpoint, scene.server.address
    return payload.ping(looks, client, address, count=2, interval=0.05, size=size)[0] > 0


def _mtus(scene: Scene) -> list[str]:
    """The nodes' own MTUs, which the network between them may not have."""
    facts = []
    for side in (scene.client, scene.server):
        device = (side.view.devices.value or {}).get(side.uplink)
        if device and not scene.same_node:
            facts.append(f"{side.uplink} of {side.node} has MTU {device.mtu}")
    return facts
