"""However a run ends, what was measured is kept and reported, and nothing is left."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.runs import SMALL, assert_nothing_left, processes_of, results, wait_for_line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_keeps_and_reports_what_was_measured(
    background, pytester: pytest.Pytester, number: signal.Signals
) -> None:
    run = background(
        "--calico-mode=bgp,ipip", "--calico-probe=ping", "--calico-path=pod-to-pod", "--calico-rounds=500"
    )
    wait_for_line(pytester, "round 3")
    run.send_signal(number)
    assert run.wait(20) == pytest.ExitCode.INTERRUPTED
    assert_nothing_left(run.pid, deadline=0)
    document = results(pytester)
    assert document["interrupted"] is True
    assert all(len(cell["samples"]) >= 2 for cell in document["cells"])
    text = Path(pytester.path, "output.txt").read_text()
    assert "calico-perf: comparison" in text
    assert "cut short" in text


def test_settings_from_ini_alone_are_interrupted_alike(background, pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\ncalico_mode = bgp\ncalico_probe = ping\ncalico_path = pod-to-pod\ncalico_rounds = 500\n"
    )
    run = background()
    wait_for_line(pytester, "round 2")
    run.send_signal(signal.SIGTERM)
    assert run.wait(20) == pytest.ExitCode.INTERRUPTED
    assert results(pytester)["interrupted"] is True


def test_kill_9_leaves_nothing(background, pytester: pytest.Pytester) -> None:
    run = background(
        "--calico-mode=bgp", "--calico-probe=tcp", "--calico-path=pod-to-pod", "--calico-rounds=500"
    )
    wait_for_line(pytester, "round 1")
    assert processes_of(run.pid)
    run.kill()
    run.wait(10)
    assert_nothing_left(run.pid, deadline=5)


def test_two_runs_at_once_do_not_see_each_other(background, suite, pytester: pytest.Pytester) -> None:
    other = background(
        "--calico-mode=bgp", "--calico-probe=ping", "--calico-path=pod-to-pod", "--calico-rounds=500"
    )
    wait_for_line(pytester, "round 1")
    suite("--calico-mode=bgp", *SMALL).assert_outcomes(passed=2)
    assert other.poll() is None
    other.send_signal(signal.SIGINT)
    assert other.wait(20) == pytest.ExitCode.INTERRUPTED


def test_keep_leaves_the_lab_up_and_says_how_to_use_it(background, pytester: pytest.Pytester) -> None:
    run = background("--calico-mode=bgp", *SMALL, "--calico-keep")
    assert run.wait(60) == 0
    lines = [line.strip() for line in Path(pytester.path, "output.txt").read_text().splitlines()]
    assert processes_of(run.pid)
    enter = next(line for line in lines if "nsenter" in line)
    done = subprocess.run(
        [*enter[enter.index("nsenter") :].split(), "ip", "-br", "addr"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert "198.1" in done.stdout, done.stderr
    down = next(line for line in lines if "pytest_calico_perf.cluster.lab down" in line)
    argv = down[down.index("-m pytest_calico_perf") :].split()
    subprocess.run([sys.executable, *argv], check=True, timeout=20)
    assert_nothing_left(run.pid, deadline=5)
