"""A cell's runs, direction by direction, and the numbers in them: records read back may hold anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.model import CellResult


@dataclass(frozen=True)
class Direction:
    """The runs in which payload went one way.

    Attributes:
        says: For people, put behind a remark; empty for client to server.
        sender: Which end sent: `client` or `server`.
        runs: Details of each run.
    """

    says: str
    sender: str
    runs: tuple[Mapping[str, Any], ...]


def directions(result: CellResult) -> tuple[Direction, ...]:
    """Client to server, and server to client where that was measured too."""
    back = tuple(run["reverse"] for run in result.runs if isinstance(run.get("reverse"), Mapping))
    forward = Direction("", "client", result.runs)
    return (forward, Direction(" (server to client)", "server", back)) if back else (forward,)


def number(value: object) -> float | None:
    """The value as a float if it is a finite number."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]


def numbers(runs: Iterable[Mapping[str, Any]], key: str) -> list[float]:
    """What the runs have under that key, as far as these are numbers."""
    return [found for run in runs if (found := number(run.get(key))) is not None]


def of_runs(some: int, runs: Sequence[object]) -> str:
    """`in 3 of 5 runs`, `in all 5 runs`."""
    if some == len(runs):
        return "in its run" if some == 1 else f"in all {some} runs"
    return f"in {some} of {len(runs)} runs"
