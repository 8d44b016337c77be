"""What was demanded of a run: thresholds and expectations, from the cluster file and the options."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pytest_calico_perf.clusterfile import ClusterFile, load_fields
from pytest_calico_perf.errors import SettingProblem, UsageProblem
from pytest_calico_perf.gate.expectations import Expectation
from pytest_calico_perf.gate.request import Said
from pytest_calico_perf.gate.thresholds import Thresholds
from pytest_calico_perf.model import Cell

EXPECT_FLAG = "--calico-expect"


def read_thresholds(given: Said | None, file: ClusterFile) -> Thresholds:
    """Those of the file that was named, else those of the cluster file.

    Raises:
        UsageProblem: They cannot be, or a file that was named for them has none: one that a template left
            empty must not become a gate that everything passes.
    """
    if given is None:
        return Thresholds.read(file.thresholds or {}, file, "thresholds")
    document = load_fields(given.text)
    thresholds = Thresholds.read(document.data or {}, document)
    if not thresholds.demand_anything:
        raise UsageProblem(
            "it demands nothing", where=given.text, remedy=f"write a threshold, or leave out {given.source}"
        )
    return thresholds


def read_expectations(
    given: Iterable[str], source: str, file: ClusterFile, cells: Collection[Cell]
) -> tuple[Expectation, ...]:
    """Those of the cluster file and those that were given.

    Args:
        given: Those given outside of it.
        source: Where: option, environment variable or ini value.
        file: The cluster file.
        cells: All that the settings measure.

    Raises:
        UsageProblem: One is none, or one on the command line, hence for this very run, that no such run can
            judge. One that is always there (cluster file, environment, ini) is told of in a note.
    """
    found: list[Expectation] = []
    for index, text in enumerate(file.expect):
        place = ("expect", index)
        try:
            found.append(Expectation.parse(text, file.place(place)))
        except ValueError as error:
            raise file.problem(place, str(error)) from None
    for text in given:
        try:
            expectation = Expectation.parse(text, source)
        except ValueError as error:
            raise SettingProblem(str(error), where=source) from None
        if source == EXPECT_FLAG:
            _check_possible(expectation, cells)
        found.append(expectation)
    return tuple(found)


def _check_possible(expectation: Expectation, cells: Collection[Cell]) -> None:
    modes = list(dict.fromkeys(cell.mode for cell in cells if cell.mode))
    for mode in (expectation.mode, expectation.base):
        if mode is not None and mode not in modes:
            raise SettingProblem(
                f"{expectation.text!r} needs {mode}, which this run does not measure",
                where=EXPECT_FLAG,
                remedy=f"measured are: {', '.join(modes) or 'hosts only'}",
            )
    if not any(expectation.of(cell) for cell in cells):
        probes = dict.fromkeys(cell.probe for cell in cells)
        paths = dict.fromkeys(str(cell.path) for cell in cells if cell.mode)
        raise SettingProblem(
            f"{expectation.text!r} means no cell of this run",
            where=EXPECT_FLAG,
            remedy=f"measured are: {', '.join(probes)} on {', '.join(paths)}",
        )
