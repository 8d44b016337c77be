"""The only file that knows pytest's options. Does nothing until an option or fixture of ours is used.

What a used plugin does with the hooks of pytest, pytest-benchmark and pytest-html is in `hooks.py`,
registered by `activate()`; so other people's runs pay for this module's few lines and nothing else.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_calico_perf.fixtures import (  # noqa: F401  # pytest finds fixtures by name in this module
    RULES_KEY,
    SESSION_KEY,
    _calico_clock,
    calico_cell,
    calico_cluster,
    calico_mode,
    calico_pair,
    calico_path,
    calico_record,
    calico_words,
)
from pytest_calico_perf.marks import HELP as THRESHOLD_MARKER
from pytest_calico_perf.marks import own_rules

if TYPE_CHECKING:
    from pytest_calico_perf.gate.rules import Rule
    from pytest_calico_perf.model import Cell
    from pytest_calico_perf.session import Session
    from pytest_calico_perf.settings import Settings

MARKER = (
    "calico(probe=None, path=None, mode=None): the probe this test reads through calico_cell; path and mode "
    "(a word or a list of words) narrow down the cells it runs for"
)
COLLECTED_KEY: pytest.StashKey[bool] = pytest.StashKey()  # there once a test that uses us was seen
PROBLEM_KEY: pytest.StashKey[pytest.UsageError] = pytest.StashKey()
NAMES = ("calico_path", "calico_mode")  # the fixtures that are parameters
NOT_SELECTED = "not-selected"  # id of the placeholder for a test none of whose cells was asked for


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare each setting as option and ini value; settings.py documents them."""
    from pytest_calico_perf.options import ACTIONS, OPTIONS

    group = parser.getgroup("calico-perf", "compare Calico's network modes")
    for option in OPTIONS:
        action: dict[str, Any] = (
            {"action": "store_true"} if not option.metavar else {"metavar": option.metavar}
        )
        if option.repeatable:
            action["action"] = "append"
        text = f"{option.help} Environment: {option.variable}; ini: {option.ini}."
        text = text.replace("%", "%%")  # argparse formats it
        group.addoption(option.flag, dest=option.ini, default=None, help=text, **action)
        parser.addini(option.ini, f"see {option.flag}", type="string", default="")
    for action_option in ACTIONS:
        group.addoption(
            action_option.flag, action="store_true", dest=action_option.ini, help=action_option.help
        )


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means; go to work only when an option on the command line asks for it.

    An environment variable or an ini value alone must not: they are there in runs that do not use us, too.
    """
    from pytest_calico_perf.options import OPTIONS

    config.addinivalue_line("markers", MARKER)
    config.addinivalue_line("markers", THRESHOLD_MARKER)
    asked = any(config.getoption(option.ini) is not None for option in OPTIONS)
    instead = config.option.calico_explain or config.option.calico_diagnose
    if not config.option.help and (asked or instead):
        activate(config)


def activate(config: pytest.Config) -> Session:
    """Read every setting, check it, and register the hooks of a run that measures. Idempotent.

    Raises:
        pytest.UsageError: A setting cannot be used; nothing was touched.
    """
    if SESSION_KEY in config.stash:
        return config.stash[SESSION_KEY]
    from pytest_calico_perf.errors import UsageProblem
    from pytest_calico_perf.hooks import ReportHooks, refuse_what_spoils
    from pytest_calico_perf.report.references import load_references
    from pytest_calico_perf.report.saving import check_all_writable
    from pytest_calico_perf.session import Session

    try:
        refuse_what_spoils(config)
        settings = _settings(config)
        check_all_writable(settings.files)
        hooks = ReportHooks(config, load_references(settings.references))
        session = Session(
            settings,
            hooks.progress,
            tell=hooks.tell,
            hold=hooks.interrupts.held,
            command=("pytest", *map(str, config.invocation_params.args)),
        )
    except UsageProblem as problem:
        raise pytest.UsageError(f"calico-perf: {problem}") from None
    hooks.interrupts.watch()
    config.stash[SESSION_KEY] = session
    config.pluginmanager.register(hooks, "calico-perf-report")
    return session


def _settings(config: pytest.Config) -> Settings:
    """What the user asked for.

    Raises:
        UsageProblem: Something of it cannot be used; nothing was touched.
    """
    from pytest_calico_perf.options import OPTIONS
    from pytest_calico_perf.settings import gather, resolve

    given = gather(
        {option.ini: config.getoption(option.ini) for option in OPTIONS},
        os.environ,
        {option.ini: config.getini(option.ini) for option in OPTIONS},
    )
    return resolve(given)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> pytest.ExitCode | None:
    """Where the command line asks for upkeep, do that instead of running tests."""
    if config.option.help or not (config.option.calico_cleanup or config.option.calico_restore):
        return None
    from pytest_calico_perf.errors import CalicoPerfError, UsageProblem
    from pytest_calico_perf.settings import needs_kubernetes

    def tell(text: str) -> None:
        sys.stdout.write(f"calico-perf: {text}\n")
        sys.stdout.flush()

    try:
        asked = "--calico-restore" if config.option.calico_restore else "--calico-cleanup"
        file = needs_kubernetes(_settings(config).cluster_file, asked)
        from pytest_calico_perf.cluster.kubernetes import upkeep

        done = True
        if config.option.calico_restore:
            done = upkeep.restore(file, show_only=config.option.collectonly, tell=tell)
        if config.option.calico_cleanup:
            done = upkeep.clean_up(file, show_only=config.option.collectonly, tell=tell) and done
    except UsageProblem as problem:
        raise pytest.UsageError(f"calico-perf: {problem}") from None
    except CalicoPerfError as problem:
        tell(str(problem))
        done = False
    return pytest.ExitCode.OK if done else pytest.ExitCode.TESTS_FAILED


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that uses our fixtures its modes, or its paths and modes."""
    names = [name for name in NAMES if name in metafunc.fixturenames]
    if not names and "calico_cluster" not in metafunc.fixturenames:
        return
    metafunc.config.stash[COLLECTED_KEY] = True
    rows: list[tuple[str | None, ...]] = []
    try:
        rows = [tuple(row[name] for name in names) for row in _rows(metafunc, activate(metafunc.config))]
    except pytest.UsageError as error:
        # Raised here it would be one file's collection error; raised after collection it ends the run.
        metafunc.config.stash.setdefault(PROBLEM_KEY, error)
    if not names:
        return
    rows = list(dict.fromkeys(rows))
    ids = ["-".join(str(word) for word in row if word) for row in rows]
    if not rows:
        rows, ids = [tuple(None for _ in names)], [NOT_SELECTED]
    metafunc.parametrize(names, rows, ids=ids, indirect=True)


