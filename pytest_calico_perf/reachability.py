"""Does payload get from client to server? Asked once per pair, before anything is measured.

Three steps, each of which finds a fault the one before lets pass:

* a small ping: is there a way at all;
* a ping of full size that must not be fragmented (RFC 1191): an MTU fault passes the small one;
* TCP bulk both ways: a VXLAN checksum-offload fault passes every ping and kills TCP
  (projectcalico/calico issues 4727 and 9433).

A healthy path costs some tens of milliseconds. What a person needs to repair a broken one is gathered
only then.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from pytest_calico_perf.cluster.base import Cluster, CommandResult, Endpoint, EndpointPair
from pytest_calico_perf.cluster.routes import Route, route_to
from pytest_calico_perf.errors import ClusterProblem, ToolProblem, Unreachable
from pytest_calico_perf.model import Encapsulation, EndpointKind
from pytest_calico_perf.parsing import blaming, json_object, lookup, whole, word

BULK_BYTES = 256 * 1024  # some 180 full-size segments: beyond any initial window (RFC 6928: 10)
# iperf3 ends when the sender's socket has taken everything and counts what the receiver has read by then.
# With both buffers this small (the kernel doubles them, socket(7)) at least half must have been read.
_BULK_BUFFER = "32K"

_LIMIT = 10.0  # seconds for one command here; each has a shorter wait of its own
_BULK_LIMIT = 6.0
_SERVER_DEADLINE = 5.0
_BUSY = "the server is busy running a test"  # iperf_api.c, IEACCESSDENIED
_BUSY_PAUSE = 0.1
_SERVICE_PATIENCE = 15.0
_SERVICE_PAUSE = 0.5
_IP_AND_ICMP_HEADER = 28
_LARGEST_PACKET = 65535
_SMALL = ("-c", "1", "-W", "1")
_AGAIN = ("-c", "3", "-i", "0.2", "-W", "1")
# Local: "message too long, mtu=1400" (older: "mtu: 1400"); remote: "Frag needed and DF set (mtu = 1400)".
_TOLD_MTU = re.compile(r"mtu\s*[=:]\s*(\d{1,9})\b", re.ASCII)
_RECEIVED = re.compile(r"\b(\d{1,9}) (?:packets )?received", re.ASCII)
_MTU_STEPS = 16  # each router on the way may know a smaller MTU than the one before


@dataclass(frozen=True)
class Reachability:
    """What the check found on a path that carries payload.

    Attributes:
        interface_mtu: MTU of the client's route to the server, in bytes; None when the client cannot tell.
        path_mtu: Largest packet that got through unfragmented, in bytes; None when not checked.
        bulk_bytes: Bytes TCP brought, per direction (`forward`, `reverse`).
        not_checked: Step -> why it could not be done here.
    """

    interface_mtu: int | None
    path_mtu: int | None
    bulk_bytes: dict[str, int] = field(default_factory=dict)
    not_checked: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "interface_mtu": self.interface_mtu,
            "path_mtu": self.path_mtu,
            "bulk_bytes": dict(self.bulk_bytes),
            "not_checked": dict(self.not_checked),
        }


class _NoWay(Exception):
    """A step failed: which, and what its tool said. `check` turns it into Unreachable."""

    def __init__(self, step: str, said: str) -> None:
        super().__init__(step)
        self.step = step
        self.said = said


def check(cluster: Cluster, pair: EndpointPair) -> Reachability:
    """Make sure that payload gets from client to server and back.

    Raises:
        Unreachable: It does not; says at which step, with the facts and a remedy.
        ToolProblem: ping is missing or cannot do what is asked.
        ClusterProblem: The client cannot be talked to.
    """
    not_checked: dict[str, str] = {}
    try:
        if not pair.path.via_service:
            _small_ping(pair)
        interface_mtu = _interface_mtu(pair)
        path_mtu = None
        if pair.path.via_service:
            not_checked["ping"] = "a ClusterIP answers none"
        elif interface_mtu is None:
            not_checked["full-size ping"] = f"{pair.client.name} has neither ip nor /sys to read its MTU from"
        else:
            path_mtu = _full_size_ping(pair, interface_mtu)
        bulk_bytes, missing = _bulk_through_service(pair) if pair.path.via_service else _bulk(pair)
    except _NoWay as no_way:
        raise _explained(cluster, pair, no_way) from None
    if missing:
        not_checked["TCP bulk"] = missing
    return Reachability(interface_mtu, path_mtu, bulk_bytes, not_checked)


# -- the three steps -----------------------------------------------------------------------------


def _ping(endpoint: Endpoint, address: str, *options: str) -> tuple[bool, CommandResult]:
    """Whether an echo came back; a second, more patient try decides, since one packet may get lost."""
    for patience in (_SMALL, _AGAIN):
        answer = endpoint.run(["ping", "-n", *patience, *options, address], limit=_LIMIT)
        if answer.exit_code == 127:
            answer.check()
        received = _RECEIVED.search(answer.stdout)
        if received and int(received[1]) > 0:
            return True, answer
        if _TOLD_MTU.search(answer.stdout + answer.stderr):
            break
    if not received and re.search(r"invalid option|unrecognized option|not permitted", answer.stderr):
        raise ToolProblem(
            f"ping cannot be used there: {answer.last_words}",
            where=endpoint.name,
            remedy="install iputils-ping and allow raw ICMP sockets (CAP_NET_RAW)",
        )
    return False, answer


def _small_ping(pair: EndpointPair) -> None:
    alive, answer = _ping(pair.client, pair.server.address)
    if not alive:
        raise _NoWay("a small ping", _complaint(answer))


def _interface_mtu(pair: EndpointPair) -> int | None:
    """What the client itself believes to fit; a pod without iproute2 still has /sys."""
    try:
        return route_to(pair.client, pair.server.address).mtu
    except (ToolProblem, Unreachable):
        answer = pair.client.run(["cat", "/sys/class/net/eth0/mtu"], limit=_LIMIT)
    try:
        return whole(answer.stdout, "the MTU in /sys") or None
    except ToolProblem:
        return None


def _full_size_ping(pair: EndpointPair, mtu: int) -> int:
    """Send a packet as large as the interface takes; one that is told to send smaller ones obeys, like TCP.

    A host's interface may well be larger than a pod's behind a tunnel: that works as long as somebody says
    so. Lost without a word, it is what RFC 2923 calls a black hole.
    """
    size = min(mtu, _LARGEST_PACKET)
    for _ in range(_MTU_STEPS):
        payload = str(size - _IP_AND_ICMP_HEADER)
        alive, answer = _ping(pair.client, pair.server.address, "-M", "do", "-s", payload)
        if alive:
            return size
        told = _TOLD_MTU.search(answer.stdout + answer.stderr)
        if not told or not _IP_AND_ICMP_HEADER < int(told[1]) < size:
            break
        size = int(told[1])
    raise _NoWay(f"a ping of {size} bytes that must not be fragmented", _complaint(answer))


def _bulk(pair: EndpointPair) -> tuple[dict[str, int], str]:
    """Bytes TCP brought each way, and why it could not be tried, if so."""
    port = str(pair.server.allocate_port())
    server = pair.server.start(["iperf3", "-s", "-p", port, "--forceflush"], limit=4 * _BULK_LIMIT)
    with server:
        try:
            server.wait_for_output("Server listening", deadline=_SERVER_DEADLINE)
        except ToolProblem as problem:
            return {}, str(problem)
        brought: dict[str, int] = {}
        for direction, options in (("forward", ()), ("reverse", ("-R",))):
            argv = [
                "iperf3",
                "-c",
                pair.server.address,
                "-p",
                port,
                "-n",
                str(BULK_BYTES),
                "-w",
                _BULK_BUFFER,
            ]
            answer = _when_free(pair.client, [*argv, "--connect-timeout", "3000", "-J", *options])
            if answer.exit_code == 127:
                return {}, f"{pair.client.name}: iperf3 is not installed there"
            brought[direction] = _brought(answer, direction)
    return brought, ""


def _when_free(client: Endpoint, argv: list[str]) -> CommandResult:
    """What iperf3 answers once its server is done with the client before: a busy machine takes its time."""
    until = time.monotonic() + _BULK_LIMIT
    while True:
        answer = client.run(argv, limit=_BULK_LIMIT)
        if _BUSY not in answer.stdout or time.monotonic() > until:
            return answer
        time.sleep(_BUSY_PAUSE)


def _bulk_through_service(pair: EndpointPair) -> tuple[dict[str, int], str]:
    """As `_bulk`; kube-proxy takes a second or two to know a new Service (minSyncPeriod), or more."""
    until = time.monotonic() + _SERVICE_PATIENCE
    while True:
        try:
            return _bulk(pair)
        except _NoWay:
            if time.monotonic() > until:
                raise
        time.sleep(_SERVICE_PAUSE)


def _brought(answer: CommandResult, direction: str) -> int:
    """Bytes the receiving side got; the sender is done when its socket buffer has taken all."""
    step = "TCP bulk" if direction == "forward" else "TCP bulk from server to client"
    if answer.timed_out:
        raise _NoWay(step, f"stalled: less than {BULK_BYTES} bytes in {_BULK_LIMIT:.0f} s")
    with blaming(answer.endpoint):
        report = json_object(answer.stdout, "iperf3")
        error = word(report.get("error"), "iperf3's error")
        if error:
            raise _NoWay(step, f"failed: iperf3 says {error!r}")
        received = whole(lookup(report, "end", "sum_received", "bytes"), "iperf3's count of bytes")
    if received < BULK_BYTES // 4:
        raise _NoWay(step, f"brought {received} of {BULK_BYTES} bytes")
    return received


def _complaint(answer: CommandResult) -> str:
    """What ping says beside its statistics: an ICMP error or a local one."""
    for line in (answer.stderr + "\n" + answer.stdout).splitlines():
        if line.startswith(("ping:", "From ")):
            return f"failed: {line.strip()}"
    return "got no answer"


# -- facts and remedies, only when a step failed -------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    """What the nodes say about a broken path; None where they could not be asked."""

    to_server: Route | None
    refusal: str
    to_node: Route | None
    node_answers: bool | None
    server_answers_its_node: bool | None
    tunnel: Encapsulation | None

    @property
    def underlay_is_routed(self) -> bool:
        """Whether a router stands between the nodes: the server's node is behind a gateway."""
        return self.to_node is not None and bool(self.to_node.gateway)


