"""The run as one JSON document: written so that nothing measured is lost, read back later as a baseline."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

from pytest_calico_perf.model import CellResult, RunRecord
from pytest_calico_perf.report.saving import save
from pytest_calico_perf.report.table import base_result
from pytest_calico_perf.stats import paired_ratio, summarize

SCHEMA = 2
"""Number of the document's shape, which `docs/results.schema.json` describes. Number 1 had neither diagnosis,
remarks, commands, samples of a wrong path and past, nor command line and software; it is still read."""


def document(record: RunRecord) -> dict[str, Any]:
    """The record as plain JSON values: SI units, outcomes by their word, null for what is not known.

    `docs/results.schema.json` describes every key, `docs/reading-results.md` does in short.
    """
    found: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "cluster": record.cluster,
            "profile": record.profile,
            "modes": record.modes,
            "started": record.started,
            "wall_seconds": record.wall_seconds,
            "measuring_seconds": record.measuring_seconds,
            "interrupted": record.interrupted,
            "problem": record.problem or None,
            "command": record.command,
            "software": record.software,
            "cells": [_cell(result, record) for result in record.results],
        }
    )
    return found


def plain(value: Any) -> Any:
    """`value` as what strict JSON can hold: mappings, lists, text, finite numbers, booleans, null.

    NaN and infinity become null: they mean that something is not known, and JSON has no word for them. Bytes
    of a command line that are no text are written out: half a surrogate pair is no JSON either.
    """
    if isinstance(value, Mapping):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _text(value)


def _text(value: object) -> str:
    return str(value).encode(errors="backslashreplace").decode()


def write(document: Mapping[str, Any], path: FilePath) -> None:
    """Write `document` so that `path` holds either all of it or what it held before (`saving.save`).

    Raises:
        RecordProblem: It could not be written there; the message says where it was saved instead, or that
            it could not be saved.
        ValueError: It holds something JSON cannot (see `plain`).
    """
    save(json.dumps(document, allow_nan=False, indent=1) + "\n", path)


def _cell(result: CellResult, record: RunRecord) -> dict[str, Any]:
    cell = result.cell
    base = base_result(record, result)
    ratio = paired_ratio(base.by_round, result.by_round) if base else None
    return {
        "mode": cell.mode,
        "path": cell.path,
        "probe": cell.probe,
        "outcome": result.outcome,
        "reason": result.reason,
        "verdicts": [asdict(verdict) for verdict in result.verdicts],
        "unit": result.unit,
        "better": result.better,
        "samples": result.samples,
        "rounds": result.rounds,
        "control": result.control,
        "summary": asdict(summarize(result.samples)) if result.samples else None,
        "ratio": asdict(ratio) if ratio else None,
        "details": result.details,
        "runs": result.runs,
        "evidence": result.evidence,
        "diagnosis": result.diagnosis or None,
        "remarks": result.remarks,
        "wrong_samples": result.wrong_samples,
        "commands": [asdict(ran) for ran in result.commands],
        "past": [asdict(value) for value in result.past],
    }
