"""The run as OpenMetrics text, for a monitoring system that keeps figures from run to run.

Only gauges without timestamps, so that the text is valid in Prometheus' older format, too: that is what
node-exporter's textfile collector and the push gateway read (prometheus/node_exporter#1988). An `info`, a
`stateset` or a timestamp makes the collector refuse the whole file; `# UNIT` and `# EOF` are comments to it.

Names follow Prometheus' conventions: base units as suffixes, bytes rather than bits, `_ratio` for ratios.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_calico_perf.model import LOOK_PROBE, CellResult, Outcome, Path, Ratio, RunRecord, Unit
from pytest_calico_perf.report.controls import host_controls, way_back
from pytest_calico_perf.report.records import plain
from pytest_calico_perf.report.table import FACTS_PROBE, base_result
from pytest_calico_perf.stats import paired_ratio, summarize

_BITS_PER_BYTE = 8

Labels = Mapping[str, str]
_Point = tuple[Labels, float]


@dataclass(frozen=True)
class Family:
    """A gauge and its samples.

    Attributes:
        name: Its name, with the unit as suffix.
        help: What it says; no quotes, backslashes or line ends.
        unit: The suffix that is a unit; empty for a plain number.
        points: Labels and value of each sample.
    """

    name: str
    help: str
    unit: str
    points: tuple[_Point, ...]


@dataclass(frozen=True)
class _Quantity:
    """How samples of one unit are exposed."""

    name: str
    help: str
    unit: str
    divisor: float = 1.0


_Series = tuple[_Quantity, Labels, Sequence[float]]

_QUANTITIES = {
    Unit.BIT_PER_SECOND: _Quantity(
        "calico_perf_throughput_bytes_per_second",
        "Throughput of payload, higher is better",
        "bytes_per_second",
        _BITS_PER_BYTE,
    ),
    Unit.SECOND: _Quantity(
        "calico_perf_latency_seconds", "Time an exchange takes, lower is better", "seconds"
    ),
    Unit.REQUEST_PER_SECOND: _Quantity(
        "calico_perf_requests_per_second", "Requests answered, higher is better", "requests_per_second"
    ),
    Unit.CONNECTION_PER_SECOND: _Quantity(
        "calico_perf_connections_per_second",
        "Connections opened, higher is better",
        "connections_per_second",
    ),
}
_LINK = _Quantity(
    "calico_perf_link_speed_bytes_per_second",
    "Speed of the network device as it says itself",
    "bytes_per_second",
    _BITS_PER_BYTE,
)
_STAT = "stat: median, and low and high of its interval"
_RATIO_STAT = "stat: geometric mean of the rounds, and low and high of its 95 % interval"


def exposition(record: RunRecord) -> str:
    """The run as OpenMetrics text. A figure that does not exist has no sample, rather than a 0."""
    lines = [line for family in families(record) if family.points for line in _lines(family)]
    return "\n".join([*lines, "# EOF", ""])


def families(record: RunRecord) -> tuple[Family, ...]:
    """Every gauge of a run, those without samples included."""
    cluster = str(record.cluster.get("name", ""))
    of_run = {"cluster": cluster}
    judged = [result for result in record.results if result.samples]
    return (
        *_values([*_series(judged, cluster), *_controls(record, cluster)]),
        Family(
            "calico_perf_of_host_ratio",
            f"Divided by host-to-host of the same round; {_RATIO_STAT}.",
            "ratio",
            tuple(
                point
                for result in judged
                for point in _ratio_points(
                    paired_ratio(result.control, result.by_round), _labels(result, cluster)
                )
            ),
        ),
        Family(
            "calico_perf_of_mode_ratio",
            f"Divided by the mode in label base, of the same round; {_RATIO_STAT}.",
            "ratio",
            tuple(point for result in judged for point in _to_base(record, result, cluster)),
        ),
        Family(
            "calico_perf_cell_rounds",
            "Rounds that gave a sample.",
            "",
            tuple(
                (_labels(result, cluster), float(len(result.samples)))
                for result in record.results
                if result.cell.probe != LOOK_PROBE
            ),
        ),
        Family(
            "calico_perf_cell_outcome",
            "1 for the outcome in which the cell ended, 0 for every other.",
            "",
            tuple(
                ({**_labels(result, cluster), "outcome": outcome}, float(result.outcome is outcome))
                for result in record.results
                for outcome in Outcome
            ),
        ),
        Family(
            "calico_perf_path_alive",
            "Of a diagnosis: 1 if the path carries payload in its mode's way, 0 if it does not.",
            "",
            tuple(_alive(record, cluster)),
        ),
        *_run(record, of_run),
    )


def _run(record: RunRecord, labels: Labels) -> Iterator[Family]:
    """What is true of the run as a whole."""
    versions = {str(name): str(version) for name, version in record.software.items()}
    info = {
        **labels,
        "profile": str(record.profile.get("name", "")),
        "modes": ",".join(record.modes),
        "version": versions.get("pytest-calico-perf", ""),
    }
    yield Family("calico_perf_run_info", "What was run; always 1.", "", ((info, 1.0),))
    if (started := _timestamp(record.started)) is not None:
        yield Family(
            "calico_perf_run_start_timestamp_seconds",
            "When the run began, since 1970.",
            "seconds",
            ((labels, started),),
        )
    yield Family(
        "calico_perf_run_duration_seconds",
        "How long the run took.",
        "seconds",
        ((labels, record.wall_seconds),),
    )
    yield Family(
        "calico_perf_run_measuring_seconds",
        "Of these, time in which a tool was measuring.",
        "seconds",
        ((labels, record.measuring_seconds),),
    )
    yield Family(
        "calico_perf_run_interrupted",
        "1 if the run was cut short.",
        "",
        ((labels, float(record.interrupted)),),
    )
    yield Family(
        "calico_perf_run_broken",
        "1 if nothing could be measured, such as a cluster that did not come up.",
        "",
        ((labels, float(bool(record.problem))),),
    )


def _alive(record: RunRecord, cluster: str) -> Iterator[_Point]:
    """A path that could not be looked at is neither."""
    known = {Outcome.OK: 1.0, Outcome.UNREACHABLE: 0.0, Outcome.WRONG_PATH: 0.0}
    for result in record.results:
        if result.cell.probe == LOOK_PROBE and result.outcome in known:
            labels = _labels(result, cluster)
            del labels["probe"]
            yield labels, known[result.outcome]


def _series(results: Iterable[CellResult], cluster: str) -> Iterator[_Series]:
    """The samples of each cell, and of its way back."""
    for result in results:
        quantity = _LINK if result.cell.probe == FACTS_PROBE else _QUANTITIES[result.unit]
        labels = _labels(result, cluster)
        yield quantity, labels, result.samples
        if back := way_back(result):
            yield quantity, {**labels, "direction": "reverse"}, tuple(back.values())


def _controls(record: RunRecord, cluster: str) -> Iterator[_Series]:
    """Host-to-host where no cell tells it: label `beside` is the path that it was measured with."""
    found: dict[tuple[str, Path, Unit], list[float]] = {}
    for control in host_controls(record):
        key = (control.probe, control.beside, control.unit)
        found.setdefault(key, []).extend(control.samples.values())
    for (probe, beside, unit), samples in found.items():
        labels = {"cluster": cluster, "probe": probe, "path": str(Path.HOST_TO_HOST), "beside": str(beside)}
        yield _QUANTITIES[unit], labels, tuple(samples)


def _values(series: Iterable[_Series]) -> Iterator[Family]:
    points: dict[_Quantity, list[_Point]] = {each: [] for each in (*_QUANTITIES.values(), _LINK)}
    for quantity, labels, samples in series:
        summary = summarize(samples)
        for stat in ("median", "low", "high"):
            if (value := getattr(summary, stat)) is not None:
                points[quantity].append(({**labels, "stat": stat}, value / quantity.divisor))
    for quantity, found in points.items():
        yield Family(quantity.name, f"{quantity.help}; {_STAT}.", quantity.unit, tuple(found))


def _to_base(record: RunRecord, result: CellResult, cluster: str) -> Iterator[_Point]:
    base = base_result(record, result)
    if base is not None:
        labels = {**_labels(result, cluster), "base": str(base.cell.mode)}
        yield from _ratio_points(paired_ratio(base.by_round, result.by_round), labels)


def _ratio_points(ratio: Ratio | None, labels: Labels) -> Iterator[_Point]:
    found = {} if ratio is None else {"mean": ratio.value, "low": ratio.low, "high": ratio.high}
    for stat, value in found.items():
        if value is not None:
            yield {**labels, "stat": stat}, value


def _labels(result: CellResult, cluster: str) -> dict[str, str]:
    """Host-to-host has no mode, hence no such label: to Prometheus an empty one is none."""
    cell = result.cell
    labels = {"cluster": cluster, "probe": cell.probe, "path": str(cell.path)}
    return {**labels, "mode": str(cell.mode)} if cell.mode else labels


def _timestamp(started: str) -> float | None:
    try:
        return datetime.fromisoformat(started).timestamp()
    except (ValueError, OverflowError):
        return None


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} gauge"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    for labels, value in family.points:
        written = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items() if text)
        yield f"{family.name}{{{written}}} {value!r}"


def _escaped(text: str) -> str:
    r"""A label's value: `\`, `"` and line ends are written out (OpenMetrics, Text Format: Escaping)."""
    line = str(plain(text)).replace("\r", " ")
    return line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
