"""The files a run leaves: record, figures, digest, baseline. One that cannot be written costs no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pytest_calico_perf.errors import RecordProblem
from pytest_calico_perf.model import RunRecord
from pytest_calico_perf.report import openmetrics, records, spreadsheet, summary
from pytest_calico_perf.report.saving import save
from pytest_calico_perf.session import Session
from pytest_calico_perf.settings import Settings


class Outputs:
    """Writes them, and remembers what to tell of it.

    Args:
        arguments: What pytest was called with.

    Attributes:
        notes: Lines that say what is where.
        problems: What could not be written, and where it was saved instead.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self.notes: list[str] = []
        self.problems: list[str] = []

    def write(self, record: RunRecord, settings: Settings) -> None:
        """Write what was asked for, and add the digest to the summary of a GitHub job."""
        if path := settings.json:
            write = partial(records.write, records.document(record), path)
            self._attempt(write, f"the record is in {path}")
        if path := settings.csv:
            self._attempt(partial(save, spreadsheet.rows(record), path), f"the figures are in {path}")
        if path := settings.openmetrics:
            self._attempt(partial(save, openmetrics.exposition(record), path), f"the figures are in {path}")
        self._summarize(record, settings.summary)

    def keep_baseline(self, record: RunRecord, session: Session) -> None:
        """Keep the record for later runs to be held against, where that was asked for and it is good."""

        def keep() -> None:
            path = session.baseline_file(record)
            if path is not None:
                records.write(records.document(record), path)
            told = f"kept as a baseline in {path}" if path else "not kept as a baseline: it was not good"
            self.notes.append(f"calico-perf: this run is {told}")

        if session.keeps_baselines and record.results:
            self._attempt(keep)

    def _summarize(self, record: RunRecord, path: Path | None) -> None:
        job = os.environ.get(summary.JOB_SUMMARY)
        if not (path or job) or not (record.results or record.problem):
            return
        text = summary.render(record, self._arguments)
        if path:
            self._attempt(partial(summary.write, text, path), f"the digest is in {path}")
        if job:
            self._attempt(partial(summary.append, text, Path(job)))

    def _attempt(self, write: Callable[[], None], told: str = "") -> None:
        try:
            write()
        except RecordProblem as problem:
            self.problems.append(str(problem))
        else:
            if told:
                self.notes.append(f"calico-perf: {told}")
