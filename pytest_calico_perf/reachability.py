"""Does payload get from client to server? Asked once per pair, before anything is measured.

Steps, each of which finds a fault the one before lets pass, and each with a deadline of its own:

* a small ping: is there a way at all;
* a ping of full size that must not be fragmented (RFC 1191): an MTU fault passes the small one;
* a TCP handshake, that of the transfer's own connection: a filter may let ICMP pass and nothing else;
* some MB of TCP, each way: a VXLAN checksum-offload fault passes every ping and every handshake and kills
  TCP (projectcalico/calico issues 4727 and 9433).

The first that fails is the symptom. Why it does is for `diagnosis/` to find: a healthy path costs a tenth of
a second and not one look at the nodes.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, EndpointPair, RunningCommand
from pytest_calico_perf.cluster.routes import route_to
from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.parsing import blaming, json_object, lookup, whole, word

BULK_BYTES = 4 * 2**20  # some 3000 full-size segments: windows grow and packets are as large as they get

_LIMIT = 10.0  # seconds for one command here; each has a shorter wait of its own
_BULK_LIMIT = 5.0
_CONNECT_LIMIT = 2.0  # two SYNs, after 0 and 1 s (RFC 6298); the rest of the limit above is for payload
_SERVER_DEADLINE = 5.0
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


class Symptom(StrEnum):
    """The step that failed first."""

    SMALL_PING = "small-ping"
    FULL_SIZE_PING = "full-size-ping"
    TCP_HANDSHAKE = "tcp-handshake"
    TCP_BULK = "tcp-bulk"
    TCP_BULK_REVERSE = "tcp-bulk-reverse"


_DIRECTIONS = {"forward": Symptom.TCP_BULK, "reverse": Symptom.TCP_BULK_REVERSE}


@dataclass(frozen=True)
class _Bulk:
    """A transfer that proves payload.

    iperf3 ends when the sender's socket has taken everything and counts what the receiver has read by then:
    all but what fits into both buffers, which the kernel makes twice as large as asked for (socket(7)).

    Attributes:
        size: Bytes to send.
        buffer: What is asked for each end's buffer, as iperf3 takes it; more than twice `net.core.wmem_max`
            would end iperf3.
    """

    size: int
    buffer: str


_BULK = _Bulk(BULK_BYTES, "128K")
# A link of some 100 kbit/s is slow and not dead: what stalled is tried again with this.
_LITTLE = _Bulk(64 * 1024, "8K")


@dataclass(frozen=True)
class Reachability:
    """What the check found on a path that carries payload.

    Attributes:
        interface_mtu: MTU of the client's route to the server, in bytes; None when the client cannot tell.
        path_mtu: Largest packet that got through unfragmented, in bytes; None when not checked.
        bulk_bytes: Bytes TCP brought, per direction (`forward`, `reverse`).
        not_checked: Step -> why it could not be done here.
        passed: The steps that were done, in their order; all of them passed.
    """

    interface_mtu: int | None
    path_mtu: int | None
    bulk_bytes: dict[str, int] = field(default_factory=dict)
    not_checked: dict[str, str] = field(default_factory=dict)
    passed: tuple[Symptom, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "interface_mtu": self.interface_mtu,
            "path_mtu": self.path_mtu,
            "bulk_bytes": dict(self.bulk_bytes),
            "not_checked": dict(self.not_checked),
            "passed": [str(step) for step in self.passed],
        }


def check(pair: EndpointPair) -> Reachability:
    """Make sure that payload gets from client to server and back.

    Raises:
        Unreachable: It does not; with the symptom, and what the step's tool said.
        ToolProblem: ping is missing or cannot do what is asked.
        ClusterProblem: The client cannot be talked to.
    """
    not_checked: dict[str, str] = {}
    passed: list[Symptom] = []
    if not pair.path.via_service:
        _small_ping(pair)
        passed.append(Symptom.SMALL_PING)
    interface_mtu = _interface_mtu(pair)
    path_mtu = None
    if pair.path.via_service:
        not_checked["ping"] = "a ClusterIP answers none"
    elif interface_mtu is None:
        not_checked["full-size ping"] = f"{pair.client.name} has neither ip nor /sys to read its MTU from"
    else:
        path_mtu = _full_size_ping(pair, interface_mtu)
        passed.append(Symptom.FULL_SIZE_PING)
    bulk_bytes, missing = _tcp_through_service(pair) if pair.path.via_service else _tcp(pair)
    if missing:
        not_checked["TCP bulk"] = missing
    if bulk_bytes:  # its own connection was the handshake
        passed.append(Symptom.TCP_HANDSHAKE)
    passed += [symptom for direction, symptom in _DIRECTIONS.items() if direction in bulk_bytes]
    return Reachability(interface_mtu, path_mtu, bulk_bytes, not_checked, tuple(passed))


# -- the steps -----------------------------------------------------------------------------------


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
        raise _lost(pair, Symptom.SMALL_PING, "a small ping", _complaint(answer))


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
    step = f"a ping of {size} bytes that must not be fragmented"
    raise _lost(pair, Symptom.FULL_SIZE_PING, step, _complaint(answer))


def _tcp(pair: EndpointPair) -> tuple[dict[str, int], str]:
    """Bytes TCP brought each way, and why it could not be tried, if so."""
    try:
        return _transfer(pair, _BULK)
    except _Stalled:  # a new server for it: the first one may still wait for its client
        pass
    try:
        return _transfer(pair, _LITTLE)
    except _Stalled as stalled:
        raise stalled.problem from None


class _Stalled(Exception):
    """A transfer did not end in time: the path is dead, or slow."""

    def __init__(self, problem: Unreachable) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _ServerDied(Exception):
    """Our own server ended meanwhile: nothing is known of the path."""


def _transfer(pair: EndpointPair, bulk: _Bulk) -> tuple[dict[str, int], str]:
    brought: dict[str, int] = {}
    for direction, symptom in _DIRECTIONS.items():
        # A server for each: one that has not yet closed the way there says that it is busy.
        port = str(pair.server.allocate_port())
        with pair.server.start(["iperf3", "-s", "-p", port, "--forceflush"], limit=2 * _BULK_LIMIT) as server:
            try:
                server.wait_for_output("Server listening", deadline=_SERVER_DEADLINE)
            except ToolProblem as problem:
                return brought, str(problem)
            # Its connection is the handshake: one command less, and the deadline of its own it has anyway.
            argv = ["iperf3", "-c", pair.server.address, "-p", port, "-n", str(bulk.size), "-w", bulk.buffer]
            argv += ["--connect-timeout", f"{_CONNECT_LIMIT * 1e3:.0f}", "-J"]
            answer = pair.client.run([*argv, "-R"] if direction == "reverse" else argv, limit=_BULK_LIMIT)
            if answer.exit_code == 127:
                return {}, f"{pair.client.name}: iperf3 is not installed there"
            try:
                brought[direction] = _brought(pair, answer, symptom, bulk.size, server)
            except _ServerDied as died:
                return brought, str(died)
    return brought, ""


def _tcp_through_service(pair: EndpointPair) -> tuple[dict[str, int], str]:
    """As `_tcp`; kube-proxy takes a second or two to know a new Service (minSyncPeriod), or more."""
    until = time.monotonic() + _SERVICE_PATIENCE
    while True:
        try:
            return _tcp(pair)
        except Unreachable:
            if time.monotonic() > until:
                raise
        time.sleep(_SERVICE_PAUSE)


def _brought(
    pair: EndpointPair, answer: CommandResult, symptom: Symptom, size: int, server: RunningCommand
) -> int:
    """Bytes the receiving side got; the sender is done when its socket buffer has taken all."""
    step = "TCP bulk" if symptom is Symptom.TCP_BULK else "TCP bulk back from the server"
    if answer.timed_out:
        said = f"stalled: less than {size} bytes in {_BULK_LIMIT:.0f} s"
        raise _Stalled(_lost(pair, symptom, step, said))
    with blaming(answer.endpoint):
        report = json_object(answer.stdout, "iperf3")
        error = word(report.get("error"), "iperf3's error")
        if not error and answer.exit_code:  # iperf3 3.9 says it on its standard error only
            error = answer.last_words
        if error:
            if "unable to connect" in error:
                symptom, step = Symptom.TCP_HANDSHAKE, "a TCP handshake"
            if not server.running:  # a refusal by a machine on which nobody listens is no fault of the path
                raise _ServerDied(f"{pair.server.name}: the server of iperf3 died ({error})")
            raise _lost(pair, symptom, step, f"failed: iperf3 says {error!r}")
        received = whole(lookup(report, "end", "sum_received", "bytes"), "iperf3's count of bytes")
    if received < size // 4:
        raise _lost(pair, symptom, step, f"brought {received} of {size} bytes")
    return received


def _lost(pair: EndpointPair, symptom: Symptom, step: str, said: str) -> Unreachable:
    server = pair.server
    what = f"{step} to {server.name} ({server.address}) {said}"
    return Unreachable(what, where=pair.client.name, symptom=symptom)


def _complaint(answer: CommandResult) -> str:
    """What ping says beside its statistics: an ICMP error or a local one."""
    for line in (answer.stderr + "\n" + answer.stdout).splitlines():
        if line.startswith(("ping:", "From ")):
            return f"failed: {line.strip()}"
    return "got no answer"
