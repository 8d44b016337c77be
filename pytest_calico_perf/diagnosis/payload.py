"""Pings, and TCP with payload, of the diagnosis's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from pytest_calico_perf.cluster.base import CommandResult, Endpoint
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen
from pytest_calico_perf.errors import CellProblem, ToolProblem
from pytest_calico_perf.parsing import json_object, word

_COUNTS = re.compile(r"(\d{1,9}) packets transmitted, (\d{1,9})(?: packets)? received", re.ASCII)
_CONNECT_MS = "2000"
_BULK = "256K"
_LIMIT = 4.0  # seconds for one transfer; a whole one takes milliseconds
_SERVER_DEADLINE = 4.0
_SYNS = 8
_SLOW = 12  # pings of 0.2 seconds each
_HEADERS = 28  # IPv4 and ICMP


class Tcp(StrEnum):
    """What came of a TCP connection."""

    WORKS = "works"
    REFUSED = "refused"
    NO_CONNECTION = "no connection"
    NO_PAYLOAD = "no payload"
    NOT_LISTENING = "not listening"
    NOT_SEEN = "not seen"


@dataclass(frozen=True)
class Transfer:
    """What came of a transfer and what was said.

    Attributes:
        result: What came of it.
        said: In words, a sentence without a full stop.
    """

    result: Tcp
    said: str

    @property
    def reached(self) -> bool:
        """Whether the other end was heard of."""
        return self.result in (Tcp.WORKS, Tcp.REFUSED, Tcp.NO_PAYLOAD)


def ping(
    looks: Looks, source: Endpoint, address: str, *, count: int, interval: float, size: int | None = None
) -> tuple[int, int]:
    """Send echo requests; how many were answered, and how many were sent.

    Args:
        looks: Runs it.
        source: Where from.
        address: Whereto.
        count: How many.
        interval: Seconds between two.
        size: Bytes of a whole packet, which then must not be fragmented; None for small ones.

    Raises:
        NotSeen: ping cannot be used there.
    """
    exact = [] if size is None else ["-M", "do", "-s", str(size - _HEADERS)]

    def send(count: int, interval: float) -> CommandResult:
        argv = ["ping", "-n", "-q", "-c", str(count), "-i", f"{interval:g}", "-W", "1", *exact, address]
        return looks.run(source, argv, limit=count * interval * 2 + 5)

    answer = send(count, interval)
    if "minimal interval" in answer.stderr:  # of whoever is not root: 0.2 s in older iputils
        answer = send(min(count, _SLOW), 0.2)
    counts = _COUNTS.search(answer.stdout)
    if counts is None:
        # Told before the first packet: no route there (ENETUNREACH, EINVAL of a blackhole).
        if re.search(r"connect: |sendmsg: |unreachable", answer.stderr, re.IGNORECASE):
            return 0, 0
        raise NotSeen(f"ping at {source.name} says: {answer.last_words}")
    return int(counts[2]), int(counts[1])


def transfer(
    looks: Looks, client: Endpoint, server: Endpoint, address: str, *, reverse: bool = False
) -> Transfer:
    """Bring 256 KiB from client to server by iperf3, or the other way.

    Raises:
        NotSeen: It could not be tried.
    """
    port = str(server.allocate_port())
    with looks.serving(server, ["iperf3", "-s", "-p", port, "--forceflush"], limit=4 * _LIMIT) as serving:
        try:
            serving.wait_for_output("Server listening", deadline=_SERVER_DEADLINE)
        except CellProblem as problem:
            return _unheard(looks, server, port, problem)
        options = ["-R"] if reverse else []
        argv = ["iperf3", "-c", address, "-p", port, "-n", _BULK, "--connect-timeout", _CONNECT_MS, "-J"]
        answer = looks.run(client, [*argv, *options], limit=_LIMIT)
        if answer.timed_out:
            return Transfer(Tcp.NO_PAYLOAD, f"connected, and {_BULK}B were not through after {_LIMIT:.0f} s")
        return judge(answer.stdout, listens=lambda: _listens(looks, server, port))


def judge(text: str, *, listens: object) -> Transfer:
    """What iperf3's JSON means.

    Args:
        text: What it printed.
        listens: Asked when it was refused: whether the server listens; None when nobody can say.
    """
    try:
        error = word(json_object(text, "iperf3").get("error"), "iperf3's error")
    except ToolProblem as problem:
        return Transfer(Tcp.NO_PAYLOAD, f"iperf3 failed: {problem.what}")
    if not error:
        return Transfer(Tcp.WORKS, f"TCP brought {_BULK}B")
    lower = error.lower()
    if "refused" in lower:
        listening = listens() if callable(listens) else None
        if listening is False:
            return Transfer(Tcp.NOT_LISTENING, "TCP is refused, and nobody listens")
        return Transfer(Tcp.REFUSED, "TCP is refused (a reset came back)")
    if "unable to connect" in lower or "timed out" in lower or "no route" in lower:
        return Transfer(Tcp.NO_CONNECTION, f"TCP gets no connection: {error}")
    return Transfer(Tcp.NO_PAYLOAD, f"TCP connects and brings no payload: {error}")


def _unheard(looks: Looks, server: Endpoint, port: str, problem: CellProblem) -> Transfer:
    try:
        listening = _listens(looks, server, port)
    except NotSeen:
        listening = None
    if listening:
        return Transfer(Tcp.NOT_SEEN, f"iperf3 at {server.name} does not say that it listens: {problem.what}")
    return Transfer(Tcp.NOT_LISTENING, f"iperf3 at {server.name} does not listen: {problem.what}")


def _listens(looks: Looks, server: Endpoint, port: str) -> bool | None:
    """Whether somebody listens at a TCP port there; None when `ss` is missing."""
    try:
        return bool(looks.read(server, ["ss", "-Hltn", "sport", "=", f":{port}"]).strip())
    except NotSeen:
        return None


def knock(looks: Looks, client: Endpoint, address: str, port: int) -> int:
    """Try to connect several times at once; the number of SYNs sent at the least.

    Raises:
        NotSeen: It could not be tried.
    """
    argv: Sequence[str] = [
        "iperf3", "-c", address, "-p", str(port), "-n", "1", "--connect-timeout", "900", "-J",
    ]  # fmt: skip
    with ThreadPoolExecutor(_SYNS) as executor:
        for _ in executor.map(lambda _: looks.run(client, argv, limit=4), range(_SYNS)):
            pass
    return _SYNS
