"""Where packets vanish: a known number is sent, and every counter on their way is read before and after.

Counters of pods' own devices and network namespaces count this path alone. A node's uplink and tunnels carry
others' packets, too: what passes there while nobody probes is measured first, and where that is much, these
counters are not believed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.cluster.inspection import Look
from pytest_calico_perf.diagnosis import kernel
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen, Question
from pytest_calico_perf.diagnosis.scene import Scene, Side
from pytest_calico_perf.errors import CellProblem, ClusterProblem
from pytest_calico_perf.model import Encapsulation

Reading = Mapping[str, Look[dict[str, int]]]
"""Node or pod -> its counters."""


_SPOILT = ("Tcp.InCsumErrors", "Udp.InCsumErrors")
_REST = 0.25  # seconds in which others' packets are counted
_SEEN = 0.6  # of the packets sent: at so many they passed
_LOST = 0.25  # at so few they did not
_QUIET = 3  # others' packets in that time that mean nothing: some ARP, a keepalive
_NOISE = 0.25  # others' packets in the time of ours, of ours: beyond it a shared counter says nothing


class Zone(IntEnum):
    """Whose counter it is, in the order of a packet's way; that of an end that is a host is its node's."""

    SOURCE = 0
    SOURCE_NODE = 1
    TARGET_NODE = 2
    TARGET = 3
    TARGET_NODE_BACK = 4
    SOURCE_NODE_BACK = 5
    SOURCE_BACK = 6


@dataclass(frozen=True)
class Hop:
    """A counter on the way.

    Attributes:
        zone: Whose.
        words: What it counts: `left tunl0 of node1`.
        count: How much it grew; None when it cannot be told.
    """

    zone: Zone
    words: str
    count: int | None


@dataclass(frozen=True)
class Trace:
    """What every counter on the way says.

    Attributes:
        sent: Packets sent.
        kind: What they were: `echo requests`.
        hops: The counters, in order.
        rejected: Node -> packets its reverse-path filter dropped meanwhile.
        blind: Why counters could not be read, a sentence each.
        drowned: Which counters others' packets drown ours in, a sentence each.
    """

    sent: int
    kind: str
    hops: tuple[Hop, ...]
    rejected: Mapping[str, int] = field(default_factory=dict)
    blind: tuple[str, ...] = ()
    drowned: tuple[str, ...] = ()

    @property
    def vanished(self) -> tuple[Hop, Hop] | None:
        """The last counter that saw the packets, and the first after it that did not."""
        last: Hop | None = None
        for hop in self.hops:
            if hop.count is None:
                continue
            if last is not None and hop.count <= _LOST * self.sent:
                return last, hop
            if hop.count >= _SEEN * self.sent:
                last = hop
        return None

    @property
    def blurred(self) -> bool:
        """Whether counters at the place where they vanish count too many packets of others."""
        vanished = self.vanished
        if not self.drowned or vanished is None:
            return bool(self.drowned)
        between = self.hops[self.hops.index(vanished[0]) + 1 : self.hops.index(vanished[1])]
        return any(hop.count is None for hop in between)

    @property
    def facts(self) -> tuple[str, ...]:
        """The counters around the place where they vanish, in words."""
        vanished = self.vanished
        if vanished is None:
            return ()
        last, lost = vanished
        passed = min(last.count or 0, self.sent)  # whatever is more was others'
        besides = " (packets of others count there, too)" if lost.count else ""
        return (f"of {self.sent} {self.kind} {passed} {last.words}, and {lost.count} {lost.words}{besides}",)


class Growth:
    """By how much counters grew while something was done.

    Attributes:
        places: Node or pod -> why its counters could not be read; empty where they could.
        drowned: What could not be told for others' packets, a sentence each.
    """

    def __init__(self, readings: Sequence[Reading], noise: float, sent: int) -> None:
        self._resting, self._before, self._after = readings
        self._noise = noise
        self.drowned: set[str] = set()
        self._sent = sent
        self.places = {place: look.why_not for place, look in self._after.items()}

    def of(self, place: str, counter: str) -> int | None:
        """Of a counter that nobody else's packets move; None when nobody could read it."""
        then, now = self._before[place].value, self._after[place].value
        if then is None or now is None or counter not in then or counter not in now:
            return None
        return now[counter] - then[counter]

    def shared(self, place: str, counter: str) -> int | None:
        """Of a counter of everybody's packets, without the others'; None also when those are many."""
        grown, idle = self.of(place, counter), (self._resting[place].value or {}).get(counter)
        if grown is None or idle is None:
            return grown
        resting = (self._before[place].value or {})[counter] - idle
        others = resting * self._noise if resting > _QUIET else 0.0
        if others > _NOISE * max(self._sent, 1):
            self.drowned.add(f"{counter} of {place} counts too many packets of others")
            return None
        return max(0, round(grown - others))


