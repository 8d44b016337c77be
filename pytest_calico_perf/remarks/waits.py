"""Waits that a median hides: echoes lost or late, requests that waited for a segment to be sent again."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from pytest_calico_perf.model import CellResult, Unit
from pytest_calico_perf.remarks.runs import numbers, of_runs
from pytest_calico_perf.units import format_percent, format_value

_LOSS = 0.01  # of the echoes

# Below a millisecond it may be the scheduler of either end; 1 % of the echoes is what p99 is about.
_TAIL = 10.0  # times the median
_LEAST_TAIL = 1e-3  # seconds

_SYN_TIMEOUT = 1.0  # seconds until a lost SYN is sent again (RFC 6298, 2.1)
_LEAST_TIMEOUT = 0.2  # seconds until any other segment is: Linux, TCP_RTO_MIN (include/net/tcp.h)


def lost_echoes(result: CellResult) -> Iterator[str]:
    """Echoes without an answer, or with two."""
    sent, received = (sum(numbers(result.runs, key)) for key in ("sent", "received"))
    if result.cell.probe != "ping" or not sent:
        return
    if (loss := 1 - received / sent) >= _LOSS:
        yield f"{format_percent(loss)} of {sent:.0f} echoes got no answer: packets are lost, TCP will be slow"
    if twice := sum(numbers(result.runs, "duplicates")):
        yield f"{twice:.0f} echoes were answered twice: two machines may have one address, or a bridge loops"


def slow_echoes(result: CellResult) -> Iterator[str]:
    """One echo in a hundred takes many times the median."""
    pairs = list(zip(numbers(result.runs, "median"), numbers(result.runs, "p99"), strict=False))
    if result.cell.probe != "ping" or not pairs:
        return
    tail, usual = median(p99 for _, p99 in pairs), median(middle for middle, _ in pairs)
    if tail >= max(_LEAST_TAIL, _TAIL * usual):
        late, middle = format_value(tail, Unit.SECOND), format_value(usual, Unit.SECOND)
        yield (
            f"the round-trip time has a long tail: one echo in a hundred takes {late} or more, "
            f"{tail / usual:.0f} times the median ({middle}); a queue on the way, or a CPU that is taken away"
        )


def slow_requests(result: CellResult) -> Iterator[str]:
    """A request that waited as long as TCP does before it sends a segment again."""
    longest = numbers(result.runs, "longest")
    if not longest:
        return
    syn = sum(each >= _SYN_TIMEOUT for each in longest)
    late = sum(each >= _LEAST_TIMEOUT for each in longest)
    if not syn and late < max(2, len(longest) / 2):
        return
    limit, what = (_SYN_TIMEOUT, "SYN") if syn else (_LEAST_TIMEOUT, "segment")
    some = syn or late
    usual = numbers(result.runs, "p50")
    against = f" against a median of {format_value(median(usual), Unit.SECOND)}" if usual else ""
    yield (
        f"the longest request took {format_value(max(longest), Unit.SECOND)}{against}; "
        f"{format_value(limit, Unit.SECOND)} or more {of_runs(some, longest)}, "
        f"as long as TCP waits before it sends a lost {what} again"
    )
