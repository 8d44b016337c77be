"""The series of a cell's runs: whether its level changed, as a verdict and for the reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_calico_perf.gate import history
from pytest_calico_perf.gate.against import centre, tolerated_loss
from pytest_calico_perf.gate.earlier import EarlierRun
from pytest_calico_perf.gate.request import Request
from pytest_calico_perf.gate.series import Series
from pytest_calico_perf.model import Better, CellResult, Outcome
from pytest_calico_perf.units import format_count, format_percent
from pytest_calico_perf.verdict import MINIMUM_ROUNDS, Gate
from pytest_calico_perf.verdict.decision import ratio_at


def by_levels(
    past: Sequence[EarlierRun],
    result: CellResult,
    series: Sequence[Series],
    request: Request,
    gate: Gate,
    *,
    share: float = 1.0,
) -> tuple[Outcome, str]:
    """Whether the present level of a cell is worse than the best before by more than is tolerated.

    Levels are known from several runs, and Otava tests whether they differ at all: there is no noise floor.

    Args:
        past: The runs that measured the cell as this run does, in order of time.
        result: The cell, with samples.
        series: What is compared.
        request: Tolerances.
        gate: How sure to be.
        share: Part of the permitted error that may be spent on this look.
    """
    gate = replace(gate, false_alarms=gate.false_alarms * share)
    if len(result.samples) < MINIMUM_ROUNDS:
        rounds = format_count(len(result.samples), "round")
        return Outcome.INCONCLUSIVE, f"{rounds} in this run, at least {MINIMUM_ROUNDS} are needed"
    outcome, texts, lacking = Outcome.OK, list[str](), list[str]()
    tolerated = format_percent(request.tolerances.of(result.cell.probe))
    for each in series:
        runs, found = _change(each, past, result, gate)
        if found is not None and found.loss > tolerated_loss(result, request):
            outcome = Outcome.REGRESSED
            texts.append(f"{_text(each, runs, found, result.better)}, tolerated {tolerated}")
        elif found is not None:
            texts.append(f"{each.name} without a lasting loss of more than {tolerated}")
        else:
            lacking.append(f"{each.name} not compared: too few runs with a control, this one included")
    if not texts:
        outcome = Outcome.INCONCLUSIVE
    text = f"{'; '.join(texts + lacking)}; {len(past) + 1} runs"
    if outcome is Outcome.REGRESSED:
        text += "; if that was wanted, remove the older records from the folder"
    return outcome, text


def changes(
    past: Sequence[EarlierRun], result: CellResult, series: Sequence[Series], gate: Gate
) -> Iterator[str]:
    """What every report says of a cell whose level changed, a line per series; with too few runs, nothing."""
    for each in series:
        runs, found = _change(each, past, result, gate)
        if found is not None and len(found.levels) > 1:
            yield f"{result.cell}: {_text(each, runs, found, result.better)}"


def _change(
    series: Series, past: Sequence[EarlierRun], result: CellResult, gate: Gate
) -> tuple[tuple[EarlierRun, ...], history.Change | None]:
    """The runs that have the series, and what it says about this one; None where they are too few."""
    runs = tuple(run for run in past if series.of_run(run, result.cell))
    now = series.of(result.by_round, result.control)
    if not now or len(runs) + 1 < history.MINIMUM_RUNS:
        return runs, None
    values = [*(centre(series.of_run(run, result.cell)) for run in runs), centre(now)]
    return runs, history.change(values, result.better, gate)


def _text(series: Series, runs: Sequence[EarlierRun], found: history.Change, better: Better) -> str:
    """`value worse by 12 % since 2026-11-23 14:40 UTC`, against the best level before."""
    when = f"since {runs[found.since].label}" if found.since < len(runs) else "in this run"
    size = format_percent(abs(ratio_at(found.loss, better) - 1))
    return f"{series.name} {'worse' if found.loss > 0 else 'better'} by {size} {when}"