def watch(scene: Scene, looks: Looks, act: Callable[[], int]) -> Growth:
    """Do something and see which counters grow.

    Args:
        scene: Both sides.
        looks: Runs the commands.
        act: Does it; the number of packets sent.
    """
    resting = read(scene, looks)
    rested = time.monotonic()
    time.sleep(_REST)
    before = read(scene, looks)
    began = time.monotonic()
    sent = act()
    after = read(scene, looks)
    noise = (time.monotonic() - began) / max(began - rested, 0.01)
    return Growth((resting, before, after), noise, sent)


def follow(
    scene: Scene, looks: Looks, source: Side, send: Callable[[], int], *, icmp: bool, kind: str
) -> Trace:
    """Send packets from one side to the other and see how far they come.

    Args:
        scene: Both sides.
        looks: Runs the commands.
        source: The side that sends.
        send: Sends them; the number sent.
        icmp: Whether they are echo requests, which kernels count by themselves.
        kind: What they are, for people.

    Raises:
        NotSeen: They could not be sent.
    """
    sent = 0

    def act() -> int:
        nonlocal sent
        sent = send()
        return sent

    growth = watch(scene, looks, act)
    target = scene.other(source)
    nodes = {side.node for side in (source, target)}
    rejected = {node: growth.of(node, "TcpExt.IPReversePathFilter") or 0 for node in sorted(nodes)}
    hops = tuple(_hops(scene, source, growth, icmp=icmp))
    return Trace(
        sent=sent,
        kind=kind,
        hops=hops,
        rejected={node: count for node, count in rejected.items() if count},
        blind=tuple(why for why in growth.places.values() if why),
        drowned=tuple(sorted(growth.drowned)),
    )


def _hops(scene: Scene, source: Side, growth: Growth, *, icmp: bool) -> list[Hop]:
    """Every counter on the way there and, for echoes, back, in order."""
    target = scene.other(source)
    wraps = scene.forward if source is scene.client else scene.backward
    back = scene.backward if source is scene.client else scene.forward
    start, end = (Zone.SOURCE, Zone.SOURCE_BACK) if source.pod else (Zone.SOURCE_NODE, Zone.SOURCE_NODE_BACK)
    asked, answering = (Zone.TARGET, Zone.TARGET) if target.pod else (Zone.TARGET_NODE, Zone.TARGET_NODE_BACK)
    there = []
    if icmp:
        there.append(Hop(start, f"were sent by {source.name}", growth.of(_own(source), "Icmp.OutEchos")))
    there += _between(scene, source, wraps, (Zone.SOURCE_NODE, Zone.TARGET_NODE), growth)
    if icmp:
        there += [
            Hop(asked, f"reached {target.name}", growth.of(_own(target), "Icmp.InEchos")),
            Hop(answering, f"were answered by {target.name}", growth.of(_own(target), "Icmp.OutEchoReps")),
        ]
        there += _between(scene, target, back, (Zone.TARGET_NODE_BACK, Zone.SOURCE_NODE_BACK), growth)
        answered = f"came back to {source.name} as answers"
        there.append(Hop(end, answered, growth.of(_own(source), "Icmp.InEchoReps")))
    return there


def _own(side: Side) -> str:
    return side.name if side.pod else side.node


