"""--calico-diagnose: which pairs are looked at, in place of which tests; and what a run says of itself."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pytest_calico_perf.diagnosis.faults import FAULTS

SUITE = ("--pyargs", "pytest_calico_perf.suite")
MODES = ("--calico-diagnose", "--calico-mode=ipip,bgp")


@pytest.fixture
def run(pytester: pytest.Pytester):
    def run(*args: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *args, timeout=90)

    return run


@pytest.fixture
def collected(run):
    """Names of what a run would look at."""

    def names(*args: str) -> list[str]:
        result = run("--collect-only", "-q", *args)
        return [line.removeprefix("calico-diagnose::") for line in result.outlines if "::" in line]

    return names


def test_each_pair_once_whatever_its_probes_hosts_first_then_mode_by_mode(collected):
    assert collected(*SUITE, *MODES, "--calico-path=pod-to-pod,host-to-pod,host-to-host") == [
        "host-to-host",
        "pod-to-pod-ipip",
        "host-to-pod-ipip",
        "pod-to-pod-bgp",
        "host-to-pod-bgp",
    ]


def test_without_tests_every_pair_the_settings_allow(collected):
    assert collected(*MODES, "--calico-path=pod-to-pod") == ["pod-to-pod-ipip", "pod-to-pod-bgp"]


def test_tests_that_do_not_use_us_are_not_run(collected, pytester: pytest.Pytester):
    pytester.makepyfile("def test_else(): raise AssertionError")
    assert collected(*MODES, "--calico-path=pod-to-pod") == ["pod-to-pod-ipip", "pod-to-pod-bgp"]


def test_selected_tests_select_their_pairs(collected, pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.calico(probe="ping", path="pod-to-pod", mode="bgp")
        def test_one(calico_cell): ...

        @pytest.mark.calico(probe="tcp", path="host-to-pod")
        def test_other(calico_cell): ...
        """
    )
    assert collected(*MODES, "-k", "one") == ["pod-to-pod-bgp"]
    assert collected(*MODES) == ["host-to-pod-ipip", "host-to-pod-bgp", "pod-to-pod-bgp"]
    assert collected(*MODES, "-k", "nothing") == []


def test_only_the_command_line_asks_for_it(collected, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CALICO_PERF_DIAGNOSE", "1")
    assert collected("--calico-mode=bgp") == []


def test_what_cannot_be_used_is_refused_before_anything_is_touched(run):
    result = run("--calico-diagnose", "--calico-mode=bpg")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: calico-perf: --calico-mode: unknown name 'bpg', did you mean 'bgp'?*"]
    )


def test_a_cluster_that_does_not_come_up(run, pytester: pytest.Pytester):
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "away",
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "me"}}],
        "clusters": [{"name": "away", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "me", "user": {}}],
    }
    Path(pytester.path, "kubeconfig").write_text(json.dumps(kubeconfig))
    text = "kind: kubernetes\nname: away\nkubeconfig: kubeconfig\ntimeouts: {request: 2}\n"
    Path(pytester.path, "away.yaml").write_text(text)
    result = run("--calico-diagnose", "--calico-cluster=away.yaml", "--calico-path=host-to-host,pod-to-pod")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*127.0.0.1:9*", "*the first failure of this run says why*"])
    assert "Traceback" not in result.stdout.str()


def test_a_test_file_that_cannot_be_read_is_shown(run, pytester: pytest.Pytester):
    pytester.makepyfile("import nothing_of_that_name")
    result = run(*MODES)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*No module named 'nothing_of_that_name'*"])
    assert "carr" not in result.stdout.str()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces")
def test_a_dead_and_a_whole_path_of_the_lab(run, pytester: pytest.Pytester):
    args = (
        "--calico-diagnose",
        "--calico-cluster=lab-two-subnets",
        "--calico-mode=bgp,ipip",
        "--calico-path=pod-to-pod",
        "--calico-json=results.json",
        "--calico-baseline-dir=baselines",
        "--junitxml=junit.xml",
    )
    result = run(*args)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "calico-perf: 2 paths to look at; nothing is measured",
            "pod-to-pod bgp: unreachable: *",
            "  do: *",
            "pod-to-pod ipip: ok (path MTU 1480, route dev tunl0 *",
            "1 of 2 paths carries payload; unreachable: pod-to-pod bgp",
            "FAILED calico-diagnose::pod-to-pod-bgp*",
        ]
    )
    (failure,) = ET.parse(Path(pytester.path, "junit.xml")).iter("failure")
    assert FAULTS["router-without-pod-routes"].meaning in " ".join(str(failure.text).split())
    record = json.loads(Path(pytester.path, "results.json").read_text())
    assert [(cell["probe"], cell["mode"], cell["outcome"]) for cell in record["cells"]] == [
        ("reachability", "bgp", "unreachable"),
        ("reachability", "ipip", "ok"),
    ]
    assert not list(Path(pytester.path, "baselines").glob("*"))