def _explained(cluster: Cluster, pair: EndpointPair, no_way: _NoWay) -> Unreachable:
    facts = _gather(cluster, pair)
    client, server = pair.client, pair.server
    words = [f"{no_way.step} to {server.name} ({server.address}) {no_way.said}"]
    if facts.to_server:
        words.append(f"{client.node} routes it by {facts.to_server}")
    elif facts.refusal:
        words.append(f"{client.node} has {facts.refusal}")
    if facts.node_answers is not None:
        verb = "answers" if facts.node_answers else "does not answer"
        words.append(f"{server.node} itself {verb} {client.node}")
    if facts.server_answers_its_node is False:
        words.append(f"{server.name} does not even answer its own node")
    return Unreachable("; ".join(words), where=client.name, remedy=_remedy(pair, facts, no_way))


def _gather(cluster: Cluster, pair: EndpointPair) -> _Facts:
    """Ask the nodes; one that cannot be asked leaves a gap, not a second failure."""
    here, there = cluster.host(pair.client.node), cluster.host(pair.server.node)
    to_server, refusal = _ask_route(here, pair.server.own_address)
    other_node = pair.client.node != pair.server.node
    to_node = _ask_route(here, there.address)[0] if other_node else None
    asks_pod = pair.server.kind is EndpointKind.POD
    tunnels = {device: tunnel for tunnel, device in cluster.tunnel_devices().items()}
    return _Facts(
        to_server=to_server,
        refusal=refusal,
        to_node=to_node,
        node_answers=_ask_ping(here, there.address) if other_node else None,
        server_answers_its_node=_ask_ping(there, pair.server.own_address) if asks_pod else None,
        tunnel=tunnels.get(to_server.device, Encapsulation.NONE) if to_server else None,
    )