def _rows(metafunc: pytest.Metafunc, session: Session) -> list[dict[str, str | None]]:
    """The cells a test runs for, as parameters: plain strings, so that pytest-benchmark can store them.

    Raises:
        pytest.UsageError: The test's marks say something we do not know, or lack the probe.
    """
    wanted = calico_words(metafunc.definition)
    _check_words(metafunc.definition, wanted)
    if "calico_cell" in metafunc.fixturenames and "probe" not in wanted:
        raise pytest.UsageError(
            f'{metafunc.definition.nodeid}: calico_cell needs a probe: @pytest.mark.calico(probe="ping")'
        )
    return [
        {"calico_path": str(cell.path), "calico_mode": str(cell.mode) if cell.mode else None}
        for cell in session.possible
        if _matches(cell, wanted, without_hosts="calico_path" not in metafunc.fixturenames)
    ]


def _check_words(node: pytest.Item, wanted: dict[str, Any]) -> None:
    from pytest_calico_perf.errors import did_you_mean
    from pytest_calico_perf.model import Mode, Path
    from pytest_calico_perf.options import PROBE_NAMES

    known = {"probe": PROBE_NAMES, "path": tuple(Path), "mode": tuple(Mode)}
    if set(wanted) - set(known) or any(mark.args for mark in node.iter_markers("calico")):
        raise pytest.UsageError(f"{node.nodeid}: the marker is {MARKER}")
    for key, choice in wanted.items():
        several = key != "probe" and isinstance(choice, list | tuple)
        for word in choice if several else [choice]:
            if not isinstance(word, str) or word not in known[key]:
                raise pytest.UsageError(
                    f"{node.nodeid}: unknown {key} {word!r}{did_you_mean(str(word), known[key])} "
                    f"known: {', '.join(known[key])}"
                )


def _matches(cell: Cell, wanted: dict[str, Any], *, without_hosts: bool) -> bool:
    def allowed(key: str, word: str | None) -> bool:
        choice = wanted.get(key)
        return choice is None or word in ([choice] if isinstance(choice, str) else list(choice))

    return (
        allowed("probe", cell.probe)
        and allowed("path", cell.path)
        and allowed("mode", cell.mode)
        and not (without_hosts and cell.mode is None)
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Drop placeholders, and plan for exactly the cells whose tests will run.

    With --calico-diagnose a look at each pair of these cells takes the place of all tests; where none of them
    uses us, at each pair that the settings allow.

    Raises:
        pytest.UsageError: A test asked for something that cannot be; nothing was touched.
    """
    if PROBLEM_KEY in config.stash:
        raise config.stash[PROBLEM_KEY]
    if SESSION_KEY not in config.stash:
        return
    dropped = [item for item in items if _is_placeholder(item)]
    if dropped:
        if not config.option.calico_diagnose:  # which replaces all of them
            config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]
    cells: list[Cell] = []
    demanded: dict[Cell, tuple[Rule, ...]] = {}
    for item in items:
        cell = _cell_of(item)
        rules = item.stash[RULES_KEY] = own_rules(item, cell)
        if cell:
            cells.append(cell)
            demanded[cell] = (*demanded.get(cell, ()), *rules)
            # A cell without a sample (a dead path, a link without a speed) records none; that is no news.
            item.add_marker(pytest.mark.filterwarnings("ignore:Benchmark fixture was not used at all"))
    ours = config.stash[SESSION_KEY]
    if not config.option.calico_diagnose or COLLECTED_KEY in config.stash:
        ours.select(cells, demanded)
    if config.option.calico_diagnose:
        from pytest_calico_perf.look_items import LookHooks, look_items

        items[:] = look_items(session, ours)
        config.pluginmanager.register(LookHooks(config, ours), "calico-perf-looks")


def _is_placeholder(item: pytest.Item) -> bool:
    """Whether the test has no cell to run for: pytest wants at least one set of parameters."""
    callspec = getattr(item, "callspec", None)
    words = [callspec.params[name] for name in NAMES if name in callspec.params] if callspec else []
    return bool(words) and not any(words)


def _cell_of(item: pytest.Item) -> Cell | None:
    """The cell a test will ask for, known before it runs."""
    if "calico_cell" not in getattr(item, "fixturenames", ()):
        return None
    from pytest_calico_perf.model import Cell, Mode, Path

    parameters = item.callspec.params  # type: ignore[attr-defined]
    mode = parameters["calico_mode"]
    probe = calico_words(item)["probe"]  # there, or _rows() had refused the test
    return Cell(probe, Path(parameters["calico_path"]), Mode(mode) if mode else None)