def _between(
    scene: Scene, one: Side, wraps: Encapsulation | None, zones: tuple[Zone, Zone], growth: Growth
) -> list[Hop]:
    """Counters of the two nodes, for packets from one side to the other."""
    two = scene.other(one)
    near, far = zones
    packets = "" if near is Zone.SOURCE_NODE else "answers "
    hops = []
    if one.veth:
        hops.append(
            Hop(near, f"{packets}entered {one.node} by {one.veth}", growth.of(one.node, f"{one.veth}.rx"))
        )
        # Before or after the filters, by the kernel's version. On the way back it has counted the questions.
        if near is Zone.SOURCE_NODE:
            forwarded = growth.shared(one.node, "Ip.ForwDatagrams")
            hops.append(Hop(near, f"were taken for forwarding by {one.node}", forwarded))
    if not scene.same_node:
        device = scene.tunnels.get(wraps, "") if wraps else ""
        if device:
            sent = growth.shared(one.node, f"sent {wraps}")
            hops.append(Hop(near, f"{packets}left {one.node} by {device}", sent))
        plain = "" if device else " unwrapped"
        if one.uplink:
            sent = growth.shared(one.node, f"{one.uplink}.tx")
            hops.append(Hop(near, f"{packets}left {one.node} by {one.uplink}{plain}", sent))
        if two.uplink:
            got = growth.shared(two.node, f"{two.uplink}.rx")
            hops.append(Hop(far, f"{packets}reached {two.uplink} of {two.node}{plain}", got))
        if device and _counts(two, device):
            got = growth.shared(two.node, f"{device}.rx")
            hops.append(Hop(far, f"{packets}came out of {device} of {two.node}", got))
    if two.veth:
        if far is Zone.TARGET_NODE and not scene.same_node:
            forwarded = growth.shared(two.node, "Ip.ForwDatagrams")
            hops.append(Hop(far, f"were taken for forwarding by {two.node}", forwarded))
        hops.append(
            Hop(far, f"{packets}left {two.node} by {two.veth}", growth.of(two.node, f"{two.veth}.tx"))
        )
    return hops


def _counts(side: Side, device: str) -> bool:
    """Whether a tunnel device counts what it unwraps; the lab's stand-in for ipip does not."""
    there = (side.view.devices.value or {}).get(device)
    return there is not None and there.kind in ("ipip", "vxlan")


def read(scene: Scene, looks: Looks) -> Reading:
    """Counters of both nodes and both pods, at once."""
    questions: dict[str, Question] = {}
    for side in (scene.client, scene.server):
        questions[side.node] = Question(side.node, _node_counters(scene, looks, side))
        if side.pod:
            questions[side.name] = Question(side.name, _counters(looks, side.endpoint))
    answers = looks.all(list(questions.values()))
    result: dict[str, Look[dict[str, int]]] = {}
    for place, answer in zip(questions, answers, strict=True):
        value = answer.value if isinstance(answer.value, dict) else None
        result[place] = Look(value, answer.source, answer.why_not)
    return result


def _counters(looks: Looks, endpoint: Endpoint) -> Callable[[], dict[str, int]]:
    files = ("/proc/net/dev", "/proc/net/snmp", "/proc/net/netstat")
    return lambda: kernel.counters(looks.read(endpoint, ["cat", *files]))


def _node_counters(scene: Scene, looks: Looks, side: Side) -> Callable[[], dict[str, int]]:
    def read() -> dict[str, int]:
        if side.host is None:
            raise NotSeen(f"no command can be run on {side.node} itself")
        counters = _counters(looks, side.host)()
        try:
            tunnels = scene.cluster.tunnel_packets(side.node)
        except (ClusterProblem, CellProblem):
            tunnels = {}
        return counters | {f"sent {tunnel}": count for tunnel, count in tunnels.items()}

    return read


def bad_checksums(before: Reading, after: Reading) -> dict[str, int]:
    """Node or pod -> packets with wrong checksums it got meanwhile."""
    grown = {
        place: sum(
            (look.value or {}).get(kind, 0) - (before[place].value or {}).get(kind, 0) for kind in _SPOILT
        )
        for place, look in after.items()
        if look.value and before[place].value
    }
    return {place: count for place, count in grown.items() if count > 0}
