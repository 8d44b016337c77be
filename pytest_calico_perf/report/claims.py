"""Who is ahead and by how much, as far as the intervals allow.

Which probe and path speaks first is fixed beforehand (`_TELLING`, `_PATHS`), never chosen by what it says, so
that a claim is no pick of the luckiest figure. A difference is one whose 95 % interval excludes 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_calico_perf.model import Better, Cell, CellResult, Outcome, Path, Ratio, RunRecord, Unit
from pytest_calico_perf.report.words import listed, mode_words, ratio_words
from pytest_calico_perf.stats import paired_ratio, summarize
from pytest_calico_perf.units import scale_for

_TELLING = ("tcp", "tcp-parallel", "iperf", "http-keepalive", "http", "connect", "udp")
_LATENCY = "ping"
_PATHS = (
    Path.POD_TO_POD,
    Path.POD_TO_SERVICE,
    Path.HOST_TO_POD,
    Path.POD_TO_HOST,
    Path.POD_TO_POD_SAME_NODE,
)
_MEASURED = frozenset({Outcome.OK, Outcome.SLOW, Outcome.REGRESSED, Outcome.INCONCLUSIVE})
_VERBS = {
    Unit.BIT_PER_SECOND: ("moves", "what"),
    Unit.REQUEST_PER_SECOND: ("answers", "the HTTP requests that"),
    Unit.CONNECTION_PER_SECOND: ("opens", "the TCP connections that"),
    Unit.SECOND: ("", ""),
}
_MEDIA = {
    "tcp-parallel": " over parallel TCP streams",
    "iperf": " by iperf 2",
    "http-keepalive": " over kept connections",
    "udp": " over UDP",
}
_MORE = {
    Unit.BIT_PER_SECOND: "move more",
    Unit.REQUEST_PER_SECOND: "answer more HTTP requests",
    Unit.CONNECTION_PER_SECOND: "open more TCP connections",
    Unit.SECOND: "have a shorter round trip",
}
_WHAT = {
    Unit.BIT_PER_SECOND: "in throughput",
    Unit.REQUEST_PER_SECOND: "in HTTP requests",
    Unit.CONNECTION_PER_SECOND: "in new TCP connections",
    Unit.SECOND: "in round-trip time",
}
_NAMED = 2  # modes named with their ratio; the rest is counted
_WIDEST = 4.0  # an interval whose ends lie further apart says nothing that is worth a headline
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Claim:
    """What the first path that can say something says.

    Attributes:
        text: Who is ahead, or what a mode alone had: no capital, no full stop.
        decided: Whether it says more than that no difference is shown.
    """

    text: str
    decided: bool


def claims(record: RunRecord) -> tuple[Claim, ...]:
    """What is claimed of how much is carried, then of how fast; nothing of what was not measured."""
    return tuple(claim for probes in (_TELLING, (_LATENCY,)) for claim in _claim(record, probes))


def _claim(record: RunRecord, probes: Sequence[str]) -> Iterator[Claim]:
    """What the first path and probe that can say something say; nothing where none can."""
    groups = [
        contenders for path in _PATHS for probe in probes if (contenders := _contenders(record, probe, path))
    ]
    if not groups:
        groups = [
            [result]
            for result in record.results
            if result.cell.probe in probes and result.cell.mode is None and _counts(result)
        ]
    # A comparison says more than a value, so a path on which two modes live goes first.
    for contenders in sorted(groups, key=lambda group: len(group) < 2)[:1]:
        yield _compared(contenders) if len(contenders) > 1 else _alone(contenders[0])


def _contenders(record: RunRecord, probe: str, path: Path) -> list[CellResult]:
    """The modes measured on a path in rounds they share with the first of them, in the run's order."""
    found = {
        result.cell.mode: result
        for result in record.results
        if result.cell.probe == probe and result.cell.path is path and _counts(result)
    }
    ordered = [found[mode] for mode in dict.fromkeys((*record.modes, *found)) if mode in found]
    return [result for result in ordered if result.by_round.keys() & ordered[0].by_round.keys()]


def _counts(result: CellResult) -> bool:
    return bool(result.samples) and result.outcome in _MEASURED


def _compared(contenders: Sequence[CellResult]) -> Claim:
    """The mode that is ahead against those behind it, then those it is not told apart from.

    Where the base is not told apart from the one ahead, it is the others that are held against the base, as
    in the table: naming another one first would make a winner of it.
    """
    base, sign = contenders[0], 1 if contenders[0].better is Better.HIGHER else -1
    known = [(result, paired_ratio(base.by_round, result.by_round)) for result in contenders]
    first, to_base = max(known, key=lambda each: sign * (each[1].value if each[1] else 1.0))
    if to_base is None or not _differs(to_base):
        first = base
    behind: dict[str, Ratio] = {}
    ahead: dict[str, Ratio] = {}
    ties: list[tuple[CellResult, CellResult]] = []
    for result in contenders:
        ratio = paired_ratio(result.by_round, first.by_round) if result is not first else None
        if ratio is None:
            continue
        if not _differs(ratio):
            ties.append(
                (first, result) if contenders.index(first) < contenders.index(result) else (result, first)
            )
        elif (ratio.value > 1) is (sign > 0):
            behind[mode_words(result.cell.mode)] = ratio
        elif turned := paired_ratio(first.by_round, result.by_round):
            ahead[mode_words(result.cell.mode)] = turned
    name, where = mode_words(first.cell.mode), _where(first.cell)
    sized = {mode: ratio for mode, ratio in behind.items() if not _is_wide(ratio)}
    parts = []
    if sized:
        said = [
            _says(first.unit, name if not nth else "", mode, where if not nth else "", ratio)
            for nth, (mode, ratio) in enumerate(_some(sized))
        ]
        more = len(sized) - len(said)
        parts.append(listed([*said, *([f"is ahead of {more} more"] if more else [])]))
    if unsized := [mode for mode in behind if mode not in sized]:
        parts.append(_unsized(first.unit, name, listed(unsized), "" if sized else where))
    parts += [
        _unsized(first.unit, mode, name, where)
        if _is_wide(ratio)
        else _says(first.unit, mode, name, where, ratio)
        for mode, ratio in _some(ahead)
    ]
    if ties:
        parts.append(_tied(first, ties, "" if parts else where))
    decided = bool(behind or ahead)
    return Claim("; ".join(parts), decided)


