"""Samples as pytest-benchmark rows, through a virtual clock.

pytest-benchmark times a function with a clock of the user's choice. Ours reads 0, then the sample, so the
time it finds *is* the sample, and its table, JSON, autosave, compare and histogram show what was measured.
All of it knows only "seconds, lower is better"; so a rate is recorded as seconds per gigabit or per request,
and the column OPS, one divided by the mean, reads Gbit/s or requests/s (the harmonic mean of the rounds).
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import pytest

from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.model import Better, CellResult, Unit
from pytest_calico_perf.report.records import plain

_Word = TypeVar("_Word", bound=StrEnum)

# How much of a unit a sample is the time of, and in which words: bit/s is recorded as seconds per 10^9 bit.
_AMOUNTS = {
    Unit.BIT_PER_SECOND: (1e9, "s per Gbit, OPS = Gbit/s"),
    Unit.REQUEST_PER_SECOND: (1.0, "s per request, OPS = requests/s"),
    Unit.CONNECTION_PER_SECOND: (1.0, "s per connection, OPS = connections/s"),
}


class SampleClock:
    """Reads 0.0, then the sample: `end - start` is the sample, bit for bit. A running sum would round."""

    # pytest-benchmark names a clock by this in its JSON, where an address would differ from run to run.
    __name__ = "SampleClock"

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def install_clock(node: pytest.Item) -> SampleClock:
    """Make pytest-benchmark time this test with a virtual clock; before its `benchmark` fixture is built."""
    clock = SampleClock()
    mark = node.get_closest_marker("benchmark")
    # Only the closest mark is read, so ours must carry what the test's own one says.
    options = {**(mark.kwargs if mark else {}), "timer": clock}
    node.add_marker(pytest.mark.benchmark(**options), append=False)
    return clock


def stable_name(node: pytest.Item) -> str:
    """A test's name that does not depend on the folder pytest was started in, unlike its node id.

    pytest-benchmark compares by it; with the node id a suite run from elsewhere would match nothing.
    """
    module = node.getparent(pytest.Module)
    return f"{module.obj.__name__}::{node.name}" if module else node.nodeid


def group_label(probe: str, unit: Unit) -> str:
    """Heading of a probe's rows: the only free text that table, histogram and compare all show."""
    return f"{probe}: {_AMOUNTS[unit][1] if unit in _AMOUNTS else 's'}"


def clock_seconds(value: float, unit: Unit) -> float:
    """What is recorded for a sample: of a rate the seconds a gigabit, request or connection takes."""
    return _AMOUNTS[unit][0] / value if unit in _AMOUNTS else value


class Recorder:
    """Turns samples into one pytest-benchmark row. One test, one row: pytest-benchmark has no more.

    Args:
        benchmark: The test's `benchmark` fixture, built after `install_clock`.
        clock: What `install_clock` returned.
    """

    def __init__(self, benchmark: Any, clock: SampleClock) -> None:
        self._benchmark = benchmark
        self._clock = clock

    def record(self, result: CellResult) -> None:
        """Record a cell of the campaign, with its details and evidence.

        Raises:
            ValueError: It has no samples, or one that cannot be.
        """
        cell = result.cell
        self._record(
            cell.probe,
            result.samples,
            result.unit,
            result.better,
            {
                "probe": cell.probe,
                "path": str(cell.path),
                "mode": None if cell.mode is None else str(cell.mode),
                "outcome": str(result.outcome),
                "rounds": list(result.rounds),
                "control": result.control,
                "details": result.details,
                "evidence": result.evidence,
            },
        )

    def __call__(
        self,
        samples: Sequence[float],
        unit: Unit | str,
        better: Better | str | None = None,
        **extra: Any,
    ) -> None:
        """Record own samples: `calico_record([9.1e9, 9.3e9], unit="bit/s")`.

        Args:
            samples: One value per repetition; finite and positive.
            unit: `bit/s`, `s`, `requests/s` or `connections/s`, never a multiple.
            better: `higher` or `lower`; by default lower for seconds and higher for rates.
            extra: More facts for the row's `extra_info`.

        Raises:
            ValueError: No sample, a sample that is not finite and positive, or an unknown unit or direction;
                names the known ones.
        """
        of_unit = _one_of(Unit, unit, "unit")
        usual = Better.LOWER if of_unit is Unit.SECOND else Better.HIGHER
        better = _one_of(Better, better, "direction") if better else usual
        self._record(self._benchmark.name.partition("[")[0], samples, of_unit, better, extra)

    def _record(
        self, name: str, samples: Sequence[float], unit: Unit, better: Better, extra: Mapping[str, Any]
    ) -> None:
        # Before it reaches pytest-benchmark, where one infinity would cost the whole session its JSON.
        if not samples or not all(math.isfinite(sample) and sample > 0 for sample in samples):
            raise ValueError(f"samples must be finite, positive and at least one, not {list(samples)}")
        benchmark = self._benchmark
        if benchmark.disabled:
            raise UsageProblem(
                "pytest-benchmark is switched off, so nothing would be recorded",
                where=benchmark.name,
                remedy="run without --benchmark-disable and without pytest-xdist",
            )
        if benchmark.group is None:
            benchmark.group = group_label(name, unit)
        facts = {"unit": str(unit), "better": str(better), "samples": list(samples), **extra}
        benchmark.extra_info.update(plain(facts))
        times = iter([clock_seconds(sample, unit) for sample in samples])
        benchmark.pedantic(lambda: self._advance(next(times)), setup=self._rewind, rounds=len(samples))

    def _advance(self, seconds: float) -> None:
        self._clock.now = seconds

    def _rewind(self) -> None:
        self._clock.now = 0.0


def _one_of(kind: type[_Word], word: str, what: str) -> _Word:
    try:
        return kind(word)
    except ValueError:
        raise ValueError(f"unknown {what} {str(word)!r}: write one of {', '.join(kind)}") from None


def machine_info(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """Where it was measured, for pytest-benchmark's `machine_info`: the cluster, and the runner.

    The runner's keys are pytest-benchmark's own. Its `cpu` is missing on purpose: it holds the clock
    frequency of the moment, so that every comparison would warn of another machine.

    Args:
        cluster: The cluster's facts; they must not differ between two runs on the same cluster.
    """
    return {
        "cluster": plain(cluster),
        "node": platform.node(),
        "machine": platform.machine(),
        "processor": platform.processor(),
        "system": platform.system(),
        "release": platform.release(),
        "python_implementation": platform.python_implementation(),
        "python_version": platform.python_version(),
    }
