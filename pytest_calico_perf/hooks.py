"""What a run that measures does with the hooks of pytest, pytest-benchmark and pytest-html.

Registered by `plugin.activate()`, so none of this exists in a run that does not use us.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import pytest

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.fixtures import RESULT_KEY, SESSION_KEY
from pytest_calico_perf.interrupts import Interrupts
from pytest_calico_perf.model import Outcome, RunRecord
from pytest_calico_perf.outputs import Outputs
from pytest_calico_perf.plan import Plan
from pytest_calico_perf.progress import Progress
from pytest_calico_perf.report import doctor, html, terminal
from pytest_calico_perf.report.article import published_averages
from pytest_calico_perf.report.benchmark import machine_info
from pytest_calico_perf.report.headline import headline
from pytest_calico_perf.report.lines import write
from pytest_calico_perf.report.references import Reference
from pytest_calico_perf.report.table import comparison, notes, tally
from pytest_calico_perf.session import Session
from pytest_calico_perf.units import format_count, format_duration, format_percent


def refuse_what_spoils(config: pytest.Config) -> None:
    """Measurements in parallel would measure one another, and without benchmarks nothing is recorded.

    Raises:
        SettingProblem: xdist or `--benchmark-disable` is on, or pytest-benchmark is off.
    """
    workers = config.getoption("numprocesses", None) or config.getoption("tx", None)
    if workers or config.getoption("dist", "no") != "no" or hasattr(config, "workerinput"):
        raise SettingProblem(
            "tests in parallel would measure one another",
            where="pytest-xdist (-n, --dist)",
            remedy="run without it: the campaign interleaves the modes by itself",
        )
    if not config.pluginmanager.hasplugin("benchmark"):
        raise SettingProblem(
            "nothing would be recorded", where="-p no:benchmark", remedy="run with pytest-benchmark"
        )
    if config.getoption("benchmark_disable", default=False):
        raise SettingProblem(
            "nothing would be recorded", where="--benchmark-disable", remedy="run without it"
        )


class ReportHooks:
    """Header, progress, tables, HTML, JSON: everything a person or a machine reads.

    Args:
        config: The run's.
        references: Published figures to show beside the measured ones.
    """

    def __init__(self, config: pytest.Config, references: Sequence[Reference] = ()) -> None:
        self._config = config
        self._references = references
        self._outputs = Outputs(config.invocation_params.args)
        self._introduced = False
        self._final: RunRecord | None = None
        self._compared: list[dict[str, Any]] = []
        self.interrupts = Interrupts()
        live = self._live_line if sys.stdout.isatty() else None
        self.progress = Progress(line=self._progress_line, rewrite=live, width=_columns)

    @property
    def _session(self) -> Session:
        return self._config.stash[SESSION_KEY]

    @property
    def _diagnoses(self) -> bool:
        """Whether paths are looked at and nothing is measured: `look_items.py` says what comes of it."""
        return bool(self._config.option.calico_diagnose)

    @property
    def _record(self) -> RunRecord:
        """What all reports show: after the end one and the same, so that they agree to the last digit."""
        return self._final or self._session.record()

    # -- terminal ------------------------------------------------------------------------------

    def _write(self, write: Callable[[Any], None]) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if reporter is None:
            return
        if capture is None:
            write(reporter)
            return
        with capture.global_and_fixture_disabled():
            write(reporter)

    def _rewrite(self, text: str) -> None:
        def write(reporter: Any) -> None:
            reporter.ensure_newline()  # below pytest's own line, which is not ours to overwrite
            reporter.rewrite(text, erase=True)
            if not text:
                reporter.write("\r")

        self._write(write)

    def _progress_line(self, text: str) -> None:
        self.interrupts.raise_lost()
        self._line(text)

    def _live_line(self, text: str) -> None:
        self.interrupts.raise_lost()
        self._rewrite(text)

    def _line(self, text: str) -> None:
        def write(reporter: Any) -> None:
            reporter.ensure_newline()
            reporter.write_line(text)

        self._write(write)

    def tell(self, text: str) -> None:
        """Say what is found and done while the cluster comes up and goes."""
        self._line(f"calico-perf: {text}")

    def pytest_report_header(self) -> list[str]:
        """Cluster, modes, cells, rounds and expected time, before anything happens."""
        self._introduced = True
        return self._introduction()

    def pytest_report_collectionfinish(self) -> list[str]:
        """What the selection (-k, marks, paths) left of that."""
        # Where nothing but a fixture asked for us, there was no header yet.
        lines = [] if self._introduced else self._introduction()
        if self._diagnoses:
            return lines
        plan = self._session.plan
        if plan.cells:
            if self._config.option.calico_explain:
                return [*lines, *self._unwritten()]
            what = f"{format_count(len(plan.cells), 'cell')} in {format_count(len(plan.blocks), 'block')}"
            return [*lines, f"calico-perf: {what} will take {_about(plan)}"]
        return [*lines, "calico-perf: no test here measures a cell; " + self._advice()]

    def _introduction(self) -> list[str]:
        session, settings = self._session, self._session.settings
        if self._diagnoses:
            where = f"{settings.cluster_file.name} ({settings.cluster_file.source})"
            return [f"calico-perf: diagnosis of {', '.join(settings.modes)} on cluster {where}"]
        cells = format_count(len(session.possible), "cell")
        explains = self._config.option.calico_explain
        how_long = "nothing is measured" if explains else _about(session.whole_plan)
        return [
            f"calico-perf: cluster {settings.cluster_file.name} ({settings.cluster_file.source})",
            (
                f"calico-perf: modes {', '.join(settings.modes)}; profile {settings.profile.name}; {cells}; "
                f"{settings.profile.rounds_text}; {how_long}"
            ),
        ]

    def _unwritten(self) -> Iterator[str]:
        """Of files that were asked for and will not be, because nothing is measured."""
        settings = self._session.settings
        files = ("json", "csv", "openmetrics", "summary")
        if names := [f"--calico-{file}" for file in files if getattr(settings, file)]:
            verb = "is" if len(names) == 1 else "are"
            yield f"calico-perf: {', '.join(names)} {verb} not written: --calico-explain measures nothing"

    def _advice(self) -> str:
        if not self._session.possible:
            return "the probes asked for mean nothing on the paths asked for"
        return "the suite is `pytest --pyargs pytest_calico_perf.suite`"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """With --calico-explain, say what is demanded of each cell, and end there."""
        if not self._config.option.calico_explain or session.testsfailed:
            return None
        for line in self._session.explain():
            self._line(line)
        return True

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show and count what is inconclusive, which pytest would count as passed."""
        result = getattr(report, "calico_result", None)
        if result is None or not report.passed or result.outcome is not Outcome.INCONCLUSIVE:
            return None
        return "inconclusive", "i", ("INCONCLUSIVE", {"yellow": True})

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The comparison closes the output: it is what people came for."""
        record = self._record
        if not self._diagnoses and (record.results or record.problem):
            terminalreporter.section("calico-perf: comparison")
            tables, said = comparison(record), headline(record)
            lines = terminal.render(tables, _columns(), record.problem, notes(record), said)
            write(terminalreporter, [*lines, *terminal.published(record, self._references, _columns())])
            for line in published_averages(record):
                terminalreporter.line(line)
            if counted := tally(record):
                terminalreporter.line(f"verdicts: {counted}")
            for line in doctor.in_short(record.results, _columns()):
                terminalreporter.line(line)
        if record.results and not self._diagnoses:
            share = format_percent(record.measuring_seconds / record.wall_seconds)
            cut = "; the run was cut short" if record.interrupted else ""
            terminalreporter.line(f"{share} of {format_duration(record.wall_seconds)} spent measuring{cut}")
        for note in [*self._outputs.notes, *self._differences()]:
            terminalreporter.line(note)
        for problem in self._outputs.problems:
            terminalreporter.line(f"calico-perf: {problem}", red=True)

    # -- signals -------------------------------------------------------------------------------

    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the record is cut short."""
        self.interrupts.heard()
        self._session.interrupted = True

    # -- the end -------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Write the record, then restore the cluster, then let the other reports be written."""
        self.progress.close()
        ours = self._session
        if session.shouldstop or session.shouldfail:  # --maxfail, -x
            ours.interrupted = True
        self._final = ours.record()
        if not self._config.option.collectonly and not self._config.option.calico_explain:
            self._outputs.write(self._final, ours.settings)
            if not self._diagnoses:  # there is no figure in it
                self._outputs.keep_baseline(self._final, ours)
        if ours.settings.keep:
            self._keep(ours)
        elif problem := ours.close():
            self._outputs.problems.append(problem)
        if self._outputs.problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return (yield)

    def _keep(self, session: Session) -> None:
        lines = session.keep()
        if lines:
            self._outputs.notes += [
                "calico-perf: everything stays up; enter with",
                *(f"  {line}" for line in lines),
            ]

    def pytest_unconfigure(self) -> None:
        """Restore also when the run ended before its session did (a usage error after activation)."""
        self._session.close()
        self.interrupts.unwatch()

    # -- pytest-benchmark ----------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_generate_machine_info(self) -> dict[str, Any]:
        """Describe cluster and nodes, not only the machine pytest runs on."""
        return machine_info(self._record.cluster)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_benchmark_compare_machine_info(
        self, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
    ) -> None:
        """Put the comparison of the two clusters off until ours is up.

        pytest-benchmark asks before that, and would warn of a difference in every run; so it is shown none.
        """
        self._compared.append(compared_benchmark["machine_info"])
        compared_benchmark["machine_info"] = machine_info

    def _differences(self) -> list[str]:
        now = machine_info(self._record.cluster)
        found = []
        for before in self._compared:
            keys = [key for key in now if key != "cluster" and before.get(key) != now[key]]
            cluster = before.get("cluster") or {}
            keys += [f"cluster {key}" for key, value in now["cluster"].items() if cluster.get(key) != value]
            if keys:
                found.append(
                    f"calico-perf: the benchmark compared with is of another place: {', '.join(keys)}"
                )
        return found

    # -- pytest-html ---------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Carry the result to the report of its test, and its details into the row below."""
        report = yield
        result = item.stash.get(RESULT_KEY, None)
        if result is not None and call.when == "call":
            report.calico_result = result
            if self._config.pluginmanager.hasplugin("html"):
                from pytest_html import extras

                report.extras = [*getattr(report, "extras", []), extras.html(html.details_html(result))]
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Say what the page is about."""
        report.title = f"Calico modes on {self._session.settings.cluster_file.name}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """The comparison, above everything else."""
        prefix.append(html.render(self._record, references=self._references))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Columns of ours."""
        cells[2:2] = html.header_cells()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        """A row per cell, with the value sortable."""
        if cells:
            cells[1] = html.test_id_cell(report.nodeid)
            cells[2:2] = html.row_cells(getattr(report, "calico_result", None))


def _about(plan: Plan) -> str:
    return f"{'at most ' if plan.adaptive else ''}about {format_duration(plan.seconds)}"


def _columns() -> int:
    return shutil.get_terminal_size().columns
