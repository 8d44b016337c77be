"""Sandboxes and whole runs for the tests of the lab. Without root they are skipped: see tests/conftest.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.model import Mode
from tests.lab.labs import lab
from tests.lab.runs import SUITE


@pytest.fixture(scope="module")
def one() -> Iterator[LabCluster]:
    """The default lab, in every mode."""
    with LabCluster(lab("lab"), tuple(Mode)) as cluster:
        yield cluster


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox of the test's own with the namespaces `one` and `two`."""
    with Sandbox.start() as started:
        started.add_namespaces(["one", "two"])
        yield started


@pytest.fixture
def suite(pytester: pytest.Pytester):
    """Run the suite to its end, in a process of its own, from an empty folder."""

    def run(*args: str, timeout: float = 120) -> pytest.RunResult:
        return pytester.runpytest_subprocess(*SUITE, *args, timeout=timeout)

    return run


@pytest.fixture
def background(pytester: pytest.Pytester):
    """Start the suite and leave it running; whatever happens it is gone at the end."""
    started: list[subprocess.Popen[str]] = []
    output = Path(pytester.path, "output.txt").open("w")  # noqa: SIM115  # open as long as they run

    def start(*args: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                *SUITE,
                *args,
            ],
            cwd=pytester.path,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
    output.close()
