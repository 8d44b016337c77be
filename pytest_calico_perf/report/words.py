"""Modes, paths and ratios as a page says them to somebody who was not there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pytest_calico_perf.model import Mode, Outcome, Path, Ratio

_MODES = {
    Mode.BGP: "BGP",
    Mode.IPIP: "IPIP",
    Mode.IPIP_CROSS_SUBNET: "IPIP cross-subnet",
    Mode.VXLAN: "VXLAN",
    Mode.VXLAN_CROSS_SUBNET: "VXLAN cross-subnet",
    Mode.CURRENT: "the present mode",
}

MODE_MEANINGS = {
    Mode.BGP: "no encapsulation: nodes learn pod addresses by BGP and send pod packets as they are",
    Mode.IPIP: "every pod packet to another node travels inside a second IP packet, 20 bytes larger",
    Mode.IPIP_CROSS_SUBNET: "IPIP between subnets, no encapsulation within one",
    Mode.VXLAN: "every pod packet to another node travels inside a UDP packet, 50 bytes larger",
    Mode.VXLAN_CROSS_SUBNET: "VXLAN between subnets, no encapsulation within one",
    Mode.CURRENT: "whatever the cluster had: nothing was changed",
}

PATH_MEANINGS = {
    Path.HOST_TO_HOST: "from node to node without any pod: what the network itself can do",
    Path.HOST_TO_POD: "from a node to a pod on another node",
    Path.POD_TO_HOST: "from a pod to another node",
    Path.POD_TO_POD: "from a pod to a pod on another node",
    Path.POD_TO_POD_SAME_NODE: "between two pods on one node: no encapsulation in any mode",
    Path.POD_TO_SERVICE: "from a pod to a pod on another node, through a Service's address",
}

OUTCOME_MEANINGS = {
    Outcome.OK: "measured, and nothing that was demanded is missed",
    Outcome.SLOW: "misses a threshold or an expectation",
    Outcome.REGRESSED: "worse than an earlier run allows",
    Outcome.INCONCLUSIVE: "measured, but too noisy to say whether a demand is met",
    Outcome.UNREACHABLE: "no packet, or no payload, gets from client to server",
    Outcome.WRONG_PATH: "measured, but the packets did not go the mode's way: the value counts nowhere",
    Outcome.TOOL_ERROR: "a tool is missing, died, ran out of time, or said what cannot be true",
    Outcome.UNSUPPORTED: "cannot exist here, so it was skipped",
}

# Shapes that differ without colour; a screen reader gets the outcome's word, which stands beside it.
SIGNS = {
    Outcome.OK: "\N{CHECK MARK}",
    Outcome.SLOW: "\N{BLACK DOWN-POINTING TRIANGLE}",
    Outcome.REGRESSED: "\N{BLACK DOWN-POINTING TRIANGLE}",
    Outcome.INCONCLUSIVE: "?",
    Outcome.UNREACHABLE: "\N{MULTIPLICATION X}",
    Outcome.WRONG_PATH: "\N{NOT EQUAL TO}",
    Outcome.TOOL_ERROR: "!",
    Outcome.UNSUPPORTED: "\N{EN DASH}",
}

_USUAL_DECIMALS, _MOST_DECIMALS = 3, 5


def mode_words(mode: Mode | None) -> str:
    """A mode's name in a sentence: `BGP`, `VXLAN cross-subnet`; of hosts, which have none, `host-to-host`."""
    return _MODES[mode] if mode else str(Path.HOST_TO_HOST)


def listed(words: Iterable[str], joint: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    known = list(words)
    return f" {joint} ".join(filter(None, (", ".join(known[:-1]), known[-1]))) if known else ""


def ratio_numbers(ratio: Ratio) -> Sequence[str]:
    """Value and both ends of a ratio, as exact as the interval is worth; without an interval the value alone.

    Of half the interval's width two digits are shown where they are at most 35, else one (the rule of the
    Particle Data Group, Review of Particle Physics, Introduction 5.3): `1.50`, `1.44`, `1.57`. An end beside
    1 keeps the decimals that tell it from 1, which says whether the two differ.
    """
    if ratio.low is None or ratio.high is None:
        return (number(ratio.value, 2),)
    half = (ratio.high - ratio.low) / 2
    decimals = _USUAL_DECIMALS
    if 0 < half < math.inf:
        size = math.floor(math.log10(half))
        digits = 2 if half / 10**size < 3.55 else 1
        decimals = max(1, min(_USUAL_DECIMALS, digits - 1 - size))
    ends = (ratio.low, ratio.high)
    while decimals < _MOST_DECIMALS and any(end != 1 and float(f"{end:.{decimals}f}") == 1 for end in ends):
        decimals += 1
    return (number(ratio.value, decimals), *(number(end, decimals) for end in ends))


def number(value: float, decimals: int) -> str:
    """A ratio with so many decimals; what is out of all proportion as a bound."""
    if value >= 1000:
        return ">1000"
    return f"<{10**-decimals:.{decimals}f}" if 0 < value < 10**-decimals else f"{value:.{decimals}f}"


def ratio_words(ratio: Ratio) -> str:
    """`1.50 (95 %: 1.44 to 1.57)`; of one round the value alone, which says so."""
    value, *ends = ratio_numbers(ratio)
    if not ends:
        return f"{value} (one round, no interval)"
    return f"{value} (95 %: {ends[0]} to {ends[1]})"


def shortened(words: str, most: int) -> str:
    """On one line, and cut behind a word where it is longer than `most` characters."""
    line = " ".join(words.split())
    if len(line) <= most:
        return line
    kept = line[: most + 1].rpartition(" ")[0] or line[:most]
    return f"{kept.rstrip(' ,;:')} ..."
