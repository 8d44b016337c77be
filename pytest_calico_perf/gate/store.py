"""A folder of records: one of every good run, kept apart by the place they were measured at."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path as FilePath

from pytest_calico_perf.errors import RecordProblem, SettingProblem
from pytest_calico_perf.gate.earlier import EarlierRun, read_run
from pytest_calico_perf.gate.fingerprint import Fingerprint, folder_prefix
from pytest_calico_perf.model import Outcome, RunRecord

_BAD = frozenset(
    {Outcome.SLOW, Outcome.REGRESSED, Outcome.UNREACHABLE, Outcome.WRONG_PATH, Outcome.TOOL_ERROR}
)
# What a cell was like a hundred runs ago says little about today, and reading takes time.
_MOST_RUNS = 100


class Store:
    """The folder. Reads all it needs before anything is touched.

    Args:
        folder: It need not exist yet.
        cluster: Name of the cluster that will be measured.

    Raises:
        UsageProblem: It cannot be used, or holds a file that is not one of ours.
    """

    def __init__(self, folder: FilePath, cluster: str) -> None:
        self.folder = folder
        where = f"baseline folder {folder}"
        existing = next(each for each in (folder, *folder.resolve().parents) if each.exists())
        if not existing.is_dir():
            raise SettingProblem(f"{existing} is not a folder", where=where, remedy="name a folder")
        if not os.access(existing, os.W_OK | os.X_OK | os.R_OK):
            raise SettingProblem(
                "it may not be read and written",
                where=where,
                remedy="change its permissions, or name another folder",
            )
        # The place is known when the cluster is up, its name now: so a broken file costs nothing but a line.
        self._runs = {
            place.name: _read_all(place)
            for place in sorted(folder.glob(f"{folder_prefix(cluster)}*"))
            if place.is_dir()
        }

    def runs_at(self, here: Fingerprint) -> tuple[EarlierRun, ...]:
        """The good runs at a place, in order of time."""
        return tuple(run for run in self.candidates if run.fingerprint.place == here.place)

    @property
    def candidates(self) -> tuple[EarlierRun, ...]:
        """The good runs of the cluster at any place, in order of time: its own is not known yet."""
        runs = (run for runs in self._runs.values() for run in runs if _is_good(run))
        return tuple(sorted(runs, key=lambda run: run.started))

    def file_for(self, record: RunRecord, here: Fingerprint) -> FilePath | None:
        """Where the record of this run belongs; its folder is made. None when the run was not good.

        Good is a run that was not cut short, measured something, and has no cell that is slow, regressed,
        unreachable, on a wrong path or failed.

        Raises:
            RecordProblem: The folder cannot be made.
        """
        outcomes = [result.outcome for result in record.results]
        if record.interrupted or record.problem or any(outcome in _BAD for outcome in outcomes):
            return None
        if not any(result.samples for result in record.results):
            return None
        folder = self.folder / here.key
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordProblem(
                f"the folder of baselines could not be made: {error.strerror or error}", where=str(folder)
            ) from error
        moment = datetime.fromisoformat(record.started).astimezone(UTC)
        return folder / f"{moment:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.json"


def _read_all(place: FilePath) -> tuple[EarlierRun, ...]:
    """The newest records of a folder, by their names, which begin with the time."""
    # Drafts begin with a dot. What a name holds is shown on terminals, which obey control characters.
    names = (file for file in place.glob("*.json") if file.name.isprintable() and file.name[0] != ".")
    files = sorted(names, key=lambda file: file.name)
    return tuple(sorted(map(read_run, files[-_MOST_RUNS:]), key=lambda run: run.started))


def _is_good(run: EarlierRun) -> bool:
    return not any(cell.outcome in _BAD for cell in run.cells.values())
