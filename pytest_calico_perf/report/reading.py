"""A record read back from its JSON into the words of the house. Validated, never trusted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.gate.earlier import RoundNumber, Sample, check_cell, read_file
from pytest_calico_perf.model import (
    Better,
    Cell,
    CellResult,
    Mode,
    Outcome,
    PastValue,
    Path,
    Ran,
    RunRecord,
    Summary,
    Unit,
    Verdict,
)
from pytest_calico_perf.report.records import SCHEMA

_REMEDY = "name a file that --calico-json wrote"
_LONGEST_MESSAGE = 300
_LARGEST = sys.float_info.max

Facts = dict[str, Any]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class _Part(BaseModel):
    # What is derived (`summary`, `ratio`) is not read but taken from the samples again.
    model_config = ConfigDict(extra="ignore", strict=True)


class _Verdict(_Part):
    rule: str
    source: str
    outcome: Outcome
    message: str
    compares: bool = False


class _Ran(_Part):
    endpoint: str
    argv: tuple[str, ...]
    exit_code: int | None
    seconds: Seconds
    output: str
    times: Annotated[int, Field(ge=1)] = 1


class _Told(_Part):
    """Facts of which those that reports show are of the type they show."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Finding(_Told):
    title: str = ""
    broken: str = ""
    facts: tuple[str, ...] = ()
    meaning: str = ""
    remedy: str = ""


class _Check(_Told):
    link: str = ""
    where: str = ""
    state: str = ""
    says: str = ""


class _Diagnosis(_Told):
    """What `diagnosis.finding.Diagnosis.to_json` writes."""

    symptom: str = ""
    said: str = ""
    sentence: str = ""
    remedy: str = ""
    works: tuple[str, ...] = ()
    findings: tuple[_Finding, ...] = ()
    checks: tuple[_Check, ...] = ()
    not_seen: tuple[str, ...] = ()
    commands: tuple[_Ran, ...] = ()


class _Summary(_Part):
    median: Sample
    low: Sample | None
    high: Sample | None
    confidence: Annotated[float, Field(gt=0, lt=1)] | None
    n: Annotated[int, Field(ge=1)]


class _Past(_Part):
    label: str
    summary: _Summary


class _Cell(_Part):
    mode: Mode | None
    path: Path
    probe: Annotated[str, Field(min_length=1)]
    outcome: Outcome
    reason: str
    verdicts: tuple[_Verdict, ...] = ()
    unit: Unit
    better: Better
    samples: tuple[Sample, ...]
    rounds: tuple[RoundNumber, ...]
    control: dict[RoundNumber, Sample] = {}
    details: Facts = {}
    runs: tuple[Facts, ...] = ()
    evidence: Facts = {}
    diagnosis: _Diagnosis | None = None
    remarks: tuple[str, ...] = ()
    wrong_samples: tuple[Sample, ...] = ()
    commands: tuple[_Ran, ...] = ()
    past: tuple[_Past, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        check_cell(self.path, self.mode, self.samples, self.rounds)
        return self

    def result(self) -> CellResult:
        return CellResult(
            cell=Cell(self.probe, self.path, self.mode),
            outcome=self.outcome,
            unit=self.unit,
            better=self.better,
            samples=self.samples,
            rounds=self.rounds,
            reason=self.reason,
            details=self.details,
            runs=self.runs,
            evidence=self.evidence,
            control=self.control,
            verdicts=tuple(Verdict(**verdict.model_dump()) for verdict in self.verdicts),
            diagnosis=self.diagnosis.model_dump(exclude_unset=True) if self.diagnosis else {},
            remarks=self.remarks,
            wrong_samples=self.wrong_samples,
            commands=tuple(Ran(**ran.model_dump()) for ran in self.commands),
            past=tuple(PastValue(each.label, Summary(**each.summary.model_dump())) for each in self.past),
        )


class _Profile(_Part):
    model_config = ConfigDict(extra="allow", strict=True)

    name: str


class _Cluster(_Part):
    model_config = ConfigDict(extra="allow", strict=True)

    name: str


class _Document(_Part):
    cluster: _Cluster
    profile: _Profile
    modes: tuple[Mode, ...]
    started: str
    wall_seconds: Seconds
    measuring_seconds: Seconds
    interrupted: bool
    problem: str | None
    command: tuple[str, ...] = ()
    software: dict[str, str] = {}
    cells: tuple[_Cell, ...]

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        seen = set()
        for cell in self.cells:
            key = (cell.probe, cell.path, cell.mode)
            if key in seen:
                raise ValueError(f"there are two results of {Cell(*key)}")
            seen.add(key)
        return self


class _Kind(_Part):
    number: Any = Field(alias="schema")


def read_record(path: FilePath) -> RunRecord:
    """The record that `records.write` wrote to `path`, of this schema or an older one.

    Raises:
        UsageProblem: There is no such file, it is not one of ours, or of a later version; names file and key.
    """
    where = f"record {path}"
    text = read_file(path, where, _REMEDY)
    try:
        number = _Kind.model_validate_json(text).number
    except ValidationError as error:
        raise _problem(error, where) from None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UsageProblem(f"{_printable(repr(number))} is no schema of ours", where=where, remedy=_REMEDY)
    if number > SCHEMA:
        raise UsageProblem(
            f"it is of schema {number}, and this version reads up to {SCHEMA}",
            where=where,
            remedy="update pytest-calico-perf, or read it with the version that wrote it",
        )
    try:
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        raise _problem(error, where) from None
    _check_numbers(from_json(text), where)
    return _record(document)


def _check_numbers(document: Any, where: str) -> None:
    """Refuse numbers that no arithmetic can take, also deep in facts of which nothing else is known."""
    rest = [("", document)]
    while rest:
        key, value = rest.pop()
        if isinstance(value, dict):
            rest += [(f"{key}.{name}".lstrip("."), each) for name, each in value.items()]
        elif isinstance(value, list):
            rest += [(f"{key}[{index}]", each) for index, each in enumerate(value)]
        elif isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:  # nor is NaN
            raise UsageProblem(
                "it is no record of ours: a number is not finite, or too large",
                where=f"{where}: {_printable(key)}",
                remedy=_REMEDY,
            )


def _record(document: _Document) -> RunRecord:
    return RunRecord(
        cluster=_facts(document.cluster),
        profile=_facts(document.profile),
        modes=document.modes,
        results=tuple(cell.result() for cell in document.cells),
        started=document.started,
        wall_seconds=document.wall_seconds,
        measuring_seconds=document.measuring_seconds,
        interrupted=document.interrupted,
        problem=document.problem or "",
        command=document.command,
        software=document.software,
    )


def _facts(part: _Cluster | _Profile) -> Mapping[str, Any]:
    return part.model_dump()


def _problem(error: ValidationError, where: str) -> UsageProblem:
    """The first of what pydantic found, with the key it stands under."""
    detail = error.errors(include_url=False, include_input=False)[0]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    if detail["type"] == "json_invalid":
        what = f"it is not JSON: {detail['msg'].removeprefix('Invalid JSON: ')}"
    elif detail["type"] == "missing":
        what = "it is no record of ours: the key is missing"
    else:
        what = f"it is no record of ours: {detail['msg'].removeprefix('Value error, ')}"
    return UsageProblem(
        _printable(what), where=f"{where}: {_printable(key)}" if key else where, remedy=_REMEDY
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:_LONGEST_MESSAGE]
