"""What pytest runs with --calico-diagnose in place of tests: a look at each pair of ends.

As items of pytest they are interrupted, counted and reported like tests: in JUnit, in HTML, by the exit code.
"""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from pytest_calico_perf.errors import CalicoPerfError, UsageProblem
from pytest_calico_perf.examination import pairs_of
from pytest_calico_perf.fixtures import RESULT_KEY
from pytest_calico_perf.model import Cell, CellResult, Outcome
from pytest_calico_perf.report.doctor import closing, examined
from pytest_calico_perf.report.junit import properties
from pytest_calico_perf.report.table import notes
from pytest_calico_perf.session import Session
from pytest_calico_perf.units import format_count

_FILE = "calico-diagnose"  # what stands where tests have the name of their file
_WIDTH = 110  # columns of the text in reports


class Look(pytest.Item):
    """A look at one pair: passed where it carries payload in its mode's way."""

    def __init__(self, *, pair: Cell, of: Session, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pair = pair
        self._of = of

    def runtest(self) -> None:
        """Look, and fail with the diagnosis."""
        try:
            result: CellResult | None = self._of.examine(self._pair)
        except CalicoPerfError as error:
            result, problem = None, error
        # Not inside the `except`, where pytest would show the one error as the cause of the other.
        if result is None:
            if isinstance(problem, UsageProblem):
                pytest.exit(f"calico-perf: {problem}", returncode=pytest.ExitCode.USAGE_ERROR)
            pytest.fail(str(problem), pytrace=False)
        self.stash[RESULT_KEY] = result
        self.user_properties.extend(properties(result))
        if result.outcome is Outcome.UNSUPPORTED:
            pytest.skip(f"unsupported: {result.reason}")
        if result.outcome is not Outcome.OK:
            pytest.fail("\n".join(examined(result, _WIDTH)), pytrace=False)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """No file holds it."""
        return self.config.rootpath / _FILE, None, self.name


class LookHooks:
    """Tells what looks found: each at once and whole, and how many paths are dead at the end."""

    def __init__(self, config: pytest.Config, of: Session) -> None:
        self._of = of
        self._over = False
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        if self._reporter is not None:
            self._reporter.showfspath = False  # no file holds a look

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> str:
        """What will be done."""
        return f"calico-perf: {format_count(len(items), 'path')} to look at; nothing is measured"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Have pytest show no failure again at the end; what failed while tests were collected, it must."""
        if not session.testsfailed:
            session.config.option.tbstyle = "no"

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No letter: its lines say more. Pytest's list of failures at the end wants a word."""
        if getattr(report, "calico_result", None) is None:
            return None
        return report.outcome, "", report.outcome.upper() if self._over else ""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell what a look found, or why there was none, as soon as it is known."""
        result = getattr(report, "calico_result", None)
        lines = examined(result, _columns()) if result else report.longreprtext.splitlines()
        if self._reporter is not None and (result or report.failed):
            self._reporter.ensure_newline()
            for line in lines:
                self._reporter.write_line(line)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Close with the tally."""
        self._over = True
        record = self._of.record()
        if record.results or record.problem:
            terminalreporter.section("calico-perf: diagnosis")
            for line in closing(record, notes(record), _columns()):
                terminalreporter.line(line)


def look_items(session: pytest.Session, of: Session) -> list[pytest.Item]:
    """An item for each pair of ends that the selected cells are measured on, hosts first."""
    selected = set(pairs_of(of.cells))
    return [
        Look.from_parent(session, name=pair.id, nodeid=f"{_FILE}::{pair.id}", pair=pair, of=of)
        for pair in pairs_of(of.possible)  # whose order of modes is the user's, whatever was selected
        if pair in selected
    ]


def _columns() -> int:
    return shutil.get_terminal_size().columns
