"""A cell's figures as properties of its test case: JUnit's, and whatever else reads `user_properties`."""

from __future__ import annotations

from pytest_calico_perf.model import CellResult
from pytest_calico_perf.stats import paired_ratio, summarize


def properties(result: CellResult) -> list[tuple[str, object]]:
    """Names and values, SI units; a figure that does not exist has no property, rather than a 0.

    Every verdict is a property of its own; they share the name `calico.verdict`.
    """
    cell = result.cell
    found: dict[str, object] = {
        "calico.probe": cell.probe,
        "calico.path": str(cell.path),
        "calico.mode": None if cell.mode is None else str(cell.mode),
        "calico.outcome": str(result.outcome),
        "calico.reason": result.reason or None,
        "calico.unit": str(result.unit),
        "calico.better": str(result.better),
    }
    if result.samples:
        summary = summarize(result.samples)
        found |= {
            "calico.median": summary.median,
            "calico.low": summary.low,
            "calico.high": summary.high,
            "calico.rounds": summary.n,
        }
        if ratio := paired_ratio(result.control, result.by_round):
            found |= {
                "calico.of_host": ratio.value,
                "calico.of_host.low": ratio.low,
                "calico.of_host.high": ratio.high,
            }
    told = [("calico.verdict", f"{v.outcome}: {v.message} [{v.source}]") for v in result.verdicts]
    return [*((name, value) for name, value in found.items() if value is not None), *told]
