"""The run as one JSON document: written so that nothing measured is lost, read back later as a baseline."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

from pytest_calico_perf.errors import RecordProblem, SettingProblem, UsageProblem
from pytest_calico_perf.model import CellResult, Ratio, RunRecord
from pytest_calico_perf.report.table import base_result
from pytest_calico_perf.stats import paired_ratio, summarize

SCHEMA = 1


def document(record: RunRecord) -> dict[str, Any]:
    """The record as plain JSON values: SI units, outcomes by their word, null for what is not known.

    `docs/reading-results.md` describes every key.
    """
    return {
        "schema": SCHEMA,
        "cluster": plain(record.cluster),
        "profile": plain(record.profile),
        "modes": [str(mode) for mode in record.modes],
        "started": record.started,
        "wall_seconds": record.wall_seconds,
        "measuring_seconds": record.measuring_seconds,
        "interrupted": record.interrupted,
        "problem": record.problem or None,
        "cells": [_cell(result, record) for result in record.results],
    }


def plain(value: Any) -> Any:
    """`value` as what strict JSON can hold: mappings, lists, text, finite numbers, booleans, null.

    NaN and infinity become null: they mean that something is not known, and JSON has no word for them.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def check_writable(path: FilePath) -> None:
    """Find out before the run whether its record can be written.

    Raises:
        SettingProblem: The folder does not exist or cannot be written to, or `path` is a folder.
    """
    where = f"results file {path}"
    folder = path.resolve().parent
    if path.is_dir():
        raise SettingProblem("it is a folder", where=where, remedy="name a file in it")
    if not folder.is_dir():
        raise SettingProblem(
            f"the folder {folder} does not exist", where=where, remedy="create it, or name another file"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise SettingProblem(
            "it may not be written", where=where, remedy="change its permissions, or name another file"
        )


def write(document: Mapping[str, Any], path: FilePath) -> None:
    """Write `document` so that `path` holds either all of it or what it held before.

    Raises:
        RecordProblem: It could not be written there; the message says where it was saved instead, or that
            it could not be saved.
        ValueError: It holds something JSON cannot (see `plain`).
    """
    text = json.dumps(document, allow_nan=False, indent=1) + "\n"
    try:
        _write(text, path)
    except OSError as error:
        what = f"the results could not be written: {error.strerror or error}"
        refuge = _save_elsewhere(text)
        if refuge is None:
            raise RecordProblem(
                f"{what}; nor could they be saved in {tempfile.gettempdir()}",
                where=str(path),
                remedy="make room on the disk and run again",
            ) from error
        raise RecordProblem(
            f"{what}; they are in {refuge} instead", where=str(path), remedy="move that file"
        ) from error


def read(path: FilePath) -> dict[str, Any]:
    """A document written by `write`.

    Raises:
        UsageProblem: There is no such file, or it is not one of ours.
    """
    where = f"results file {path}"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageProblem(f"it cannot be read: {error.strerror or error}", where=where) from error
    except ValueError as error:
        raise UsageProblem(f"it is not JSON: {error}", where=where) from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UsageProblem(
            f"it is not a record of schema {SCHEMA}",
            where=where,
            remedy="name a file that --calico-json wrote",
        )
    return found


def _cell(result: CellResult, record: RunRecord) -> dict[str, Any]:
    cell = result.cell
    base = base_result(record, result)
    ratio = paired_ratio(base.by_round, result.by_round) if base else None
    return {
        "mode": None if cell.mode is None else str(cell.mode),
        "path": str(cell.path),
        "probe": cell.probe,
        "outcome": str(result.outcome),
        "reason": result.reason,
        "verdicts": [plain(asdict(verdict)) for verdict in result.verdicts],
        "unit": str(result.unit),
        "better": str(result.better),
        "samples": list(result.samples),
        "rounds": list(result.rounds),
        "control": plain(result.control),
        "summary": asdict(summarize(result.samples)) if result.samples else None,
        "ratio": _ratio(ratio),
        "details": plain(result.details),
        "runs": plain(result.runs),
        "evidence": plain(result.evidence),
    }


def _ratio(ratio: Ratio | None) -> dict[str, Any] | None:
    return None if ratio is None else asdict(ratio)


def _write(text: str, path: FilePath) -> None:
    target = path.resolve()  # a symbolic link stays one
    if target.exists() and not target.is_file():
        # A pipe or a device, such as /dev/stdout: putting a file in its place would destroy it.
        with target.open("w", encoding="utf-8") as stream:
            stream.write(text)
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())  # some file systems say only now that they are full
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def _save_elsewhere(text: str) -> FilePath | None:
    try:
        descriptor, name = tempfile.mkstemp(prefix="calico-perf-", suffix=".json")
        refuge = FilePath(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            refuge.unlink()
            raise
    except OSError:
        return None
    return refuge
