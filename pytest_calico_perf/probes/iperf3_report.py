"""What iperf3 says, as typed values: the client's JSON and the server's lines. iperf3 3.1 to 3.21.

Facts about the tool that shape this file, each seen with the recordings in tests/unit/probes:

- The client's intervals are what its end saw. When it sends, they tell what went into the socket buffer; what
  arrived is in the server's own lines only.
- `sum_received` of 3.7 and 3.9 divides by a time about 40 ms too long (4 % at one second).
- `end.sum.bytes` of UDP is what was sent; `sum_received` appears with 3.10 or so.
- Refused or busy, 3.12 ends with status 0 and an `error` key; 3.9 without that key.
- The `error` of a reset connection does not tell a dead server from a busy network: the caller looks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.errors import CellProblem, ToolProblem, Unreachable
from pytest_calico_perf.parsing import (
    finite,
    json_object,
    last_line,
    lookup,
    mappings,
    positive,
    whole,
    word,
)
from pytest_calico_perf.probes.udp_report import UdpReport

# `[  5]   0.00-0.10   sec   247 MBytes  20743904 Kbits/sec   0   895 KBytes   (omitted)`, by -f k.
_LINE = re.compile(
    r"^\[\s*(\d+|SUM)\]\s+(\d+\.\d+)-(\d+\.\d+)\s+sec\s+[\d.]+ \w*Bytes\s+(\d+(?:\.\d+)?) Kbits/sec(.*)$",
    re.ASCII,
)
_SUMMARIES = ("sender", "receiver")
_VERSION = re.compile(r"^iperf (\d+\.\d+\S*)", re.MULTILINE | re.ASCII)
_EDGE = 0.02  # seconds; the server prints times to 10 ms, and its timer may fire that much late


@dataclass(frozen=True)
class Interval:
    """A piece of a run, over all streams.

    Attributes:
        start: Seconds since the run, or since the omitted part, began.
        end: Likewise.
        rate: bit/s in between.
        omitted: Whether iperf3 itself left it out (-O).
    """

    start: float
    end: float
    rate: float
    omitted: bool


@dataclass(frozen=True)
class TcpReport:
    """What the client of a TCP run said. Rates in bit/s over the whole run, by iperf3's own arithmetic.

    Attributes:
        version: The client's, e.g. `3.12`.
        streams: Connections that carried data.
        seconds: Time the sender sent.
        sent: What the sender put into its sockets.
        received: What the receiver took out of its own.
        retransmits: Segments sent again; None where the sender's kernel does not tell.
        cpu_client: CPU time of the client over the run; 1.0 is one core, 3.16 and later use several.
        cpu_server: The server's.
        mss: TCP maximum segment size of the control connection, in bytes.
        congestion_control: The sender's algorithm.
        intervals: The client's view.
    """

    version: str
    streams: int
    seconds: float
    sent: float
    received: float
    retransmits: int | None
    cpu_client: float | None
    cpu_server: float | None
    mss: int | None
    congestion_control: str | None
    intervals: tuple[Interval, ...]


def parse_tcp(text: str, errors: str = "", *, streams: int, duration: float) -> TcpReport:
    """Read the JSON of a TCP client.

    Args:
        text: Its standard output.
        errors: Its standard error.
        streams: How many connections were asked for.
        duration: How many seconds were.

    Raises:
        Unreachable: No route, no answer to the SYN, or data was sent and none arrived.
        ToolProblem: Any other failure, or figures that cannot be true.
    """
    document = _finished(text, errors)
    end = document["end"]
    seconds = _plausible(lookup(end, "sum_sent", "seconds"), duration)
    present = len(mappings(lookup(end, "streams")))
    if present != streams:
        raise ToolProblem(f"iperf3 used {present} streams instead of {streams}")
    sent = positive(lookup(end, "sum_sent", "bits_per_second"), "iperf3's sent rate")
    received = finite(lookup(end, "sum_received", "bits_per_second"), "iperf3's received rate")
    if received == 0:
        raise _no_payload("data")
    retransmits = lookup(end, "sum_sent", "retransmits")
    start = document.get("start")
    mss = next((m for key in ("tcp_mss", "tcp_mss_default") if (m := lookup(start, key)) is not None), None)
    congestion_control = lookup(end, "sender_tcp_congestion")
    return TcpReport(
        version=_version(document),
        streams=present,
        seconds=seconds,
        sent=sent,
        received=received,
        retransmits=None if retransmits is None else whole(retransmits, "iperf3's retransmits"),
        cpu_client=_cpu(end, "host_total"),
        cpu_server=_cpu(end, "remote_total"),
        mss=None if mss is None else whole(mss, "iperf3's MSS"),
        congestion_control=congestion_control if isinstance(congestion_control, str) else None,
        intervals=tuple(_interval(lookup(item, "sum")) for item in mappings(document.get("intervals"))),
    )


def parse_udp(text: str, errors: str = "", *, duration: float) -> UdpReport:
    """Read the JSON of a UDP client.

    Versions before 3.10 have one `sum` with the bytes that were sent and the datagrams that were lost; what
    arrived is then the share that was not lost.

    Raises:
        Unreachable: No route, no answer, or no datagram arrived.
        ToolProblem: Any other failure, or figures that cannot be true.
    """
    document = _finished(text, errors)
    end = document["end"]
    total = lookup(end, "sum")
    arrived = lookup(end, "sum_received")
    seconds = _plausible(lookup(end, "sum_sent", "seconds") or lookup(total, "seconds"), duration)
    offered = positive(lookup(total, "bits_per_second"), "iperf3's offered rate")
    seen = total if arrived is None else arrived
    packets = whole(lookup(seen, "packets"), "iperf3's number of datagrams")
    lost = whole(lookup(seen, "lost_packets"), "iperf3's number of lost datagrams")
    if packets in (0, lost):
        raise _no_payload("datagram")
    if lost > packets:
        raise ToolProblem(f"iperf3 lost {lost} datagrams of {packets}")
    received = (
        offered * (1 - lost / packets)
        if arrived is None
        else positive(lookup(arrived, "bits_per_second"), "iperf3's received rate")
    )
    late = [lookup(stream, "udp", "out_of_order") for stream in mappings(lookup(end, "streams"))]
    return UdpReport(
        version=_version(document),
        seconds=seconds,
        offered=offered,
        received=positive(received, "iperf3's received rate"),
        packets=packets,
        loss=lost / packets,
        jitter=finite(lookup(seen, "jitter_ms"), "iperf3's jitter") / 1e3,
        out_of_order=sum(whole(n, "iperf3's count of late datagrams") for n in late if n is not None)
        if any(n is not None for n in late)
        else None,
        payload=whole(lookup(document, "start", "test_start", "blksize"), "iperf3's datagram size"),
        cpu_client=_cpu(end, "host_total"),
        cpu_server=_cpu(end, "remote_total"),
    )


def parse_server(text: str, *, streams: int) -> tuple[str | None, tuple[Interval, ...]]:
    """Version (by -V) and intervals (by -f k) a server printed. Summary lines at the end are left out.

    Args:
        text: Its standard output.
        streams: With more than one, the [SUM] lines count.

    Raises:
        ToolProblem: A line has a figure that cannot be true.
    """
    intervals = []
    for match in map(_LINE.match, text.splitlines()):
        if match is None or match[5].strip() in _SUMMARIES or (match[1] == "SUM") is (streams == 1):
            continue
        start, end, rate = (finite(match[n], "an interval of the iperf3 server") for n in (2, 3, 4))
        intervals.append(Interval(start, end, rate * 1e3, match[5].strip().endswith("(omitted)")))
    version = _VERSION.search(text)
    return (version[1] if version else None), tuple(intervals)


def goodput(intervals: Sequence[Interval], *, warm_up: float, duration: float) -> float:
    """Mean rate at the receiver once a run is under way, in bit/s.

    Whole intervals count from `warm_up` on; the piece after `duration`, in which the receiver empties what is
    in flight and waits for the end, does not.

    Args:
        intervals: The receiver's.
        warm_up: Seconds at the start to drop (slow start), beside what iperf3 omitted itself.
        duration: Length of the run, in seconds.

    Raises:
        Unreachable: Nothing arrived in that time.
        ToolProblem: The intervals do not cover it.
    """
    steady = [
        i
        for i in intervals
        if not i.omitted and i.start >= warm_up - _EDGE and i.start < duration - _EDGE and i.end > i.start
    ]
    covered = math.fsum(i.end - i.start for i in steady)
    if not 0.7 * (duration - warm_up) <= covered <= 2 * duration + 1:
        raise ToolProblem(
            f"iperf3's receiver reported {covered:.2f} s of the {duration - warm_up:g} s that count",
            remedy="its lines were lost, or the machine is too busy to measure",
        )
    rate = math.fsum(i.rate * (i.end - i.start) for i in steady) / covered
    if rate == 0:
        raise _no_payload("data")
    return positive(rate, "iperf3's goodput")


def failure(error: str) -> CellProblem:
    """The problem an `error` of the client stands for (wording: iperf_error.c, 3.1 to 3.21)."""
    text = error.lower()
    said = f"iperf3: {error.removeprefix('error - ')[:300]}"
    if "unable to connect" in text and "refused" in text:
        return ToolProblem(said, remedy="its server listened, so a firewall on the way rejects the port")
    if any(phrase in text for phrase in ("no route to host", "unreachable")):
        return Unreachable(said, remedy="compare the routes of both nodes")
    if "unable to connect" in text and any(p in text for p in ("timed out", "now in progress")):
        return Unreachable(said, remedy="the SYN or its answer is lost: a firewall, or no route back")
    if "busy" in text:
        return ToolProblem(said, remedy="something else talks to our server's port")
    if "unrecognized option" in text or "invalid option" in text:
        return ToolProblem(said, remedy="iperf3 3.2 or later is needed on both ends")
    return ToolProblem(said)


def _finished(text: str, errors: str) -> dict[str, Any]:
    """The document of a run that came to its end."""
    if "{" not in text:
        option = re.search(r".*(?:unrecognized|invalid) option.*", errors)
        words = option[0].strip() if option else last_line(errors if errors.strip() else text)
        raise failure(words.removeprefix("iperf3: ") or "it printed nothing")
    document = json_object(text, "iperf3")
    error = word(document.get("error"), "iperf3's error")
    if error:
        raise failure(error)
    if not isinstance(document.get("end"), Mapping) or not document["end"]:
        # 3.9 leaves the reason to its standard error.
        raise failure(last_line(errors).removeprefix("iperf3: "))
    return document


def _interval(entry: object) -> Interval:
    start, end, rate = (
        finite(lookup(entry, key), "an interval of iperf3") for key in ("start", "end", "bits_per_second")
    )
    return Interval(start, end, rate, lookup(entry, "omitted") is True)


def _plausible(value: object, duration: float) -> float:
    seconds = positive(value, "iperf3's duration")
    if not 0.8 * duration <= seconds <= 1.5 * duration + 1:
        raise ToolProblem(f"iperf3 measured {seconds:.3g} s instead of {duration:g} s")
    return seconds


def _no_payload(what: str) -> Unreachable:
    return Unreachable(
        f"the connection came up, but no {what} arrived",
        remedy="look at MTU and checksum offload on the way: small packets pass and large ones do not",
    )


def _cpu(end: object, key: str) -> float | None:
    value = lookup(end, "cpu_utilization_percent", key)
    return None if value is None else finite(value, "iperf3's CPU time") / 100


def _version(document: Mapping[str, Any]) -> str:
    return word(lookup(document, "start", "version"), "iperf3's version").removeprefix("iperf ") or "unknown"
