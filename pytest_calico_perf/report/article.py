"""The published comparison's table, there and here, and what to make of its conclusion.

The article averaged column 7 of ten runs of `iperf3 -c TARGET` and called it Mbps whatever unit iperf3 had
chosen; here the same arithmetic means are taken over bit/s. docs/published-case.md tells the case.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import Any

from pytest_calico_perf.model import CellResult, Mode, Outcome, Path, RunRecord, Unit
from pytest_calico_perf.units import format_value

SCENARIOS = {
    Path.HOST_TO_HOST: "physical-physical",
    Path.HOST_TO_POD: "physical-pod",
    Path.POD_TO_POD: "pod-pod across nodes",
}

CLUSTER = "published"
"""Name of the cluster file that reproduces the article's finding."""

PROFILE = "article"
"""Name of the profile that follows its protocol."""

_WIDTH = 80
_GENERALLY = (
    "BGP mode sends pods' packets as they are, and every network between the nodes that lets pod addresses "
    "through carries them."
)
_HEADER = ("scenario", "mode", "where", "sender", "receiver", "ping")


@dataclass(frozen=True)
class Published:
    """A scenario's figures in a mode as the article gives them.

    Attributes:
        tcp: Mean of its iperf3 runs in bit/s, the same for sender and receiver. It prints Gbit/s and calls
            them Mbps. None: no connectivity.
        ping: Mean round-trip time in seconds; None: no connectivity.
    """

    tcp: float | None
    ping: float | None


PUBLISHED: Mapping[tuple[Path, Mode], Published] = MappingProxyType(
    {
        (Path.HOST_TO_HOST, Mode.IPIP): Published(5.07e9, 0.189e-3),
        (Path.HOST_TO_POD, Mode.IPIP): Published(4.44e9, 0.297e-3),
        (Path.POD_TO_POD, Mode.IPIP): Published(4.76e9, 0.312e-3),
        (Path.HOST_TO_HOST, Mode.BGP): Published(5.08e9, 0.189e-3),
        (Path.HOST_TO_POD, Mode.BGP): Published(4.68e9, 0.268e-3),
        (Path.POD_TO_POD, Mode.BGP): Published(None, None),
    }
)
"""From "Calico BGP vs IPIP: Which Kubernetes Network Mode Delivers Faster Performance?" (Full-Stack DevOps &
Kubernetes); machines with a 10 GbE NIC each. Other machines give other figures: these are to be looked at,
never to be judged by."""


@dataclass(frozen=True)
class SideBySide:
    """The article's table beside this run's, for any rendering.

    Attributes:
        header: Names of the columns.
        rows: Texts, column by column: for each scenario and mode a row `there` and a row `here`.
        notes: Sentences: where the figures are from, what agrees, and why the conclusion is wrong.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def side_by_side(record: RunRecord) -> SideBySide | None:
    """What was measured there and here; None where a run has nothing to do with the article.

    It has if it follows the article's protocol (profile `article`) or reproduces its finding (cluster
    `published`), and measured one of its scenarios by `tcp` or `ping`.
    """
    if record.profile.get("name") != PROFILE and record.cluster.get("name") != CLUSTER:
        return None
    results = {(r.cell.probe, r.cell.path, r.cell.mode): r for r in record.results}
    rows = [row for path in SCENARIOS for mode in _modes(record, path) for row in _rows(results, path, mode)]
    if not any("here" in row for row in rows):
        return None
    return SideBySide(_HEADER, tuple(rows), (*_sources(record), *_conclusion(results)))


def published_averages(record: RunRecord) -> list[str]:
    """The same as lines for a terminal; none where it does not apply."""
    table = side_by_side(record)
    if table is None:
        return []
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    texts = [
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    notes = [part for note in table.notes for part in textwrap.wrap(note, _WIDTH)]
    return ["", "As the article prints it: means of the iperf3 runs and of the echoes", *texts, *notes]


# -- rows -----------------------------------------------------------------------------------------


def _modes(record: RunRecord, path: Path) -> Sequence[Mode | None]:
    """Modes with rows. Hosts have none here, and were measured in both there."""
    return record.modes if path.has_mode else (*(m for m in record.modes if (path, m) in PUBLISHED), None)


def _rows(
    results: Mapping[tuple[str, Path, Mode | None], CellResult], path: Path, mode: Mode | None
) -> list[tuple[str, ...]]:
    scenario, name = SCENARIOS[path], str(mode or "-")
    rows: list[tuple[str, ...]] = []
    if mode and (there := PUBLISHED.get((path, mode))):
        rate = _there(there.tcp, Unit.BIT_PER_SECOND)
        rows.append((scenario, name, "there", rate, rate, _there(there.ping, Unit.SECOND)))
    tcp, ping = (results.get((probe, path, mode)) for probe in ("tcp", "ping"))
    if tcp or ping:
        here = _mean(tcp, "sent", Unit.BIT_PER_SECOND), _mean(tcp, "received", Unit.BIT_PER_SECOND)
        rows.append((scenario, name, "here", *here, _mean(ping, "mean", Unit.SECOND)))
    return rows


def _there(value: float | None, unit: Unit) -> str:
    return "none" if value is None else format_value(value, unit)


def _mean(result: CellResult | None, key: str, unit: Unit) -> str:
    if result is None:
        return "not measured"
    values = [float(run[key]) for run in result.runs if isinstance(run.get(key), int | float)]
    # The outcome instead of a number wherever there is none, or it is of another path than the mode's.
    if result.outcome in (Outcome.UNREACHABLE, Outcome.WRONG_PATH) or not values:
        return str(result.outcome)
    return format_value(fmean(values), unit)


# -- words ----------------------------------------------------------------------------------------


def _sources(record: RunRecord) -> list[str]:
    description = record.cluster.get("description") or record.cluster.get("name") or "this cluster"
    there = (
        "there: the article's figures, on machines with 10 GbE. They are Gbit/s, which it calls Mbps; "
        'none is its "no connectivity".'
    )
    here = (
        f"here: {description}. Compare which paths work, and modes with one another; "
        "the machines are not the same."
    )
    return [there, here]


def _conclusion(results: Mapping[tuple[str, Path, Mode | None], CellResult]) -> list[str]:
    """What this run says about the article's conclusion; nothing where it did not measure that cell."""
    cells = [
        result
        for probe in ("tcp", "ping")
        if (result := results.get((probe, Path.POD_TO_POD, Mode.BGP))) is not None
    ]
    claimed = 'The article concludes that BGP mode "does not allow cross-node pod communication".'
    if dead := next((cell for cell in cells if cell.outcome is Outcome.UNREACHABLE), None):
        found = f"{claimed} Its finding is reproduced here, and it is no property of the mode: {_why(dead)}"
        return [found, f"In general the conclusion is wrong: {_GENERALLY}"]
    if any(cell.samples for cell in cells):
        return [f"{claimed} Here it does: pod-to-pod in mode bgp works between two nodes. {_GENERALLY}"]
    return []


def _why(result: CellResult) -> str:
    diagnosis: Mapping[str, Any] = result.diagnosis
    sentence, remedy = diagnosis.get("sentence"), diagnosis.get("remedy")
    if not isinstance(sentence, str) or not sentence:
        return f"{result.reason.rstrip('.')}."
    return f"{sentence}. What to do: {remedy}." if isinstance(remedy, str) and remedy else f"{sentence}."
