"""A baseline that cannot be used is a usage error in one line, before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SMALL = (
    "--pyargs",
    "pytest_calico_perf.suite",
    "--calico-mode=bgp",
    "--calico-probe=ping",
    "--collect-only",
    "-q",
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "it cannot be read: No such file or directory; name a file that --calico-json*"),
        ("", "it is not JSON: *"),
        ("not json", "it is not JSON: *"),
        (json.dumps({"schema": 1}), "it is no record of ours: cluster: Field required; name a file that --calico-json*"),
        (json.dumps({"benchmarks": [], "machine_info": {"node": "x"}, "datetime": "2026-11-20T10:00:00"}),
         "it is no record of ours: machine_info.cluster: *"),
    ],
    ids=["missing", "empty", "text", "half", "somebody-elses-benchmark"],
)  # fmt: skip
def test_a_file_that_is_not_ours(pytester: pytest.Pytester, text: str | None, message: str) -> None:
    if text is not None:
        Path(pytester.path, "before.json").write_text(text)
    result = pytester.runpytest_subprocess(*SMALL, "--calico-baseline=before.json", timeout=60)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.errlines if line.strip()]
    assert len(lines) == 1
    result.stderr.fnmatch_lines([f"ERROR: calico-perf: baseline before.json: {message}"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--calico-tolerance=3 %"], "--calico-tolerance: there is no baseline to compare with; *"),
        (["--calico-gate=history"], "--calico-gate: change points are looked for in a folder of earlier runs; give --calico-baseline-dir DIR as well"),
        (["--calico-baseline-dir=setup.cfg"], "baseline folder setup.cfg: *setup.cfg is not a folder; name a folder"),
        (["--calico-baseline-dir=runs", "--calico-tolerance=3"], "--calico-tolerance: '3' has no unit: *"),
        (["--calico-baseline-dir=runs", "--calico-baseline-by=ration"], "--calico-baseline-by: *did you mean 'ratio'?*"),
    ],
    ids=["tolerance-alone", "history-alone", "a-file", "no-unit", "misspelt"],
)  # fmt: skip
def test_what_does_not_fit(pytester: pytest.Pytester, args: list[str], message: str) -> None:
    Path(pytester.path, "setup.cfg").write_text("")
    result = pytester.runpytest_subprocess(*SMALL, *args, timeout=60)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: calico-perf: {message}"])


def test_a_folder_may_be_named_in_the_environment_and_is_not_made_by_looking(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALICO_PERF_BASELINE_DIR", "runs")
    pytester.makeini("[pytest]\ncalico_tolerance = 3 %\n")
    assert pytester.runpytest_subprocess(*SMALL, timeout=60).ret == 0
    assert not Path(pytester.path, "runs").exists()


def test_what_each_cell_will_be_held_against_is_explained(pytester: pytest.Pytester) -> None:
    options = ("--calico-path=pod-to-pod", "--calico-baseline-dir=runs", "--calico-explain")
    result = pytester.runpytest_subprocess(*SMALL, *options, timeout=60)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "ping pod-to-pod bgp",
            "  baseline: none  --calico-baseline-dir: no good run of lab in runs yet",
            "Whether earlier runs are of the same place (docs/baselines.md) is known when the cluster is up.",
        ]
    )
