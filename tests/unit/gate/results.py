"""Results of a block as a campaign leaves them, with exactly the samples a test gives."""

from __future__ import annotations

from pytest_calico_perf.model import Cell, CellResult, Mode, Outcome, Path
from pytest_calico_perf.probes import PROBES

POD = Path.POD_TO_POD
# Ten rounds around 1; the interval of their median is 0.98 to 1.02 of it.
NOISE = (0.99, 1.02, 0.98, 1.01, 1.00, 1.03, 0.97, 1.00, 1.02, 0.98)


def cell(probe="tcp", mode=Mode.BGP, path=POD) -> Cell:
    return Cell(probe, path, mode if path.has_mode else None)


def result(
    of: Cell, samples, *, control=(), runs=(), details=None, outcome=Outcome.OK, reason=""
) -> CellResult:
    kind = PROBES[of.probe]
    return CellResult(
        of,
        outcome,
        kind.unit,
        kind.better,
        samples=tuple(samples),
        rounds=tuple(range(len(samples))),
        control=dict(enumerate(control)),
        runs=tuple(runs),
        details=details or {},
        reason=reason,
    )


def around(level, rounds=10):
    return [level * NOISE[number % len(NOISE)] for number in range(rounds)]
