"""What the two ends of a path explain: a full CPU, segments sent again, a sender slower than it was asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from pytest_calico_perf.model import CellResult, Path, Unit
from pytest_calico_perf.parsing import mappings
from pytest_calico_perf.remarks.runs import Direction, directions, number, numbers, of_runs
from pytest_calico_perf.units import format_percent, format_value

_UNEVEN = 2.0  # a factor; a healthy lab on a busy machine has shown 1.5
_UNEVEN_RUNS = 0.75  # of the runs agree on which direction is slower

# Of what a process on one core can have; the rest is waiting. iperf3 adds user and system time of itself.
_FULL = 0.95
_THREADED = (3, 16)  # the first iperf3 with a thread per stream (its release notes)

# Mathis et al. 1997: at a loss of p a window settles at 1.22/sqrt(p) segments, 12 at 1 %. No LAN is filled by
# that. CUBIC does no better where round trips are short (RFC 9438, 4.3). BBR backs off at 2 %
# (draft-ietf-ccwg-bbr, BBR.LossThresh), and a healthy lab loses up to 1 % with it.
_LOSSY = 0.01
_LOSSY_FOR_BBR = 0.02
_LOW = 0.9  # of the control: below it there is something to explain

_OFFERED = 0.95  # of the rate asked for
_LOST = 0.1  # of the datagrams; a busy machine alone has lost 6 % of them at 500 Mbit/s


def uneven_directions(result: CellResult) -> Iterator[str]:
    """One direction is far slower than the other."""
    pairs = [
        (there, back)
        for run in result.runs
        if isinstance(run.get("reverse"), Mapping)
        and (there := number(run.get("goodput")))
        and (back := number(run["reverse"].get("goodput")))
    ]
    if not pairs:
        return
    factors = [there / back for there, back in pairs]
    factor = median(factors)
    if 1 / _UNEVEN < factor < _UNEVEN:
        return
    agree = sum((each > 1) is (factor > 1) for each in factors)
    if agree < _UNEVEN_RUNS * len(factors):
        return
    forward, backward = (
        format_value(median(rates), Unit.BIT_PER_SECOND) for rates in zip(*pairs, strict=True)
    )
    times = f"{max(factor, 1 / factor):.3g}"
    yield (
        f"the directions differ by a factor of {times}: {forward} from client to server, {backward} back; "
        "look for a policer, an offload or a duplex setting at one end only"
    )


def sent_again(result: CellResult) -> Iterator[str]:
    """So many segments were sent again that loss explains a low figure."""
    for direction in directions(result):
        shares = [share for run in direction.runs if (share := _resent(run)) is not None]
        if not shares:
            continue
        bbr = any("bbr" in str(run.get("congestion_control")) for run in direction.runs)
        share = median(shares)
        if share < (_LOSSY_FOR_BBR if bbr else _LOSSY) or not _is_low(result, direction):
            continue
        count = median(numbers(direction.runs, "retransmits"))
        yield (
            f"loss explains this figure: {format_percent(share)} of the segments were sent again "
            f"({count:.0f} in a run){direction.says}; see where they are dropped: "
            "ethtool -S, tc -s qdisc and nstat on both nodes"
        )


def _resent(run: Mapping[str, Any]) -> float | None:
    """Fraction of the segments that were sent again; None where the run does not tell."""
    again, sent, seconds, mss = (number(run.get(key)) for key in ("retransmits", "sent", "seconds", "mss"))
    if again is None or not sent or not seconds or not mss:
        return None
    return again / (sent * seconds / 8 / mss)


def _is_low(result: CellResult, direction: Direction) -> bool:
    """Whether a direction is slower than the hosts were in the same rounds; without a control, who knows."""
    rates = zip(result.rounds, direction.runs, strict=False)
    ratios = [
        rate / control
        for number_, run in rates
        if (rate := number(run.get("goodput"))) and (control := result.control.get(number_))
    ]
    return not ratios or median(ratios) < _LOW


def busy_ends(result: CellResult) -> Iterator[str]:
    """An end had no CPU time left: its figure is that CPU's."""
    for direction in directions(result):
        for end in ("client", "server"):
            shares = [share for run in direction.runs if (share := _cpu(run, end)) is not None]
            if shares and median(shares) >= _FULL:
                work = "sends" if end == direction.sender else "receives"
                yield (
                    f"a CPU explains this figure: the {end}, which {work}, used "
                    f"{format_percent(median(shares))} of what its threads can have{direction.says}; "
                    f"the network may be faster than {_host_or_pod(result, end)} can {work.removesuffix('s')}"
                )


def _cpu(run: Mapping[str, Any], end: str) -> float | None:
    """CPU time of an end as a fraction of what its threads could have used."""
    used = number(run.get(f"cpu_{end}"))
    if used is None:
        return None
    version = re.match(r"(\d+)\.(\d+)", str(run.get(f"version_{end}")), re.ASCII)
    threaded = version is not None and (int(version[1]), int(version[2])) >= _THREADED
    streams = number(run.get("streams")) or 1.0
    return used / (streams if threaded else 1.0)


def _host_or_pod(result: CellResult, end: str) -> str:
    path: Path = result.cell.path
    return f"this {path.client if end == 'client' else path.server}"


def unlike_offered(result: CellResult) -> Iterator[str]:
    """UDP: the sender did not reach the rate it was asked for, or datagrams were lost on the way."""
    if result.cell.probe != "udp":
        return
    sent = [
        offered / rate
        for run in result.runs
        if (rate := number(run.get("rate"))) and (offered := number(run.get("offered")))
    ]
    losses = numbers(result.runs, "loss")
    rates = numbers(result.runs, "rate")
    if not rates:
        return
    asked = format_value(max(rates), Unit.BIT_PER_SECOND)
    if sent and (share := median(sent)) < _OFFERED:
        offered_text = format_value(share * max(rates), Unit.BIT_PER_SECOND)
        yield (
            f"the sender is the limit: it sent {offered_text} of the {asked} it was asked for"
            f"{_sender_cpu(result)}, so that this figure says nothing of the network beyond its own link"
        )
    if losses and (loss := median(losses)) >= _LOST:
        some = sum(each >= _LOST for each in losses)
        yield (
            f"{format_percent(loss)} of the datagrams were lost at {asked} {of_runs(some, losses)}: "
            f"on the way, or in the buffer of a slow receiver{_highest_without_loss(result)}"
        )


def _sender_cpu(result: CellResult) -> str:
    used = numbers(result.runs, "cpu_client")
    return f" (its CPU: {format_percent(median(used))} of a core)" if used else ""


def _highest_without_loss(result: CellResult) -> str:
    clean = {
        rate
        for run in result.runs
        for entry in mappings(run.get("rates"))
        if (rate := number(entry.get("rate"))) and (number(entry.get("loss")) or 0.0) < _LOST
    }
    lossy = {
        rate
        for run in result.runs
        for entry in mappings(run.get("rates"))
        if (rate := number(entry.get("rate"))) and (number(entry.get("loss")) or 0.0) >= _LOST
    }
    whole = clean - lossy
    return f"; at {format_value(max(whole), Unit.BIT_PER_SECOND)} they arrive" if whole else ""