def _ask_route(node: Endpoint, address: str) -> tuple[Route | None, str]:
    try:
        return route_to(node, address), ""
    except Unreachable as problem:
        return None, problem.what
    except (ToolProblem, ClusterProblem):
        return None, ""


def _ask_ping(node: Endpoint, address: str) -> bool | None:
    try:
        return _ping(node, address)[0]
    except (ToolProblem, ClusterProblem):
        return None


def _remedy(pair: EndpointPair, facts: _Facts, no_way: _NoWay) -> str:
    if facts.node_answers is False:
        return "make the nodes reach each other first: cabling, addresses, firewall between them"
    if facts.server_answers_its_node is False:
        return f"look at {pair.server.name}: is it running, does a policy of {pair.server.node} forbid it"
    if no_way.step.startswith("a ping of"):
        return (
            "lower the MTU of the pods, or raise that of the underlay: a tunnel takes 20 bytes (IPIP) or 50 "
            "(VXLAN) of it; and let ICMP 'fragmentation needed' pass"
        )
    if no_way.step.startswith("TCP"):
        device = facts.to_server.device if facts.to_server else "the device"
        return (
            "pings pass and TCP does not: a checksum or segmentation offload fault (try `ethtool -K "
            f"{device} tx-checksum-ip-generic off` on both nodes) or a firewall that lets only ICMP pass"
        )
    if facts.refusal:
        return (
            "a route is missing: look at the BGP sessions (`birdcl show protocols`, TCP 179 between nodes) "
            "for bgp and ipip, at calico-node (Felix) for vxlan"
        )
    return _underlay_remedy(pair, facts)


def _underlay_remedy(pair: EndpointPair, facts: _Facts) -> str:
    """The nodes reach each other and have routes, and still nothing arrives: what lies between drops it."""
    if facts.tunnel is Encapsulation.IPIP:
        return "let IP protocol 4 pass between the nodes (some clouds never do: use vxlan there)"
    if facts.tunnel is Encapsulation.VXLAN:
        return "let UDP port 4789 pass between the nodes"
    if pair.path.same_node or not pair.path.has_mode:
        return f"look for a firewall or policy on {pair.client.node} and {pair.server.node}"
    if facts.underlay_is_routed:
        return (
            "the network between the nodes' subnets does not carry pod addresses: let its routers learn them "
            "(BGP peering with the nodes), or use a mode that wraps them: ipip, vxlan, ipip-cross-subnet, "
            "vxlan-cross-subnet"
        )
    return (
        "something between the nodes drops packets with pod addresses (a virtual switch or cloud that checks "
        "source addresses): allow them there, or use a mode that wraps them: ipip, vxlan"
    )
