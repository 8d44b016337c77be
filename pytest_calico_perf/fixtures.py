"""What a test author uses. `pytest --fixtures` prints the docstrings below."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:  # being installed must cost nothing: what follows is loaded when a fixture is used
    from pytest_calico_perf.cluster.base import Cluster, EndpointPair
    from pytest_calico_perf.gate.rules import Rule
    from pytest_calico_perf.model import Cell, CellResult, Mode, Path
    from pytest_calico_perf.report.benchmark import Recorder, SampleClock
    from pytest_calico_perf.session import Session

Answer = TypeVar("Answer")

SESSION_KEY: pytest.StashKey[Session] = pytest.StashKey()
RESULT_KEY: pytest.StashKey[CellResult] = pytest.StashKey()
RULES_KEY: pytest.StashKey[tuple[Rule, ...]] = pytest.StashKey()


@pytest.fixture(scope="session")
def calico_cluster(request: pytest.FixtureRequest) -> Cluster:
    """The cluster, up and ready in every requested mode.

    `calico_cluster.host("node1").run(["ip", "route"], limit=5)` runs a command on a node.
    """
    return _ask(lambda: request.config.stash[SESSION_KEY].cluster)


@pytest.fixture
def calico_mode(request: pytest.FixtureRequest) -> Mode | None:
    """The mode of this test; the test runs once for each requested mode. None on host-to-host."""
    from pytest_calico_perf.model import Mode

    return Mode(request.param) if request.param else None


@pytest.fixture
def calico_path(request: pytest.FixtureRequest) -> Path:
    """The path of this test; the test runs once for each requested path (and mode)."""
    from pytest_calico_perf.model import Path

    return Path(request.param)


@pytest.fixture
def calico_pair(calico_cluster: Cluster, calico_path: Path, calico_mode: Mode | None) -> EndpointPair:
    """The two ends of this test's path in its mode: `calico_pair.client.run([...], limit=5)`."""
    return _ask(lambda: calico_cluster.pair(calico_path, calico_mode))


@pytest.fixture
def _calico_clock(request: pytest.FixtureRequest) -> SampleClock:
    """The virtual clock pytest-benchmark reads; must be marked before `benchmark` is built."""
    from pytest_calico_perf.report.benchmark import install_clock

    return install_clock(request.node)


@pytest.fixture
def calico_record(_calico_clock: SampleClock, benchmark: Any, request: pytest.FixtureRequest) -> Recorder:
    """Record own samples as a pytest-benchmark row: `calico_record([9.1e9, 9.3e9], unit="bit/s")`."""
    from pytest_calico_perf.report.benchmark import Recorder, stable_name

    # The node id depends on the folder pytest was started in, so it is no name to compare by.
    benchmark.fullname = stable_name(request.node)
    return Recorder(benchmark, _calico_clock)


class MeasuredCell:
    """One (mode, path, probe) of the campaign, as a test sees it."""

    def __init__(self, cell: Cell, request: pytest.FixtureRequest, record: Recorder) -> None:
        self.cell = cell
        self._request = request
        self._record = record
        self._result: CellResult | None = None

    def measure(self) -> CellResult:
        """The cell's result; measures its whole block, all modes interleaved, at the first call.

        The samples become a pytest-benchmark row, the values JUnit properties. An unsupported cell
        skips the test with its reason. One that is slow, regressed, unreachable or in error fails it with its
        message, with `--calico-strict` one that is inconclusive, too. A second call returns the same.
        """
        if self._result is None:
            self._result = self._first_measure()
        return self._result

    def _first_measure(self) -> CellResult:
        from pytest_calico_perf.model import Outcome
        from pytest_calico_perf.report.junit import properties

        session = self._request.config.stash[SESSION_KEY]
        node = self._request.node
        result = _ask(lambda: session.result(self.cell, node.stash.get(RULES_KEY, ())))
        node.stash[RESULT_KEY] = result
        node.user_properties.extend(properties(result))
        if result.outcome is Outcome.UNSUPPORTED:
            pytest.skip(f"unsupported: {result.reason}")
        # What was measured whole is recorded whatever was demanded of it.
        if result.samples and (result.verdicts or result.outcome is Outcome.OK):
            self._record.record(result)
        passes = (Outcome.OK,) if session.settings.strict else (Outcome.OK, Outcome.INCONCLUSIVE)
        if result.outcome not in passes:
            pytest.fail(f"{result.outcome}: {result.cell}: {result.reason}", pytrace=False)
        return result


@pytest.fixture
def calico_cell(
    request: pytest.FixtureRequest, calico_path: Path, calico_mode: Mode | None, calico_record: Recorder
) -> MeasuredCell:
    """A cell of the campaign: `calico_cell.measure()` returns its samples, details and evidence.

    The test says which probe: `@pytest.mark.calico(probe="ping")`; `path=` and `mode=` narrow it down.
    """
    from pytest_calico_perf.model import Cell

    probe = calico_words(request.node)["probe"]
    return MeasuredCell(Cell(probe, calico_path, calico_mode), request, calico_record)


def calico_words(node: pytest.Item) -> dict[str, Any]:
    """What the test's `calico` marks say together; of two that say the same word, the closer one."""
    words: dict[str, Any] = {}
    for mark in node.iter_markers("calico"):
        words = {**mark.kwargs, **words}
    return words


def _ask(question: Callable[[], Answer]) -> Answer:
    """Turn our errors into outcomes of a test: a message and no traceback."""
    from pytest_calico_perf.errors import CalicoPerfError, Unsupported, UsageProblem

    try:
        return question()
    except CalicoPerfError as error:
        problem = error
    # Not inside the `except`, where pytest would show the one error as the cause of the other, twice.
    if isinstance(problem, Unsupported):
        pytest.skip(f"unsupported: {problem}")
    if isinstance(problem, UsageProblem):
        # Known only since the cluster is up: what was asked for cannot be done, by no test of this run.
        pytest.exit(f"calico-perf: {problem}", returncode=pytest.ExitCode.USAGE_ERROR)
    pytest.fail(str(problem), pytrace=False)
