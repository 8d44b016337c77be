"""What becomes of packets that are sent: where they vanish, which sizes pass, whether TCP carries payload."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.diagnosis import fabric, filters, mtu, payload, trace, underlay
from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.payload import Tcp, Transfer
from pytest_calico_perf.diagnosis.scene import Scene, Side
from pytest_calico_perf.diagnosis.trace import Hop, Trace, Zone

_PINGS = 50
_INTERVAL = 0.01  # seconds
_MANY = 400  # where others' packets drown those
_QUICKLY = 0.005
_MOST = 0.6  # of a reverse-path filter's drops, of what was sent: then they are ours

_PLACES = {
    (Zone.SOURCE, Zone.SOURCE_NODE): At.CLIENT,
    (Zone.SOURCE_NODE, Zone.SOURCE_NODE): At.CLIENT_NODE,
    (Zone.SOURCE_NODE, Zone.TARGET_NODE): At.FABRIC,
    (Zone.SOURCE, Zone.TARGET_NODE): At.FABRIC,
    (Zone.TARGET_NODE, Zone.TARGET_NODE): At.SERVER_NODE,
    (Zone.TARGET_NODE, Zone.TARGET): At.SERVER,
    (Zone.TARGET_NODE, Zone.TARGET_NODE_BACK): At.SERVER_NODE_BACK,  # a host does not answer
    (Zone.SOURCE_NODE, Zone.TARGET): At.FABRIC,
    (Zone.TARGET, Zone.TARGET): At.SERVER,
    (Zone.TARGET, Zone.TARGET_NODE_BACK): At.SERVER,
    (Zone.TARGET_NODE_BACK, Zone.TARGET_NODE_BACK): At.SERVER_NODE_BACK,
    (Zone.TARGET_NODE_BACK, Zone.SOURCE_NODE_BACK): At.FABRIC_BACK,
    (Zone.TARGET, Zone.SOURCE_NODE_BACK): At.FABRIC_BACK,
    (Zone.SOURCE_NODE_BACK, Zone.SOURCE_NODE_BACK): At.CLIENT_NODE_BACK,
    (Zone.SOURCE_NODE_BACK, Zone.SOURCE_BACK): At.CLIENT_BACK,
    (Zone.TARGET_NODE_BACK, Zone.SOURCE_BACK): At.FABRIC_BACK,
}

_ON_ONE_NODE = {
    At.CLIENT_NODE: At.SERVER_NODE,
    At.FABRIC: At.SERVER_NODE,
    At.SERVER_NODE_BACK: At.CLIENT_NODE_BACK,
    At.FABRIC_BACK: At.CLIENT_NODE_BACK,
}


@dataclass
class Traffic:
    """One diagnosis's packets.

    Attributes:
        scene: Both sides.
        looks: Runs the commands.
        notes: Where to write.
        said: What the failed step said, if one did.
    """

    scene: Scene
    looks: Looks
    notes: Notes
    said: str = ""

    def look(self) -> None:
        """Send, and say what becomes of it."""
        pinged = self.scene.pinged
        if pinged.value is None:
            self.notes.unseen(Link.FABRIC, self.scene.client.name, pinged.why_not)
            self._tcp_alone()
            return
        answered, sent = pinged.value
        if answered:
            self.notes.ok(Link.FABRIC, "", f"{answered} of {sent} pings were answered")
            self._alive()
            return
        if self.notes.earliest <= At.CLIENT_NODE and not self.notes.has("block-route-wrong"):
            return  # explained, and what lies behind it no packet reaches
        # Side by side, since each waits for what will not come.
        with ThreadPoolExecutor(1) as executor:
            waiting = executor.submit(self._tcp) if self.notes.earliest is At.NOWHERE else None
            traced = self._traced(_PINGS, _INTERVAL)
        if waiting and waiting.result().result is Tcp.WORKS:
            self._icmp_dropped()
        else:
            self._dead(traced)

    # -- pings -----------------------------------------------------------------------------------

    def _traced(self, count: int, interval: float) -> Trace:
        scene = self.scene
        send = partial(self._ping, count, interval)
        kind = f"echo requests of {scene.client.name}"
        traced = trace.follow(scene, self.looks, scene.client, send, icmp=True, kind=kind)
        for why in traced.blind:
            self.notes.unseen(Link.FABRIC, "", f"counters: {why}")
        self._reverse_path(traced)
        return traced

    def _ping(self, count: int = _PINGS, interval: float = _INTERVAL) -> int:
        """The number sent."""
        client, address = self.scene.client.endpoint, self.scene.server.address
        return payload.ping(self.looks, client, address, count=count, interval=interval)[1]

    def _reverse_path(self, traced: Trace) -> None:
        for side, at in ((self.scene.server, At.SERVER_NODE), (self.scene.client, At.CLIENT_NODE_BACK)):
            dropped = traced.rejected.get(side.node, 0)
            if not traced.sent or dropped < _MOST * traced.sent:
                continue
            other = self.scene.other(side)
            route = self.notes.drop("block-route-wrong", side.node)
            way = side.view.to_end.value
            back = [f"{side.node} would answer {other.address} by {way.route}"] if way and way.route else []
            strict = [
                f"rp_filter of {name} on {side.node} is {value}"
                for name in (side.uplink, *self.scene.tunnels.values())
                if (value := filters.strictness(side, name)) == "1"
            ]
            self.notes.find(
                "reverse-path-filter",
                side.node,
                f"{side.node} drops packets from {other.address} by its strict reverse-path filter, since it "
                "would answer by another device",
                f"IPReversePathFilter of {side.node} grew by {dropped} while {traced.sent} packets were sent",
                *strict,
                *back,
                *route,
                at=at,
            )

    def _dead(self, traced: Trace) -> None:
        """No ping comes back, and no TCP gets through or may be hoped to."""
        if traced.blurred:
            traced = self._traced(_MANY, _QUICKLY)
        for why in traced.drowned if traced.blurred else ():
            self.notes.unseen(Link.FABRIC, "", why)
        vanished = traced.vanished
        if vanished is None:
            if self.notes.earliest is At.NOWHERE:
                self.notes.unseen(Link.FABRIC, "", "packets get lost, and no counter shows where")
            return
        at = _PLACES.get((vanished[0].zone, vanished[1].zone), At.FABRIC)
        if self.scene.same_node:
            at = _ON_ONE_NODE.get(at, at)
        if at >= self.notes.earliest:
            return
        if at in (At.FABRIC, At.FABRIC_BACK):
            if traced.blurred and self._filtered(traced, vanished):
                return
            fabric.name(self.scene, self.looks, self.notes, traced, at)
        else:
            self._inside(traced, vanished, at)

    def _filtered(self, traced: Trace, vanished: tuple[Hop, Hop]) -> bool:
        """Whether a rule of one of the nodes drops them, where the counters between the nodes say nothing."""
        scene = self.scene
        rules = filters.dropping(self.looks, self._hosts, self._ping)
        for side, at in ((scene.client, At.CLIENT_NODE), (scene.server, At.SERVER_NODE)):
            guilty = [rule for rule in rules if f" of {side.node} dropped " in rule]
            if guilty and "came out of" in vanished[1].words and side is scene.server:
                fabric.unwrapped_by_nobody(scene, self.notes, traced, side, at)
                return True
            if guilty:
                broken = f"{side.node} drops everything from {scene.client.name} to {scene.server.name}"
                facts = (*traced.facts, *guilty, *self._policies())
                self.notes.find("policy-drops-everything", side.node, broken, *facts, at=at)
                return True
        return False

    def _inside(self, traced: Trace, vanished: tuple[Hop, Hop], at: At) -> None:
        """They vanish on a node, or in a pod."""
        scene = self.scene
        on_client = at in (At.CLIENT, At.CLIENT_NODE, At.CLIENT_NODE_BACK, At.CLIENT_BACK)
        side = scene.client if on_client else scene.server
        if "came out of" in vanished[1].words:
            fabric.unwrapped_by_nobody(scene, self.notes, traced, side, at)
            return
        in_pod = at in (At.CLIENT, At.SERVER, At.CLIENT_BACK)
        where = side.name if in_pod else side.node
        rules = filters.dropping(self.looks, [side.endpoint if in_pod else side.host], self._ping)
        if not any(" dropped " in rule for rule in rules) and self._swallowed(side, traced, vanished, at):
            return
        self.notes.find(
            "policy-drops-everything",
            where,
            f"{where} drops everything from {scene.client.name} to {scene.server.name}"
            if at <= At.SERVER
            else f"{where} drops every answer of {scene.server.name} to {scene.client.name}",
            *traced.facts,
            *rules,
            *self._policies(),
            at=at,
        )

    def _swallowed(self, side: Side, traced: Trace, vanished: tuple[Hop, Hop], at: At) -> bool:
        """Whether they end in the tunnel of a node that does not forward."""
        wraps = self.scene.forward if at <= At.SERVER else self.scene.backward
        device = self.scene.tunnels.get(wraps, "") if wraps else ""
        if not device or not vanished[0].words.endswith(f"left {side.node} by {device}"):
            return False
        return filters.swallowing(side, device, traced.facts, self.notes, at)

    @property
    def _hosts(self) -> list[Endpoint | None]:
        """The nodes, each once."""
        client, server = self.scene.client.host, self.scene.server.host
        return [client] if self.scene.same_node else [client, server]

    def _policies(self) -> list[str]:
        facts = []
        for side in (self.scene.client, self.scene.server):
            if side.pod is None:
                continue
            seen = self.scene.cluster.inspector().policies(side.node, side.address)
            if seen.value:
                facts.append(f"policies that apply to {side.name}: {', '.join(seen.value)}")
        return facts

    # -- TCP -------------------------------------------------------------------------------------

    def _tcp(self, *, reverse: bool = False, address: str = "") -> Transfer:
        client, server = self.scene.client.endpoint, self.scene.server.endpoint
        target = address or self.scene.server.address
        try:
            return payload.transfer(self.looks, client, server, target, reverse=reverse)
        except NotSeen as reason:
            return Transfer(Tcp.NOT_SEEN, str(reason))

    def _tcp_alone(self) -> None:
        """Without ping: TCP tells whether the path is alive, and nothing where it is not."""
        result = self._tcp()
        if result.result is Tcp.WORKS:
            self.notes.ok(Link.OFFLOAD, "", result.said)
        elif result.result is Tcp.NOT_LISTENING:
            self._not_listening(result)
        else:
            self.notes.unseen(Link.FILTER, "", result.said)

    def _icmp_dropped(self) -> None:
        traces: list[Trace] = []

        def act() -> int:
            traces.append(self._traced(_PINGS, _INTERVAL))
            return traces[-1].sent

        rules = filters.dropping(self.looks, self._hosts, act)
        client, server = self.scene.client, self.scene.server
        self.notes.find(
            "icmp-dropped",
            "",
            f"pings from {client.name} to {server.name} are dropped, while TCP carries payload",
            *traces[-1].facts,
            *rules,
            *self._policies(),
        )

    def _alive(self) -> None:
        """Pings are answered: which sizes, and what of TCP?"""
        mtu.look(self.scene, self.looks, self.notes)
        if self.notes.has("mtu-black-hole"):
            return
        before = trace.read(self.scene, self.looks)
        result = self._tcp()
        if result.result is Tcp.WORKS:
            result = self._tcp(reverse=True)
        spoilt = {}
        if result.result is not Tcp.WORKS:
            spoilt = trace.bad_checksums(before, trace.read(self.scene, self.looks))
        client, server = self.scene.client.name, self.scene.server.name
        match result.result:
            case Tcp.WORKS:
                self.notes.ok(Link.OFFLOAD, "", "TCP carries payload both ways")
                self._service()
            case Tcp.NOT_SEEN:
                self.notes.unseen(Link.OFFLOAD, server, result.said)
            case Tcp.NOT_LISTENING:
                self._not_listening(result)
            case Tcp.NO_PAYLOAD | Tcp.NO_CONNECTION if spoilt:
                told = [
                    f"{place} got {count} packets with wrong checksums" for place, count in spoilt.items()
                ]
                broken = f"TCP between {client} and {server} arrives with wrong checksums"
                self.notes.find("checksum-offload", "", broken, *told, result.said)
            case Tcp.NO_PAYLOAD:
                broken = f"TCP between {client} and {server} connects and carries no payload"
                self.notes.find("tcp-payload-lost", "", broken, result.said)
            case _:
                self._tcp_dropped(result)

    def _tcp_dropped(self, result: Transfer) -> None:
        client, server = self.scene.client, self.scene.server
        # Another node may have answered the pings in a host's stead; in a pod's it cannot.
        if server.pod is None and underlay.duplicates(self.scene, self.looks, self.notes):
            return
        port = server.endpoint.allocate_port()
        knock = partial(payload.knock, self.looks, client.endpoint, server.address, port)
        kind = f"TCP SYNs of {client.name}"
        facts: list[str] = []

        def act() -> int:
            traced = trace.follow(self.scene, self.looks, client, knock, icmp=False, kind=kind)
            facts.extend(traced.facts)
            return traced.sent

        try:
            facts += filters.dropping(self.looks, self._hosts, act)
        except NotSeen as reason:
            facts.append(str(reason))
        self.notes.find(
            "tcp-dropped",
            "",
            f"TCP from {client.name} to {server.name} is dropped, while pings pass",
            result.said,
            f"a server of ours listened at {server.name}",
            *facts,
            *self._policies(),
        )

    def _service(self) -> None:
        server = self.scene.pair.server
        if server.address != server.own_address:
            result = self._tcp(address=server.address)
            if result.result is Tcp.WORKS:
                self.notes.ok(Link.FILTER, self.scene.client.node, f"the ClusterIP {server.address} works")
                return
            self.notes.find(
                "service-without-rules",
                self.scene.client.node,
                f"the ClusterIP {server.address} leads nowhere from {self.scene.client.node}, though "
                f"{server.name} ({server.own_address}) itself answers",
                f"{server.address}: {result.said}",
                f"{server.own_address}: TCP carries payload",
            )
        elif re.search(r"refused", self.said, re.IGNORECASE):
            self._not_listening(Transfer(Tcp.NOT_LISTENING, "TCP to a server of ours works"))

    def _not_listening(self, result: Transfer) -> None:
        server = self.scene.server
        facts = [result.said, *([f"what failed said: {self.said}"] if self.said else [])]
        broken = f"nobody listens at {server.name} ({server.address}); the network is not to blame"
        self.notes.find("server-not-listening", server.name, broken, *facts)
