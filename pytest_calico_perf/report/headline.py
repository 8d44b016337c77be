"""What came of a run in one sentence: who is ahead and by how much, what got worse, what is dead.

It claims what the intervals allow and no more: a difference is one whose 95 % interval excludes 1, as in the
comparison; everything else is "no difference shown". Which probe and path speaks first is fixed beforehand
(`claims.py`), never chosen by what it says, so that the sentence is no pick of the luckiest figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_calico_perf.gate.request import FILE_FLAG, FOLDER_FLAG, GATE_FLAG
from pytest_calico_perf.model import Cell, CellResult, Outcome, RunRecord
from pytest_calico_perf.report.claims import claims
from pytest_calico_perf.report.table import only_looked_at
from pytest_calico_perf.report.words import listed, mode_words, shortened
from pytest_calico_perf.units import format_count

_EARLIER = frozenset({FILE_FLAG, FOLDER_FLAG, GATE_FLAG})
_LONGEST_PROBLEM = 300
_EXPLAINED = "--calico-explain"
_NAMED = 2  # cells named in a clause; the rest is counted
_LOOKED = {
    Outcome.UNREACHABLE: ("is dead", "are dead"),
    Outcome.WRONG_PATH: ("is not the mode's", "are not the mode's"),
    Outcome.TOOL_ERROR: ("could not be looked at", "could not be looked at"),
    Outcome.UNSUPPORTED: ("cannot exist here", "cannot exist here"),
}


class Tone(StrEnum):
    """How a reader should take a clause."""

    GOOD = "good"
    PLAIN = "plain"  # a fact, neither good nor bad: which mode is ahead
    DOUBT = "doubt"
    BAD = "bad"


@dataclass(frozen=True)
class Clause:
    """One part of the sentence.

    Attributes:
        text: No capital, no full stop.
        tone: How to take it.
        quiet: Whether it is said last and small: what the run does not say.
    """

    text: str
    tone: Tone
    quiet: bool = False


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
    return Headline(tuple(sorted(clauses, key=lambda clause: clause.quiet)))


def _clauses(record: RunRecord) -> Iterator[Clause]:
    if record.problem:
        yield Clause(f"nothing could be measured: {shortened(record.problem, _LONGEST_PROBLEM)}", Tone.BAD)
    elif not record.results and _EXPLAINED in record.command:
        yield Clause("only explanations were asked for: nothing was to be measured", Tone.PLAIN)
    elif not record.results:
        yield Clause("no cell was measured", Tone.DOUBT)
    if only_looked_at(record):
        yield from _looked(record.results)
    elif record.results:
        yield from _measured(record)


def _measured(record: RunRecord) -> Iterator[Clause]:
    """Who is ahead, and at once what is bad; where nobody is shown to be ahead, what is bad comes first."""
    said = claims(record)
    told = [Clause(claim.text, Tone.PLAIN) for claim in said]
    if not told and not any(result.samples for result in record.results):
        told = [Clause("nothing was measured", Tone.DOUBT)]
    first = 1 if said and said[0].decided else 0
    judged = [*_judged(record.results), *_broken(record.results)]
    yield from told[:first]
    yield from (clause for clause in judged if clause.tone is Tone.BAD)
    yield from told[first:]
    yield from (clause for clause in judged if clause.tone is not Tone.BAD)


def _looked(results: Sequence[CellResult]) -> Iterator[Clause]:
    """What came of looking at paths without measuring: how many carry payload, and what the others are."""
    whole = sum(result.outcome is Outcome.OK for result in results)
    of_all = f"of {format_count(len(results), 'path')}"
    for outcome, (one, many) in _LOOKED.items():
        if paths := _paths(results, outcome):
            tone = Tone.PLAIN if outcome is Outcome.UNSUPPORTED else Tone.BAD
            words = one if len(paths) == 1 else many
            yield Clause(f"{len(paths)} {of_all} {words}: {_named(paths)}", tone)
    carry = "carries" if whole == 1 else "carry"
    yield Clause(f"{whole} {of_all} {carry} payload", Tone.GOOD if whole == len(results) else Tone.PLAIN)


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
        yield Clause("not compared with an earlier run", Tone.PLAIN, quiet=True)


def _broken(results: Sequence[CellResult]) -> Iterator[Clause]:
    dead = _paths(results, Outcome.UNREACHABLE)
    if dead:
        yield Clause(f"{format_count(len(dead), 'path')} {_is(dead)} dead: {_named(dead)}", Tone.BAD)
    wrong = _paths(results, Outcome.WRONG_PATH)
    if wrong:
        what = "was" if len(wrong) == 1 else "were"
        text = f"{format_count(len(wrong), 'path')} {what} not the mode's, so its figures count nowhere"
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
