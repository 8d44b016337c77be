"""Verdicts: what samples, thresholds and baselines add up to. Pure; docs/how-it-decides.md has the reasons.

`estimate` says how large a loss is and how well it is known, for pairs of one run; `baseline` does so
for two runs of different days, and `standing` says which earlier run is good enough to be one of the two.
`decision` holds an estimate against a tolerance or a demanded ratio, `threshold` samples against a limit in
their unit. `family` corrects a campaign's verdicts for their number, `sequential` plans when to look and
when to stop, `floor` tells the smallest tolerance that the cluster's noise leaves room for.
"""

from __future__ import annotations

from pytest_calico_perf.verdict.baseline import (
    BetweenRuns,
    across_days,
    between_runs,
    ratios_to_control,
    unpaired_estimate,
)
from pytest_calico_perf.verdict.decision import (
    MINIMUM_ROUNDS,
    Gate,
    Judgement,
    meets_ratio,
    within_tolerance,
)
from pytest_calico_perf.verdict.estimate import Estimate, losses, paired_estimate
from pytest_calico_perf.verdict.family import remaining
from pytest_calico_perf.verdict.floor import floor_from_history, floor_from_pairs, smallest_tolerance
from pytest_calico_perf.verdict.sequential import SequentialPlan, Stop
from pytest_calico_perf.verdict.standing import last_standing
from pytest_calico_perf.verdict.threshold import keeps_limit, keeps_mean

__all__ = [
    "MINIMUM_ROUNDS",
    "BetweenRuns",
    "Estimate",
    "Gate",
    "Judgement",
    "SequentialPlan",
    "Stop",
    "across_days",
    "between_runs",
    "floor_from_history",
    "floor_from_pairs",
    "keeps_limit",
    "keeps_mean",
    "last_standing",
    "losses",
    "meets_ratio",
    "paired_estimate",
    "ratios_to_control",
    "remaining",
    "smallest_tolerance",
    "unpaired_estimate",
    "within_tolerance",
]
