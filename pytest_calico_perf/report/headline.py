"""What came of a run in one sentence: who is ahead and by how much, what got worse, what is dead.

It claims what the intervals allow and no more: a difference is one whose 95 % interval excludes 1, as in the
comparison; everything else is "no difference shown". Which probe and path speaks first is fixed beforehand
(`_TELLING`, `_PATHS`), never chosen by what it says, so that the sentence is no pick of the luckiest figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_calico_perf.gate.request import FILE_FLAG, FOLDER_FLAG, GATE_FLAG
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
_EARLIER = frozenset({FILE_FLAG, FOLDER_FLAG, GATE_FLAG})
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
_LONGEST_PROBLEM = 300
_NAMED = 2  # cells named in a clause; the rest is counted


class Tone(StrEnum):
    """How a reader should take a clause."""

    GOOD = "good"
    PLAIN = "plain"  # a fact, neither good nor bad: which mode is ahead
    DOUBT = "doubt"
    BAD = "bad"


@dataclass(frozen=True)
class Clause:
    """One part of the sentence: no capital, no full stop."""

    text: str
    tone: Tone


@dataclass(frozen=True)
class Headline:
    """What came of a run, clause by clause.

    Attributes:
        clauses: In the order in which they are said; at least one.
    """

    clauses: tuple[Clause, ...]

    @property
    def sentence(self) -> str:
        """All of it as one sentence of plain text."""
        text = "; ".join(clause.text for clause in self.clauses)
        return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"

    @property
    def tone(self) -> Tone:
        """The worst of its clauses' tones."""
        return max((clause.tone for clause in self.clauses), key=list(Tone).index)


def headline(record: RunRecord) -> Headline:
    """The sentence for a run, whatever came of it."""
    clauses = list(_clauses(record))
    if record.interrupted:
        clauses.append(Clause("the run was cut short", Tone.DOUBT))
    return Headline(tuple(clauses))


def _clauses(record: RunRecord) -> Iterator[Clause]:
    if record.problem:
        yield Clause(f"nothing could be measured: {_in_short(record.problem)}", Tone.BAD)
        if not record.results:
            return
    if not record.results:
        yield Clause("no cell was measured", Tone.DOUBT)
        return
    claims = [claim for probes in (_TELLING, (_LATENCY,)) for claim in _claim(record, probes)]
    if not claims and not any(result.samples for result in record.results):
        claims = [Clause("nothing was measured", Tone.DOUBT)]
    yield from claims
    yield from _judged(record.results)
    yield from _broken(record.results)


def _in_short(problem: str) -> str:
    line = " ".join(problem.split())
    return line if len(line) <= _LONGEST_PROBLEM else f"{line[:_LONGEST_PROBLEM].rstrip()}..."


# -- who is ahead ------------------------------------------------------------------------------


def _claim(record: RunRecord, probes: Sequence[str]) -> Iterator[Clause]:
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


def _compared(contenders: Sequence[CellResult]) -> Clause:
    """The mode that is ahead against the others: first those it is not told apart from, then those behind."""
    base, sign = contenders[0], 1 if contenders[0].better is Better.HIGHER else -1
    known = [(result, paired_ratio(base.by_round, result.by_round)) for result in contenders]
    first = max(known, key=lambda each: sign * (each[1].value if each[1] else 1.0))[0]
    ratios = {
        mode_words(result.cell.mode): ratio
        for result in contenders
        if result is not first and (ratio := paired_ratio(result.by_round, first.by_round))
    }
    ahead, where = mode_words(first.cell.mode), _where(first.cell)
    ties = {mode: ratio for mode, ratio in ratios.items() if not _differs(ratio)}
    behind = {mode: ratio for mode, ratio in ratios.items() if mode not in ties}
    parts = []
    if ties:
        shown = ", ".join(_times(mode, ratio) for mode, ratio in _some(ties))
        than = f"{_MORE[first.unit]} than {listed(ties, 'or')} {where}"
        parts.append(f"{ahead} is not shown to {than}: {shown}")
    if behind:
        said = [
            _says(first.unit, ahead if not nth else "", mode, where if not (nth or ties) else "", ratio)
            for nth, (mode, ratio) in enumerate(_some(behind))
        ]
        more = len(behind) - len(said)
        parts.append(listed([*said, *([f"is ahead of {more} more"] if more else [])]))
    return Clause("; ".join(parts), Tone.PLAIN)


