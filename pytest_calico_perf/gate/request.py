"""What the user asked of a baseline: which, by what, how tolerant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path as FilePath
from typing import Protocol, TypeVar

from pytest_calico_perf.errors import SettingProblem, did_you_mean
from pytest_calico_perf.gate.comparison import Tolerances
from pytest_calico_perf.probes import probe_names
from pytest_calico_perf.units import parse_fraction

FILE_FLAG = "--calico-baseline"
FOLDER_FLAG = "--calico-baseline-dir"
GATE_FLAG = "--calico-gate"


class By(StrEnum):
    """What is compared with a baseline."""

    VALUE = "value"  # and its ratio to host-to-host
    RATIO = "ratio"  # to host-to-host, and nothing else: it travels between clusters


class Decides(StrEnum):
    """What decides whether a cell regressed."""

    BASELINE = "baseline"  # the last good run
    HISTORY = "history"  # change points in all of them


Choice = TypeVar("Choice", bound=StrEnum)


class Said(Protocol):
    """A raw value and the place it was given at (`settings.Given`)."""

    @property
    def text(self) -> str:
        """As it was written."""

    @property
    def source(self) -> str:
        """Where."""


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        file: `--calico-baseline`; None without.
        folder: `--calico-baseline-dir`; None without.
        by: What is compared.
        decides: What decides.
        tolerances: Tolerated losses.
    """

    file: FilePath | None = None
    folder: FilePath | None = None
    by: By = By.VALUE
    decides: Decides = Decides.BASELINE
    tolerances: Tolerances = field(default_factory=Tolerances)

    @property
    def wanted(self) -> bool:
        """Whether there is anything to compare with."""
        return self.file is not None or self.folder is not None


def read_request(given: Mapping[str, Said]) -> Request:
    """Check what was given.

    Args:
        given: Word of the option -> value and source, of all options.

    Raises:
        SettingProblem: Something cannot be used; names where it was given.
    """
    file, folder = given.get("baseline"), given.get("baseline-dir")
    request = Request(
        file=FilePath(file.text) if file else None,
        folder=FilePath(folder.text) if folder else None,
        by=_choice(given["baseline-by"], By) if "baseline-by" in given else By.VALUE,
        decides=_choice(given["gate"], Decides) if "gate" in given else Decides.BASELINE,
        tolerances=_tolerances(given["tolerance"]) if "tolerance" in given else Tolerances(),
    )
    if request.decides is Decides.HISTORY and request.folder is None:
        raise SettingProblem(
            "change points are looked for in a folder of earlier runs",
            where=given["gate"].source,
            remedy=f"give {FOLDER_FLAG} DIR as well",
        )
    for word in ("baseline-by", "tolerance"):
        # As a setting that waits for a baseline it may stand in the configuration, but not in a command.
        if word in given and given[word].source.startswith("--") and not request.wanted:
            raise SettingProblem(
                "there is no baseline to compare with",
                where=given[word].source,
                remedy=f"give {FILE_FLAG} FILE or {FOLDER_FLAG} DIR as well",
            )
    return request


def _choice(said: Said, words: type[Choice]) -> Choice:
    if said.text not in tuple(words):
        raise SettingProblem(
            f"unknown word {said.text[:40]!r}{did_you_mean(said.text, words)}",
            where=said.source,
            remedy=f"known: {', '.join(words)}",
        )
    return words(said.text)


def _tolerances(said: Said) -> Tolerances:
    """`5 %`, `ping=10 %`, or several of these with commas between."""
    usual, by_probe = Tolerances().usual, {}
    for part in said.text.split(","):
        probe, equals, text = part.rpartition("=")
        probe = probe.strip()
        if equals and probe not in probe_names():
            raise SettingProblem(
                f"unknown probe {probe[:40]!r}{did_you_mean(probe, probe_names())}",
                where=said.source,
                remedy=f"known: {', '.join(probe_names())}",
            )
        try:
            tolerance = parse_fraction(text.strip())
        except ValueError as error:
            raise SettingProblem(str(error), where=said.source) from None
        if not 0 <= tolerance < 1:
            raise SettingProblem(
                f"{text.strip()} cannot be tolerated", where=said.source, remedy="give less than 100 %"
            )
        if equals:
            by_probe[probe] = tolerance
        else:
            usual = tolerance
    return Tolerances(usual, by_probe)
