"""Running the suite as a user does, and what a test asks of what it left."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab.tag import LabTag

# Twenty echoes say as much as two hundred, and ping(8) takes a whole processor while it sends this fast.
BRIEF = "--calico-duration=0.04"
SMALL = ("--calico-probe=ping", "--calico-path=host-to-host,pod-to-pod", "--calico-rounds=3", BRIEF)
SUITE = ("--pyargs", "pytest_calico_perf.suite", "--calico-json=results.json")


def wait_for_line(pytester: pytest.Pytester, words: str, deadline: float = 60) -> str:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        text = Path(pytester.path, "output.txt").read_text()
        if words in text:
            return text
        time.sleep(0.1)
    pytest.fail(f"{words!r} did not appear within {deadline} s in:\n{text}")


def results(pytester: pytest.Pytester) -> dict:
    return json.loads(Path(pytester.path, "results.json").read_text())


def cells(pytester: pytest.Pytester) -> dict[tuple[str, str, str | None], dict]:
    return {(c["probe"], c["path"], c["mode"]): c for c in results(pytester)["cells"]}


def processes_of(owner: int) -> list[int]:
    """The processes of the labs that a pytest process started, alive or not."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    tags = {pid: LabTag.of_process(pid) for pid in pids}
    return [pid for pid, tag in tags.items() if tag is not None and tag.owner == owner]


def assert_nothing_left(owner: int, *, deadline: float) -> None:
    end = time.monotonic() + deadline
    while processes_of(owner) and time.monotonic() < end:
        time.sleep(0.05)
    assert not processes_of(owner)