def _alone(result: CellResult) -> Clause:
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
    return Clause(text, Tone.PLAIN)


def _differs(ratio: Ratio) -> bool:
    return ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high


def _some(ratios: Mapping[str, Ratio]) -> list[tuple[str, Ratio]]:
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


def _times(mode: str, ratio: Ratio) -> str:
    """`1.08 times VXLAN (95 %: 0.98 to 1.19)`."""
    value, bracket, interval = ratio_words(ratio).partition(" (")
    return f"{value} times {mode}{bracket}{interval}"


def _where(cell: Cell) -> str:
    """`pod-to-pod`, and over what where that is not a single TCP stream or an echo."""
    return f"{cell.path}{_MEDIA.get(cell.probe, '')}"


# -- what got worse, and what is broken --------------------------------------------------------


def _judged(results: Sequence[CellResult]) -> Iterator[Clause]:
    """What the rules say: what fails first, then what is open, then that all is well."""
    for outcome, verb in ((Outcome.REGRESSED, "regressed"), (Outcome.SLOW, "too slow")):
        if cells := [result.cell for result in results if result.outcome is outcome]:
            are = "" if outcome is Outcome.REGRESSED else ("are " if len(cells) > 1 else "is ")
            yield Clause(f"{_cells(cells)} {are}{verb}", Tone.BAD)
    open_ones = [result.cell for result in results if result.outcome is Outcome.INCONCLUSIVE]
    judged = [result for result in results if result.verdicts]
    outcomes = {result.outcome for result in judged}
    earlier = [v.outcome for result in judged for v in result.verdicts if v.source in _EARLIER]
    decided = [outcome for outcome in earlier if outcome in (Outcome.OK, Outcome.REGRESSED)]
    if decided and Outcome.REGRESSED not in outcomes:
        shown = "nothing is shown to have" if open_ones else "nothing"
        yield Clause(f"{shown} regressed", Tone.PLAIN if open_ones else Tone.GOOD)
    elif judged and not earlier and outcomes <= {Outcome.OK, Outcome.UNSUPPORTED}:
        yield Clause("everything demanded is met", Tone.GOOD)
    if open_ones:
        are = "are" if len(open_ones) > 1 else "is"
        yield Clause(f"{_cells(open_ones)} {are} too noisy to judge", Tone.DOUBT)
    if not earlier:
        yield Clause("not compared with an earlier run", Tone.PLAIN)


def _broken(results: Sequence[CellResult]) -> Iterator[Clause]:
    dead = _paths(results, Outcome.UNREACHABLE)
    if dead:
        yield Clause(f"{_count(len(dead), 'path')} {_is(dead)} dead: {_named(dead)}", Tone.BAD)
    wrong = _paths(results, Outcome.WRONG_PATH)
    if wrong:
        what = "was" if len(wrong) == 1 else "were"
        text = f"{_count(len(wrong), 'path')} {what} not the mode's, so its figures count nowhere"
        yield Clause(f"{text}: {_named(wrong)}", Tone.BAD)
    if failed := [result.cell for result in results if result.outcome is Outcome.TOOL_ERROR]:
        yield Clause(f"a tool failed at {_cells(failed)}", Tone.BAD)


def _paths(results: Sequence[CellResult], outcome: Outcome) -> list[str]:
    """The paths on which a cell ended so, each once: `pod-to-pod in BGP`."""
    cells = (result.cell for result in results if result.outcome is outcome)
    return list(
        dict.fromkeys(
            f"{cell.path} in {mode_words(cell.mode)}" if cell.mode else str(cell.path) for cell in cells
        )
    )


def _cells(cells: Sequence[Cell]) -> str:
    """`tcp pod-to-pod in IPIP`; of many the number, and the first two."""
    names = [
        f"{cell.probe} {cell.path} in {mode_words(cell.mode)}" if cell.mode else f"{cell.probe} {cell.path}"
        for cell in cells
    ]
    return names[0] if len(names) == 1 else f"{len(names)} cells ({_named(names)})"


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return listed(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {more} more"


def _is(things: Sequence[str]) -> str:
    return "is" if len(things) == 1 else "are"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
