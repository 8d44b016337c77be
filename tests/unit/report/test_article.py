"""The published comparison's table: arithmetic means of the runs, per scenario and mode, in the right unit."""

from __future__ import annotations

from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, RunRecord, Unit
from pytest_calico_perf.report.article import published_averages


def tcp(
    path: Path, mode: Mode | None, *runs: tuple[float, float], outcome: Outcome = Outcome.OK
) -> CellResult:
    return CellResult(
        Cell("tcp", path, mode),
        outcome,
        Unit.BIT_PER_SECOND,
        Better.HIGHER,
        samples=tuple(received for _, received in runs),
        rounds=tuple(range(len(runs))),
        runs=tuple({"sent": sent, "received": received} for sent, received in runs),
    )


def ping(path: Path, mode: Mode | None, mean: float) -> CellResult:
    return CellResult(
        Cell("ping", path, mode), Outcome.OK, Unit.SECOND, Better.LOWER, (mean,), (0,), runs=({"mean": mean},)
    )


def record(*results: CellResult) -> RunRecord:
    return RunRecord(
        {}, {"name": "article"}, (Mode.IPIP, Mode.BGP), results, "2026-01-01T00:00:00+00:00", 1.0, 0.5
    )


def test_means_per_scenario_and_mode_in_gigabits() -> None:
    lines = published_averages(
        record(
            tcp(Path.HOST_TO_HOST, None, (5.0e9, 4.9e9), (5.2e9, 5.1e9)),
            ping(Path.HOST_TO_HOST, None, 0.189e-3),
            tcp(Path.POD_TO_POD, Mode.IPIP, (4.7e9, 4.6e9)),
            tcp(Path.POD_TO_POD, Mode.BGP, outcome=Outcome.UNREACHABLE),
        )
    )
    table = [line.split("  ") for line in lines if line.startswith(("phys", "pod"))]
    rows = [[word.strip() for word in row if word.strip()] for row in table]
    assert rows == [
        ["physical-physical", "-", "5.10 Gbit/s", "5.00 Gbit/s", "189 us"],
        ["pod-pod across nodes", "ipip", "4.70 Gbit/s", "4.60 Gbit/s", "not measured"],
        ["pod-pod across nodes", "bgp", "unreachable", "unreachable", "not measured"],
    ]


def test_a_run_without_these_probes_has_no_such_table() -> None:
    assert published_averages(record()) == []
