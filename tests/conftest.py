"""The suite's own promise: a test leaves no namespace, process, mount or file. Checked at the end, by itself."""

from __future__ import annotations

import gc
import os
import tempfile
import uuid
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from pytest_calico_perf.cluster.lab.tag import LabTag

# A busy machine is slow now and then: no test is about time.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

# Inherited by every process a test starts, so that what outlives this run is found, and nobody else's.
VARIABLE = "CALICO_PERF_TEST_RUN"
RUN = os.environ.setdefault(VARIABLE, uuid.uuid4().hex)  # one and the same for xdist's workers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need root live in a folder of real parts; without root they are skipped with the reason."""
    here = Path(__file__).parent
    if os.geteuid() == 0:
        return
    for item in items:
        real = any(item.path.is_relative_to(here / folder) for folder in ("lab", "ssh"))
        if real and item.get_closest_marker("unprivileged") is None:
            item.add_marker(pytest.mark.skip(reason="needs root: makes network namespaces"))


def pytest_collection_finish() -> None:
    """Thousands of tests live to the end: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    result = yield
    if hasattr(session.config, "workerinput"):  # its neighbours are still at work
        return result
    before = session.config.stash[BEFORE]
    left = [
        f"{kind}: {thing}" for kind, things in traces().items() for thing in sorted(things - before[kind])
    ]
    if left:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.ensure_newline()
        reporter.section("left behind by the tests", red=True)
        for line in left:
            reporter.line(line, red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result


BEFORE: pytest.StashKey[dict[str, set[str]]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    # Only this process is one of xdist's workers; pytest-benchmark switches itself off where it sees these.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        os.environ.pop(name, None)
    config.addinivalue_line("markers", "unprivileged: a test of the lab that also runs without root")
    config.addinivalue_line("markers", "alone: a test that others would spoil if they ran beside it")
    config.stash[BEFORE] = traces()


def traces() -> dict[str, set[str]]:
    """What a leaking test would add to: processes of this run, named namespaces, mounts, files of ours."""
    named = Path("/run/netns")
    return {
        "process": {f"{pid} {_command(pid)}" for pid in _pids() if pid != os.getpid() and _tagged(pid)},
        "network namespace": {entry.name for entry in named.iterdir()} if named.is_dir() else set(),
        "mount": {line for line in Path("/proc/self/mounts").read_text().splitlines() if "netns" in line},
        "file": {str(path) for path in Path(tempfile.gettempdir()).glob("*calico*perf*")},
    }


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _tagged(pid: int) -> bool:
    """Whether this run started it: by its environment, or by the owner of the lab it belongs to."""
    lab = LabTag.of_process(pid)
    owner = lab.owner if lab else pid
    return owner == os.getpid() or _inherited(owner) or (lab is not None and not lab.owner_alive)


def _inherited(pid: int) -> bool:
    try:
        return f"{VARIABLE}={RUN}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # ended meanwhile, or another user's
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(ended)"