def _tied(first: CellResult, pairs: Sequence[tuple[CellResult, CellResult]], where: str) -> str:
    """`no difference shown between IPIP and BGP pod-to-pod in throughput: BGP 0.99 times IPIP (95 %: ...)`.

    Args:
        first: The one that all pairs have in common.
        pairs: Contenders in the run's order: the second is divided by the first.
        where: The path, where it is not said yet.
    """
    others = [mode_words((b if a is first else a).cell.mode) for a, b in pairs]
    names = [mode_words(each.cell.mode) for each in pairs[0]] if len(pairs) == 1 else [
        mode_words(first.cell.mode), listed(others, "or")
    ]  # fmt: skip
    place = f" {where} {_WHAT[first.unit]}" if where else ""
    ratios = {
        (mode_words(b.cell.mode), mode_words(a.cell.mode)): ratio
        for a, b in pairs
        if (ratio := paired_ratio(a.by_round, b.by_round)) and not _is_wide(ratio)
    }
    if not ratios:
        everybody = listed(names if len(pairs) == 1 else [names[0], *others])
        return f"too few rounds to say whether {everybody} differ{place}"
    shown = ", ".join(_times(*modes, ratio) for modes, ratio in _some(ratios))
    return f"no difference shown between {names[0]} and {names[1]}{place}: {shown}"


def _alone(result: CellResult) -> Claim:
    """The value of the only mode there is, and its share of what two hosts had."""
    summary = summarize(result.samples)
    scale = scale_for([summary], result.unit)
    who = f"{mode_words(result.cell.mode)} " if result.cell.mode else ""
    what = " round trip" if result.unit is Unit.SECOND else ""
    text = f"{who}{_where(result.cell)}{what}: {scale.text(summary.median)}"
    if summary.low is not None and summary.high is not None:
        text += f" ({scale.number(summary.low)} to {scale.number(summary.high)})"
    if result.cell.mode and (ratio := paired_ratio(result.control, result.by_round)):
        text += f", {ratio_words(ratio)} of host-to-host"
    return Claim(text, decided=True)


def _differs(ratio: Ratio) -> bool:
    return ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high


def _is_wide(ratio: Ratio) -> bool:
    """Whether a ratio is not worth telling: of one round, or with an interval that allows almost anything."""
    return ratio.low is None or ratio.high is None or ratio.high > _WIDEST * ratio.low


def _some(ratios: Mapping[_Key, Ratio]) -> list[tuple[_Key, Ratio]]:
    """At most two: the one furthest off, and the closest."""
    ordered = sorted(ratios.items(), key=lambda each: abs(math.log(each[1].value)), reverse=True)
    return ordered if len(ordered) <= _NAMED else [ordered[0], ordered[-1]]


def _says(unit: Unit, ahead: str, mode: str, where: str, ratio: Ratio) -> str:
    """`BGP moves 1.50 times what IPIP moves pod-to-pod (95 %: 1.44 to 1.57)`; without `ahead` its rest."""
    value, bracket, interval = ratio_words(ratio).partition(" (")
    verb, what = _VERBS[unit]
    what = what if ahead else "what"
    if unit is Unit.SECOND:
        text = f"{f'a round trip takes {ahead} ' if ahead else ''}{value} times what it takes {mode}"
    else:
        text = f"{f'{ahead} {verb} ' if ahead else ''}{value} times {what} {mode} {verb}"
    return f"{text}{f' {where}' if where else ''}{bracket}{interval}"


def _unsized(unit: Unit, ahead: str, behind: str, where: str) -> str:
    """`BGP is shown to move more than IPIP pod-to-pod, too few rounds to say how much`."""
    place = f" {where}" if where else ""
    return f"{ahead} is shown to {_MORE[unit]} than {behind}{place}, too few rounds to say how much"


def _times(mode: str, base: str, ratio: Ratio) -> str:
    """`VXLAN 1.08 times BGP (95 %: 0.98 to 1.19)`."""
    value, bracket, interval = ratio_words(ratio).partition(" (")
    return f"{mode} {value} times {base}{bracket}{interval}"


def _where(cell: Cell) -> str:
    """`pod-to-pod`, and over what where that is not a single TCP stream or an echo."""
    return f"{cell.path}{_MEDIA.get(cell.probe, '')}"
