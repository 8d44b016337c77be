"""Figures others published, beside this run's: ratios only, since absolute values belong to their machines.

`references/*.yaml` holds them with source and caveats. What is shown is never judged: a ratio of another
kernel, card and packet size is no limit for this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any

from pydantic import Field, StrictStr, ValidationError

from pytest_calico_perf.clusterfile import load_fields
from pytest_calico_perf.clusterfile.fields import Model, Name
from pytest_calico_perf.clusterfile.located_yaml import FieldPath, LocatedYaml
from pytest_calico_perf.errors import SettingProblem, did_you_mean
from pytest_calico_perf.model import CellResult, Mode, Outcome, Path, Ratio, RunRecord
from pytest_calico_perf.probes import PROBES
from pytest_calico_perf.report.table import base_result
from pytest_calico_perf.stats import paired_ratio
from pytest_calico_perf.units import parse_value

FLAG = "--calico-reference"
HOST = "host"
"""What a ratio to host-to-host is divided by, in `ReferenceRow.base`."""

Line = Annotated[StrictStr, Field(min_length=1, max_length=500)]


@dataclass(frozen=True)
class Figure:
    """One published figure.

    Attributes:
        probe: The probe of ours that asks the same.
        path: Where it was measured.
        mode: In which mode.
        value: What was published, in the probe's unit (bit/s, seconds).
        host: Host-to-host's beside it, in the same unit; None where none was published.
        variant: What tells it from another figure of the same cell; empty where nothing must.
        note: What a reader must know about this very figure.
    """

    probe: str
    path: Path
    mode: Mode
    value: float
    host: float | None = None
    variant: str = ""
    note: str = ""


@dataclass(frozen=True)
class Reference:
    """What somebody published.

    Attributes:
        name: Its name on the command line and in reports.
        title: What it is, in a few words.
        source: Who published it, and where it is to be found.
        setup: What it was measured with.
        caveats: What is not comparable about it, a sentence each; always shown.
        figures: Its figures, in the order of the file.
    """

    name: str
    title: str
    source: str
    setup: str
    caveats: tuple[str, ...]
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class ReferenceRow:
    """A published ratio and the measured one.

    Attributes:
        probe: Name of the probe.
        path: Which path.
        mode: Which mode.
        base: What both ratios divide by: `HOST`, or another mode's word.
        outcome: How the measured cell ended.
        measured: This run's ratio; None where it has none (a dead path, no common round).
        published: The ratio of the published figures.
        reference: Name of the reference.
        note: The figure's variant and note, in words; may be empty.
    """

    probe: str
    path: Path
    mode: Mode
    base: str
    outcome: Outcome
    measured: Ratio | None
    published: float
    reference: str
    note: str


class _Figure(Model):
    probe: StrictStr
    path: Path
    mode: Mode
    value: StrictStr
    host: StrictStr | None = None
    variant: Line | None = None
    note: Line | None = None


class _File(Model):
    name: Name
    title: Line
    source: Line
    setup: Line
    caveats: Annotated[tuple[Line, ...], Field(min_length=1)]
    figures: Annotated[tuple[_Figure, ...], Field(min_length=1)]


def reference_names() -> tuple[str, ...]:
    """The references that come with the package."""
    return tuple(sorted(file.stem for file in _folder().glob("*.yaml")))


def load_references(names: Iterable[str]) -> tuple[Reference, ...]:
    """The references of these names, or in these files, in this order.

    Raises:
        SettingProblem: There is none of that name.
        ClusterFileProblem: A file cannot be used; names file, line and field.
    """
    return tuple(_load(_find(name)) for name in names)


def reference_rows(record: RunRecord, references: Iterable[Reference]) -> tuple[ReferenceRow, ...]:
    """Every published ratio that this run has a cell for: to host-to-host, and to the run's first mode.

    In the order of the run's cells. A figure that no cell of the run asks for has no row (`unused`).
    """
    known = tuple(references)
    return tuple(row for result in record.results for one in known for row in _rows(record, result, one))


def unused(record: RunRecord, reference: Reference) -> int:
    """How many figures of `reference` are of cells that this run does not have."""
    cells = {(result.cell.probe, result.cell.path, result.cell.mode) for result in record.results}
    return sum((each.probe, each.path, each.mode) not in cells for each in reference.figures)


def _rows(record: RunRecord, result: CellResult, reference: Reference) -> Iterator[ReferenceRow]:
    cell, base = result.cell, base_result(record, result)
    for figure in reference.figures:
        if cell.mode is None or (figure.probe, figure.path, figure.mode) != (
            cell.probe,
            cell.path,
            cell.mode,
        ):
            continue
        pairs: list[tuple[str, float | None, Ratio | None]] = [
            (HOST, figure.host, paired_ratio(result.control, result.by_round)),
        ]
        if base is not None and base.cell.mode is not None:
            published = _of_mode(reference, figure, base.cell.mode)
            pairs.append((base.cell.mode, published, paired_ratio(base.by_round, result.by_round)))
        for word, divisor, measured in pairs:
            if divisor is not None:
                yield ReferenceRow(
                    probe=cell.probe,
                    path=cell.path,
                    mode=cell.mode,
                    base=word,
                    outcome=result.outcome,
                    measured=measured,
                    published=figure.value / divisor,
                    reference=reference.name,
                    note=", ".join(filter(None, (figure.variant, figure.note))),
                )


def _of_mode(reference: Reference, figure: Figure, mode: Mode) -> float | None:
    """What `mode` had beside `figure`: in the same variant, which is another set of machines or settings."""
    return next(
        (
            other.value
            for other in reference.figures
            if (other.probe, other.path, other.variant) == (figure.probe, figure.path, figure.variant)
            and other.mode is mode
        ),
        None,
    )


def _folder() -> FilePath:
    return FilePath(__file__).parents[1] / "references"


def _find(name: str) -> FilePath:
    path = FilePath(name)
    if name != path.name or path.suffix in (".yaml", ".yml"):
        return path
    if name not in reference_names():
        raise SettingProblem(
            f"unknown reference {name!r}{did_you_mean(name, reference_names())}",
            where=FLAG,
            remedy=f"known: {', '.join(reference_names())}; or give the path of a file",
        )
    return _folder() / f"{name}.yaml"


def _load(path: FilePath) -> Reference:
    document = load_fields(str(path))
    if not isinstance(document.data, dict):
        raise document.problem((), "a file of references is a list of `field: value` lines")
    try:
        file = _File.model_validate(document.data)
    except ValidationError as error:
        problems = [_explained(detail) for detail in error.errors(include_url=False)]
        # The first of them in the file's order: a person mends a file from top to bottom.
        field, message = min(problems, key=lambda problem: document.line(problem[0]))
        raise document.problem(field, message) from None
    figures = tuple(_figure(figure, index, document) for index, figure in enumerate(file.figures))
    return Reference(file.name, file.title, file.source, file.setup, file.caveats, figures)


def _figure(figure: _Figure, index: int, document: LocatedYaml) -> Figure:
    place = ("figures", index)
    if figure.probe not in PROBES:
        hint = did_you_mean(figure.probe, PROBES)
        raise document.problem(
            (*place, "probe"), f"unknown probe {figure.probe!r}{hint}", remedy=f"known: {', '.join(PROBES)}"
        )
    if not figure.path.has_mode:
        raise document.problem((*place, "path"), "host-to-host has no mode: give it as `host` of the others")
    return Figure(
        probe=figure.probe,
        path=figure.path,
        mode=figure.mode,
        value=_value(figure, "value", document, place),
        host=_value(figure, "host", document, place) if figure.host is not None else None,
        variant=figure.variant or "",
        note=figure.note or "",
    )


def _value(figure: _Figure, field: str, document: LocatedYaml, place: FieldPath) -> float:
    try:
        value = parse_value(getattr(figure, field), PROBES[figure.probe]().unit)
    except ValueError as error:
        raise document.problem((*place, field), str(error)) from None
    if value <= 0:
        raise document.problem((*place, field), "must be above 0: a failure is no figure")
    return value


def _explained(detail: Any) -> tuple[FieldPath, str]:
    """What pydantic found, as the field in the file and a sentence."""
    field: FieldPath = tuple(detail["loc"])
    if detail["type"] == "misfit":
        return (*field, *detail["ctx"]["field"]), str(detail["ctx"]["message"])
    if detail["type"] == "missing":
        return field, "field is missing"
    got = repr(detail["input"])
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return field, f"{message}, not {got if len(got) <= 60 else f'{got[:57]}...'}"


def sentences(record: RunRecord, references: Sequence[Reference]) -> tuple[str, ...]:
    """What must be said of each reference beside its rows: source, setup, caveats and what is not shown."""
    said = []
    for one in references:
        left = unused(record, one)
        parts = [f"{one.name}: {one.source}", f"Setup: {one.setup}", *one.caveats]
        if left:
            verb = "is" if left == 1 else "are"
            parts.append(
                f"{left} of its {len(one.figures)} figures {verb} of cells that this run does not have"
            )
        said.append(" ".join(f"{part.rstrip('.')}." for part in parts))
    return tuple(said)
