"""Whose an object is, whether its run goes on, and when nobody here can tell."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.kubernetes import ours
from pytest_calico_perf.cluster.kubernetes.ours import Life, is_our_name, life_of, owner, refuse_others
from pytest_calico_perf.errors import ClusterProblem

RUN = "bcdfgh"
ANOTHER = "from pytest_calico_perf.cluster.kubernetes.ours import owner; print(owner(), flush=True)"


def test_we_are_alive():
    assert life_of(owner()) is Life.ALIVE


def test_a_process_that_has_ended_is_over_even_before_anybody_waited_for_it():
    process = subprocess.Popen([sys.executable, "-c", ANOTHER + "; input()"], stdin=-1, stdout=-1, text=True)
    assert process.stdin
    assert process.stdout
    text = process.stdout.readline().strip()
    assert life_of(text) is Life.ALIVE
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its entry is still there
    assert Path(f"/proc/{process.pid}").exists()
    assert life_of(text) is Life.OVER
    process.communicate()
    assert life_of(text) is Life.OVER


def test_another_process_of_the_same_number_is_not_taken_for_it():
    assert life_of(re.sub(r"started at \d+", "started at 1", owner())) is Life.OVER


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        (r" on \S+,", " on another-machine,"),
        (r"of boot \S+", "of boot 00000000-0000-4000-8000-000000000000"),
        (r"in pid:\S+", "in pid:[1]"),
        (r"in pid:\S+", "in unknown"),
        (r" of boot .*", ""),
        (r"process \d+", "process 0"),
        (r"process \d+", "process -1"),
        (r"process \d+", "process \u0661"),
        (r"$", " and more"),
    ],
)
def test_of_processes_elsewhere_nothing_is_known(pattern: str, other: str):
    assert life_of(re.sub(pattern, other, owner(), count=1)) is Life.UNKNOWN


def test_where_a_machine_does_not_tell_its_boot_nothing_is_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ours, "_boot", lambda: "unknown")
    assert life_of(owner()) is Life.UNKNOWN


def test_where_processes_of_others_are_hidden_nothing_is_known(monkeypatch: pytest.MonkeyPatch):
    text = owner()
    monkeypatch.setattr(ours, "_started", lambda _: "")
    assert life_of(text) is Life.UNKNOWN


def test_a_long_name_does_not_hide_the_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "somebody on a machine, process 1 " * 5)
    assert life_of(owner()) is Life.ALIVE


def test_a_text_of_a_hundred_kilobytes_is_read_at_once():
    begun = time.process_time()
    assert life_of(" on x, process " * 7000) is Life.UNKNOWN
    assert time.process_time() - begun < 5  # not a matter of speed: backtracking would take for ever


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")
def test_a_process_of_another_container_is_not_known_by_its_number():
    argv = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", ANOTHER]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    assert " process 1 " in said
    assert life_of(said) is Life.UNKNOWN


@pytest.mark.parametrize(
    ("name", "run", "namespaced", "ours_"),
    [
        ("calico-perf-bcdfgh", RUN, False, True),
        ("calico-perf-bcdfgh-hosts", RUN, False, True),
        ("calico-perf-ipip-cross-subnet-bcdfgh", RUN, False, True),
        ("calico-perf-ipip-tunnels-bcdfgh", RUN, False, True),
        ("calico-perf-bcdfgh-shop", RUN, False, False),
        ("calico-perf-abcdfgh", RUN, False, False),
        ("calico-perf-jkmnpq", RUN, False, False),
        ("bgp-client-bcdfgh", RUN, False, False),
        ("default-ipv4-ippool", RUN, False, False),
        ("calico-perf-", "", False, False),
        ("calico-perf-x", ".*", False, False),
        ("bgp-client-bcdfgh", RUN, True, True),
        ("host-1-bcdfgh", RUN, True, True),
        ("bgp-client", RUN, True, False),
        ("bgp-client-jkmnpq", RUN, True, False),
        ("web-", "", True, False),
    ],
)
def test_a_run_calls_nothing_else_its_own(name: str, run: str, namespaced: bool, ours_: bool):
    assert is_our_name(name, run, namespaced=namespaced) is ours_


def test_ids_of_runs_are_known_as_such():
    run = ours.new_run_id()
    assert is_our_name(f"calico-perf-{run}", run, namespaced=False)


def test_only_what_this_run_made_is_applied_over():
    refuse_others(None, RUN, "Pod a/b")
    refuse_others({"metadata": {"labels": dict(ours.labels(RUN))}}, RUN, "Pod a/b")
    for labels in ({}, None, "x", dict(ours.labels("jkmnpq")), {ours.RUN: RUN}):
        with pytest.raises(ClusterProblem, match="did not make") as caught:
            refuse_others({"metadata": {"labels": labels}}, RUN, "Pod a/b")
        assert str(caught.value).startswith("Pod a/b: ")
