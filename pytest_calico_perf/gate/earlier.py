"""An earlier run, read back from its record or from pytest-benchmark's JSON. Validated, never trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.gate.fingerprint import ClusterFacts, Fingerprint, Word, threaded_iperf3
from pytest_calico_perf.model import Better, Cell, Mode, Path, Unit

# A run of all modes, paths and probes with every interval of iperf3 is a tenth of it.
_LARGEST_FILE = 256 * 2**20
_REMEDY = "name a file that --calico-json or --benchmark-json wrote"

# What no probe can have measured is refused, lest a ratio of two samples be 0 or infinite.
Sample = Annotated[float, Field(ge=1e-15, le=1e21, allow_inf_nan=False)]
RoundNumber = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class EarlierCell:
    """A cell of an earlier run.

    Attributes:
        outcome: How it ended, in that run's word.
        unit: Unit of the samples.
        better: Which direction of them is good.
        samples: Round number -> sample.
        control: Round number -> sample of host-to-host; empty where there is none.
        threaded: Whether its iperf3 was threaded (`threaded_iperf3`).
    """

    outcome: str
    unit: Unit
    better: Better
    samples: Mapping[int, float]
    control: Mapping[int, float]
    threaded: bool | None


@dataclass(frozen=True)
class EarlierRun:
    """An earlier run as far as a comparison needs it.

    Attributes:
        path: The file.
        started: When, in UTC.
        fingerprint: Where, and on which software.
        commands: Probe -> its command line in short, which holds all its parameters; empty if not recorded.
        cells: What it measured.
    """

    path: FilePath
    started: datetime
    fingerprint: Fingerprint
    commands: Mapping[str, str]
    cells: Mapping[Cell, EarlierCell]

    @property
    def label(self) -> str:
        """When it was, for people: `2026-11-23 14:40 UTC`."""
        return f"{self.started:%Y-%m-%d %H:%M} UTC"


def check_cell(path: Path, mode: Mode | None, samples: Sequence[float], rounds: Sequence[int]) -> None:
    """What is true of a cell's keys together, in whatever file.

    Raises:
        ValueError: Samples and rounds do not belong together, or path and mode; for pydantic to place.
    """
    if len(samples) != len(rounds) or len(set(rounds)) != len(rounds):
        raise ValueError("it needs one round number for each sample")
    if path.has_mode is (mode is None):
        raise ValueError(f"{path} {'needs a mode' if path.has_mode else 'has no mode'}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Cell(_Part):
    probe: Word
    path: Path
    mode: Mode | None
    outcome: Word
    unit: Unit
    better: Better
    samples: list[Sample]
    rounds: list[RoundNumber]
    control: dict[RoundNumber, Sample] = {}
    details: dict[str, Any] = {}

    @model_validator(mode="after")
    def _sound(self) -> Self:
        check_cell(self.path, self.mode, self.samples, self.rounds)
        return self

    def cell(self) -> Cell:
        return Cell(self.probe, self.path, self.mode)

    def earlier(self) -> EarlierCell:
        return EarlierCell(
            outcome=self.outcome,
            unit=self.unit,
            better=self.better,
            samples=dict(zip(self.rounds, self.samples, strict=True)),
            control=self.control,
            threaded=threaded_iperf3(self.details),
        )


class _Probe(_Part):
    command: Word


class _Profile(_Part):
    name: Word
    probes: dict[Word, _Probe] = {}


class _Record(_Part):
    """What `report.records.document` writes."""

    format: Literal[1, 2] = Field(alias="schema")
    cluster: ClusterFacts
    profile: _Profile
    started: Word
    cells: list[_Cell]


class _MachineInfo(_Part):
    cluster: ClusterFacts


class _Row(_Part):
    """A row of pytest-benchmark's; `report.benchmark.Recorder` fills `extra_info`."""

    extra_info: dict[str, Any]


class _BenchmarkFile(_Part):
    machine_info: _MachineInfo
    datetime: Word
    benchmarks: list[_Row]


def read_run(path: FilePath) -> EarlierRun:
    """Read an earlier run.

    Raises:
        UsageProblem: There is no such file, it is not one of ours, or it holds no sample; says why in a line.
    """
    text = read_file(path, f"baseline {path}", _REMEDY)
    try:
        run = _of_benchmarks(path, text) if _is_of_benchmarks(text) else _of_record(path, text)
    except ValidationError as error:
        raise UsageProblem(_first(error), where=f"baseline {path}", remedy=_REMEDY) from None
    if not any(cell.samples for cell in run.cells.values()):
        raise UsageProblem("it holds no sample to compare with", where=f"baseline {path}", remedy=_REMEDY)
    return run


def read_file(path: FilePath, where: str, remedy: str) -> bytes:
    """The bytes of a file that should hold a run.

    Raises:
        UsageProblem: It is no file, larger than any record, or cannot be read; `where` stands before it, and
            `remedy` after it.
    """
    try:
        # A pipe or a device may never end.
        if path.exists() and not path.is_file():
            raise UsageProblem("it is not a file", where=where, remedy=remedy)
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageProblem("it is larger than any record", where=where, remedy=remedy)
        return path.read_bytes()
    except OSError as error:
        what = f"it cannot be read: {error.strerror or error}"
        raise UsageProblem(what, where=where, remedy=remedy) from None


class _Kind(_Part):
    machine_info: dict[str, Any] | None = None


def _is_of_benchmarks(text: bytes) -> bool:
    return _Kind.model_validate_json(text).machine_info is not None


def _of_record(path: FilePath, text: bytes) -> EarlierRun:
    record = _Record.model_validate_json(text)
    return EarlierRun(
        path=path,
        started=_moment(record.started, path),
        fingerprint=Fingerprint.of(record.cluster, record.profile.name),
        commands={name: probe.command for name, probe in record.profile.probes.items()},
        cells=_by_cell(record.cells, path),
    )


def _of_benchmarks(path: FilePath, text: bytes) -> EarlierRun:
    file = _BenchmarkFile.model_validate_json(text)
    # Rows of a test's own samples (calico_record) and of other people's benchmarks belong to no cell; two
    # tests that ask for the same cell record the same samples twice.
    rows = [
        row.extra_info for row in file.benchmarks if {"probe", "path", "samples"} <= row.extra_info.keys()
    ]
    cells = [_Cell.model_validate(row, strict=False) for row in rows]
    return EarlierRun(
        path=path,
        started=_moment(file.datetime, path),
        fingerprint=Fingerprint.of(file.machine_info.cluster),
        commands={},
        cells={each.cell(): each.earlier() for each in reversed(cells)},
    )


def _by_cell(cells: Iterable[_Cell], path: FilePath) -> dict[Cell, EarlierCell]:
    found: dict[Cell, EarlierCell] = {}
    for each in cells:
        if each.cell() in found:
            raise UsageProblem(
                f"it has two results of {each.cell()}", where=f"baseline {path}", remedy=_REMEDY
            )
        found[each.cell()] = each.earlier()
    return found


def _moment(text: str, path: FilePath) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        # pytest-benchmark leaves the zone out in some releases; what it writes is UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageProblem(
            f"{text!r} is no time it could have been started at", where=f"baseline {path}", remedy=_REMEDY
        ) from None


def _first(error: ValidationError) -> str:
    """The first of what pydantic found, in a line."""
    detail = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "json_invalid":
        return f"it is not JSON: {message.removeprefix('Invalid JSON: ')}"
    text = f"it is no record of ours: {field}: {message}" if field else f"it is no record of ours: {message}"
    return "".join(character if character.isprintable() else "?" for character in text)[:300]
