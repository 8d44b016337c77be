"""A cell held against an earlier run: the verdict and its words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pytest_calico_perf.gate.comparison import Comparison, compare
from pytest_calico_perf.gate.earlier import EarlierRun
from pytest_calico_perf.gate.past import Past
from pytest_calico_perf.gate.request import Request
from pytest_calico_perf.gate.series import RATIO, VALUE, Series
from pytest_calico_perf.model import Better, CellResult, Outcome
from pytest_calico_perf.units import format_count, format_value
from pytest_calico_perf.verdict import Gate, across_days
from pytest_calico_perf.verdict.baseline import mean_of_run
from pytest_calico_perf.verdict.decision import loss_at


def against(
    past: Past,
    result: CellResult,
    series: Sequence[Series],
    request: Request,
    gate: Gate,
    *,
    share: float = 1.0,
    planned: int = 0,
) -> tuple[Outcome, str]:
    """Hold what a cell has of some series against what it had.

    Args:
        past: The run it is held against, and those that say how days differ.
        result: The cell, with samples.
        series: What is compared.
        request: Tolerances.
        gate: How sure to be.
        share: Part of the permitted error that may be spent on this look.
        planned: Rounds that the cell may take; the noise floor is that of so many.
    """
    base, cell = past.base, result.cell
    earlier = base.cells[cell]
    compared: dict[Series, Comparison] = {}
    lacking = []
    for each in series:
        before = each.of(earlier.samples, earlier.control)
        now = each.of(result.by_round, result.control)
        if before and now:
            compared[each] = compare(
                before,
                now,
                history=[day for run in past.days if (day := each.of_run(run, cell))],
                better=result.better,
                tolerance=request.tolerances.of(cell.probe),
                gate=gate,
                share=share,
                planned=planned,
            )
        else:
            where = "there" if now else "in this run"
            lacking.append(f"{each.name} not compared: no round with a control {where}")
    if not compared:
        return Outcome.INCONCLUSIVE, "a run without host-to-host control: there is no ratio to compare"
    value, ratio = compared.get(VALUE), compared.get(RATIO)
    first = value or ratio
    assert first
    outcome = across_days(first.outcome, ratio.outcome if ratio else None)
    then = format_value(centre(earlier.samples.values()), result.unit)
    now_text = format_value(centre(result.samples), result.unit)
    parts = [f"{each.name} {found.text()}" for each, found in compared.items()]
    rounds = min(len(earlier.samples), len(result.samples))
    text = f"{now_text} against {then} of {past.label}: {'; '.join(parts + lacking)}"
    text += f"; {format_count(rounds, 'round')}"
    if value and ratio and _hosts_lost_as_much(value, ratio, result.better):
        text += "; hosts lost as much, so look at link and machines, not at the mode"
    open_ones = (each for each in compared.values() if each.outcome is Outcome.INCONCLUSIVE)
    if outcome is Outcome.INCONCLUSIVE and (what := next(open_ones).what_would_decide):
        text += f", {what}"
    return outcome, text


def fact_against(base: EarlierRun, result: CellResult, request: Request) -> tuple[Outcome, str]:
    """A link's speed is read, not sampled: it is what it was, or it is not."""
    before, now = next(iter(base.cells[result.cell].samples.values())), result.samples[0]
    sign = -1.0 if result.better is Better.HIGHER else 1.0
    worse = sign * math.log(now / before) > tolerated_loss(result, request)
    text = f"{format_value(now, result.unit)}, and {format_value(before, result.unit)} on {base.label}"
    return Outcome.REGRESSED if worse else Outcome.OK, text


def tolerated_loss(result: CellResult, request: Request) -> float:
    """The loss that was asked to be tolerated, as a logarithm."""
    tolerance = request.tolerances.of(result.cell.probe)
    return loss_at(1 - tolerance if result.better is Better.HIGHER else 1 + tolerance, result.better)


def centre(samples: Iterable[float]) -> float:
    """What a comparison is about: the geometric mean, without stalls (`verdict.baseline.run_mean`)."""
    return math.exp(mean_of_run(tuple(samples)))


def _hosts_lost_as_much(value: Comparison, ratio: Comparison, better: Better) -> bool:
    """Whether the value is worse, and its ratio to host-to-host surely by less, if at all."""
    if value.outcome is not Outcome.REGRESSED or value.judgement is None or ratio.judgement is None:
        return False
    worse, kept = value.judgement, ratio.judgement
    assert worse.low is not None
    assert worse.high is not None
    assert kept.low is not None
    assert kept.high is not None
    apart = kept.low > worse.high if better is Better.HIGHER else kept.high < worse.low
    return apart and kept.low <= 1 <= kept.high
