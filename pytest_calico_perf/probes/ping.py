"""Round-trip time by ICMP echo: `ping` of iputils, BusyBox or inetutils."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median_grouped
from typing import Self

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.errors import CellProblem, ToolProblem, Unreachable
from pytest_calico_perf.model import Better, Measurement, Path, Unit
from pytest_calico_perf.parsing import blaming, finite, last_line, positive, whole
from pytest_calico_perf.probes.base import Measure, has_run

# iputils `64 bytes from A: icmp_seq=1 ttl=63 time=0.023 ms`, BusyBox the same with `seq=0`.
_REPLY = re.compile(r"\b(?:icmp_)?seq=(\d+)\b.*\btime([=<])(\d+(?:\.\d+)?) ?ms\b(.*)", re.ASCII)
_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received", re.ASCII)
_ICMP_ERROR = re.compile(r"^From \S+:? (?:icmp_)?seq=\d+ (?!.*\btime[=<])(.+)$", re.MULTILINE)
_OWN_ERROR = re.compile(r"^ping: (.+)$", re.MULTILINE)
# What a local kernel answers to a packet it cannot send; anything else after `ping:` is ping's own trouble.
_NO_PATH = re.compile(r"unreachable|no route to host|message too long", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r"permi|cap_net_raw", re.IGNORECASE)
_TIMED_PAYLOAD = 16  # bytes; below that iputils has no room for its timestamp and prints no time
_SEQUENCES = 65535  # echoes until the 16-bit sequence number comes round and replies look like duplicates


@dataclass(frozen=True)
class PingReport:
    """What one run of ping said. Times in seconds.

    Attributes:
        median: Grouped median: interpolated inside the tool's own resolution (see `parse_ping`).
        p90: 90th percentile, nearest rank.
        p99: 99th percentile, nearest rank.
        min: Smallest.
        max: Largest.
        mean: Arithmetic mean.
        jitter: Mean absolute difference of the times of consecutive echoes, i.e. the plain mean of the |D|
            whose running average RFC 3550, 6.4.1 calls jitter; None without two consecutive replies.
        resolution: The last digit ping printed at the median.
        loss: Fraction of echoes without a reply, 0..1.
        sent: Echoes sent.
        received: Replies, duplicates not counted.
        duplicates: Replies to an echo that had one.
        out_of_order: Replies that came after the reply to a later echo.
        percentiles: The distribution: all times in order where there are at most 101, else the smallest and
            the 1st to 100th percentile, nearest rank.
    """

    median: float
    p90: float
    p99: float
    min: float
    max: float
    mean: float
    jitter: float | None
    resolution: float
    loss: float
    sent: int
    received: int
    duplicates: int
    out_of_order: int
    percentiles: tuple[float, ...]


@dataclass(frozen=True)
class _Reply:
    sequence: int
    seconds: float
    resolution: float  # the last digit of `seconds`


def parse_ping(text: str, errors: str = "") -> PingReport:
    """Read what ping printed.

    iputils prints microseconds below 1 ms, 10 us below 10 ms, 100 us below 100 ms (`ping_common.c`,
    `gather_statistics`); BusyBox microseconds always. A lab path takes 10 us, so a plain median would move in
    steps of 10 %. The grouped median takes each printed time for the middle of an interval as wide as its
    last digit and interpolates in the interval that holds the median (`statistics.median_grouped`); where the
    middle two times differ it is their mean, as ever.

    Args:
        text: Its standard output.
        errors: Its standard error.

    Raises:
        Unreachable: No echo was answered; the message holds the ICMP reason where ping printed one.
        ToolProblem: It printed no summary, or what it printed does not add up.
    """
    replies, duplicates = _replies(text)
    summary = _SUMMARY.search(text)
    if not replies:
        raise _silence(text, errors, summary)
    if summary is None:
        raise ToolProblem(f"ping ended early: {last_line(errors if errors.strip() else text)}")
    sent, received = (whole(count, "ping's count of packets") for count in summary.groups())
    if not 0 < len(replies) == received <= sent:
        raise ToolProblem(f"ping counts {received} replies to {sent} echoes and printed {len(replies)}")
    times = [reply.seconds for reply in replies]
    ordered = sorted(times)
    resolution = min(r.resolution for r in replies if r.seconds == ordered[received // 2])
    return PingReport(
        median=positive(_median(ordered, resolution), "ping's median round-trip time"),
        p90=_nearest_rank(ordered, 0.90),
        p99=_nearest_rank(ordered, 0.99),
        min=ordered[0],
        max=ordered[-1],
        mean=fmean(times),
        jitter=_jitter(replies),
        resolution=resolution,
        loss=(sent - received) / sent,
        sent=sent,
        received=received,
        duplicates=duplicates,
        out_of_order=sum(b.sequence < a.sequence for a, b in pairwise(replies)),
        percentiles=_percentiles(ordered),
    )


def _replies(text: str) -> tuple[list[_Reply], int]:
    """Replies in order of arrival, one per echo, and the number of duplicates."""
    replies: dict[int, _Reply] = {}
    duplicates = 0
    for match in map(_REPLY.search, text.splitlines()):
        if match is None:
            continue
        sequence = whole(match[1], "ping's sequence number")
        if sequence in replies:
            duplicates += 1
            continue
        value = finite(f"{match[3]}e-3", "ping's round-trip time")
        if match[2] == "<":  # `time<1 ms`: somewhere between 0 and 1
            replies[sequence] = _Reply(sequence, value / 2, resolution=value)
        else:
            replies[sequence] = _Reply(sequence, value, 10.0 ** -(3 + len(match[3].partition(".")[2])))
    return list(replies.values()), duplicates


def _silence(text: str, errors: str, summary: re.Match[str] | None) -> CellProblem:
    said = f"{text}\n{errors}"
    own = _OWN_ERROR.findall(said)
    reasons = Counter([*_ICMP_ERROR.findall(said), *filter(_NO_PATH.search, own)])
    if reasons:
        return Unreachable(f"ping got no reply: {reasons.most_common(1)[0][0][:200]}")
    if own or summary is None:
        words = "; ".join(own)[:300] if own else last_line(errors if errors.strip() else text)
        remedy = "ping needs CAP_NET_RAW there" if _NOT_ALLOWED.search(words) else ""
        return ToolProblem(f"ping failed: {words}", remedy=remedy)
    if summary[2].strip("0"):
        return ToolProblem("ping printed no times", remedy="its payload must have room for a timestamp")
    return Unreachable(f"ping got no reply to {summary[1][:20]} echoes and no ICMP error either")


def _median(ordered: Sequence[float], resolution: float) -> float:
    lower, upper = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return median_grouped(ordered, resolution) if lower == upper else (lower + upper) / 2


def _jitter(replies: Sequence[_Reply]) -> float | None:
    by_sequence = {reply.sequence: reply.seconds for reply in replies}
    steps = [abs(by_sequence[n + 1] - time) for n, time in by_sequence.items() if n + 1 in by_sequence]
    return fmean(steps) if steps else None


def _percentiles(ordered: Sequence[float]) -> tuple[float, ...]:
    if len(ordered) <= 101:
        return tuple(ordered)
    return (ordered[0], *(_nearest_rank(ordered, percent / 100) for percent in range(1, 101)))


def _nearest_rank(ordered: Sequence[float], fraction: float) -> float:
    return ordered[math.ceil(fraction * len(ordered)) - 1]


@dataclass(frozen=True)
class Ping:
    """Median round-trip time of a train of echoes, in seconds.

    Attributes:
        count: Echoes.
        interval: Seconds between two of them. iputils lets an ordinary user go down to 2 ms (200 ms before
            s20210722).
        payload: Bytes of data in each; at least 16, or ping cannot time it.

    Raises:
        ValueError: A parameter makes no measurement.
    """

    count: int = 200
    interval: float = 0.002
    payload: int = 56

    name = "ping"
    unit = Unit.SECOND
    better = Better.LOWER
    tools = ("ping",)
    once = False

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _SEQUENCES:
            raise ValueError(f"count must be 1 to {_SEQUENCES}, not {self.count}")
        if not 0 < self.interval < math.inf:
            raise ValueError(f"interval must be more than 0 seconds, not {self.interval}")
        if self.payload < _TIMED_PAYLOAD:
            raise ValueError(f"payload must be at least {_TIMED_PAYLOAD} bytes, not {self.payload}")

    @property
    def seconds(self) -> float:
        return self.count * self.interval + 0.05

    def suits(self, path: Path) -> bool:
        return not path.via_service  # a ClusterIP is a rule for TCP and UDP ports: nobody answers an echo

    def lasting(self, seconds: float) -> Self:
        return dataclasses.replace(self, count=min(_SEQUENCES, max(1, round(seconds / self.interval))))

    def describe(self) -> str:
        return " ".join(self._command("HOST"))

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Measure]:
        def measure() -> Measurement:
            with blaming(pair.client.name):
                result = has_run(pair.client.run(self._command(pair.server.address), limit=self.seconds + 10))
                report = parse_ping(result.stdout, result.stderr)
            return Measurement(report.median, result.seconds, dataclasses.asdict(report))

        yield measure

    def _command(self, address: str) -> list[str]:
        # -W 1: how long to wait for replies to the last echo.
        return ["ping", "-n", "-c", str(self.count), "-i", f"{self.interval:g}",
                "-s", str(self.payload), "-W", "1", address]  # fmt: skip
