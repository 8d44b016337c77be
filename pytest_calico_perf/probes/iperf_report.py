"""What iperf 2 says, as typed values: versions 2.0 and 2.1, whatever unit they chose."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_calico_perf.errors import CellProblem, ToolProblem, Unreachable
from pytest_calico_perf.parsing import finite, positive, whole
from pytest_calico_perf.probes.udp_report import UdpReport

# `[  1] 0.0000-1.0000 sec  2538240 KBytes  20793263 Kbits/sec`, before 2.1 `[  3]  0.0- 1.0 sec ...`.
_LINE = re.compile(
    r"^\[ *\d+\]\s+(\d+\.\d+)- *(\d+\.\d+) sec"
    r"\s+(\d+(?:\.\d+)?) ([KMGT]?)Bytes\s+(-?\d+(?:\.\d+)?) ([KMGT]?)bits/sec(.*)$",
    re.ASCII,
)
# Only a server's line goes on: `   0.006 ms 60/1906 (3.1%)`, 2.1's -e appends more.
_SERVER_PART = re.compile(r"^\s+(\d+\.\d+) ms\s+(\d+)/ *(\d+)(?: \(|$)", re.ASCII)
_PAYLOAD = re.compile(r"^Sending (\d+) byte datagrams", re.MULTILINE | re.ASCII)
_LATE = re.compile(r"(\d+) datagrams received out-of-order", re.ASCII)
# Bits come in powers of 1000, bytes in powers of 1024 (stdio.c, byte_snprintf).
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_TOLERANCE = 0.2  # between rate and transfer/time: 2.0 prints times to 0.1 s
_TAIL = 0.02  # seconds before its end in which no interval begins
_NO_PATH = ("no route to host", "network is unreachable", "host is unreachable", "timed out")


@dataclass(frozen=True)
class StreamReport:
    """What an iperf 2 client said of a TCP run: the sender's view, the only one it has.

    Attributes:
        seconds: Length of the run by its own clock.
        sent: bit/s over the whole run.
        intervals: bit/s of each interval; without the tail a busy machine sends after its time.
    """

    seconds: float
    sent: float
    intervals: tuple[float, ...]


@dataclass(frozen=True)
class _Line:
    start: float
    end: float
    rate: float
    rest: str


def parse_stream(text: str, errors: str = "", *, duration: float) -> StreamReport:
    """Read what a TCP client printed.

    Args:
        text: Its standard output.
        errors: Its standard error, where connection failures go.
        duration: Seconds it was asked for.

    Raises:
        Unreachable: No route, or no answer.
        ToolProblem: It was refused, lost its server on the way, or printed no total.
    """
    lines = _lines(text)
    total = _total(lines, errors, duration)
    return StreamReport(
        seconds=total.end,
        sent=positive(total.rate, "iperf's rate"),
        intervals=tuple(line.rate for line in lines if line is not total and line.start < duration - _TAIL),
    )


def parse_datagrams(text: str, errors: str = "", *, duration: float) -> UdpReport:
    """Read what a UDP client printed.

    Raises:
        Unreachable: No route, or no datagram arrived, or the server's report did not come back.
        ToolProblem: It was refused, or printed no total.
    """
    sending, _, report = text.partition("Server Report:")
    sent = _total([line for line in _lines(sending) if not line.rest.strip()], errors, duration)
    served = next(((line, m) for line in _lines(report) if (m := _SERVER_PART.match(line.rest))), None)
    if served is None:
        if "refused" in errors:
            raise _failure(errors)
        raise Unreachable(
            "iperf got no report from its UDP server",
            remedy="its datagrams or the answer are lost: compare MTU and routes of both nodes",
        )
    line, match = served
    lost = whole(match[2], "iperf's number of lost datagrams")
    packets = whole(match[3], "iperf's number of datagrams")
    if packets <= lost:
        raise Unreachable(f"iperf's server got none of {packets} datagrams")
    payload = _PAYLOAD.search(text)
    late = _LATE.search(report)
    return UdpReport(
        version=None,
        seconds=sent.end,
        offered=positive(sent.rate, "iperf's offered rate"),
        received=positive(line.rate, "iperf's received rate"),
        packets=packets,
        loss=lost / packets,
        jitter=finite(match[1], "iperf's jitter") / 1e3,
        out_of_order=whole(late[1], "iperf's count of late datagrams") if late else 0,
        payload=whole(payload[1] if payload else None, "iperf's datagram size"),
    )


def _lines(text: str) -> list[_Line]:
    found = []
    for match in map(_LINE.match, text.splitlines()):
        if match is not None:
            start, end, transfer = (finite(match[n], "a figure of iperf") for n in (1, 2, 3))
            rate = finite(match[5], "iperf's rate") * 1000 ** _POWERS[match[6]]
            line = _Line(start, end, finite(rate, "iperf's rate"), match[7])
            _check(line, bits=transfer * 1024 ** _POWERS[match[4]] * 8)
            found.append(line)
    return found


def _check(line: _Line, *, bits: float) -> None:
    """Hold a rate against what was transferred: 2.0.13 wraps round at 2^31 bytes/s."""
    seconds = line.end - line.start
    if seconds >= 0.5 and abs(line.rate * seconds - bits) > _TOLERANCE * bits:
        raise ToolProblem(
            f"iperf's rate of {line.rate:g} bit/s contradicts its {bits:g} bits in {seconds:g} s",
            remedy="use a later iperf 2 there",
        )


def _total(lines: list[_Line], errors: str, duration: float) -> _Line:
    """The line over the whole run: the last that starts at 0."""
    total = next((line for line in reversed(lines) if line.start == 0), None)
    if total is None:
        raise _failure(errors)
    if not 0.8 * duration <= total.end <= 1.5 * duration + 1:
        why = f": {_first_line(errors)}" if errors.strip() else ""
        raise ToolProblem(f"iperf measured {total.end:.3g} s instead of {duration:g} s{why}")
    return total


def _failure(errors: str) -> CellProblem:
    first = _first_line(errors)
    kind = Unreachable if any(phrase in first.lower() for phrase in _NO_PATH) else ToolProblem
    return kind(f"iperf: {first}")


def _first_line(errors: str) -> str:
    """The cause: a client that is refused repeats itself hundreds of times, and adds what follows from it."""
    return next((line.strip()[:300] for line in errors.splitlines() if line.strip()), "it printed no total")
