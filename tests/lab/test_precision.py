"""Rounds added until the value is known, and the digest, on the real lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.runs import BRIEF, cells, results


def test_a_precision_ends_blocks_at_a_look_and_every_report_says_why(
    suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pytester.path / "job.md"
    job.write_text("what another step wrote\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(job))
    result = suite(
        "--calico-mode=bgp,vxlan", "--calico-probe=ping", "--calico-path=pod-to-pod",
        "--calico-precision=40%", "--calico-rounds=9", BRIEF, "--calico-summary=summary.md",
    )  # fmt: skip
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*at most 9 rounds, until known to 40 %; at most about *"])
    found = cells(pytester)
    assert len(found) == 2
    for cell in found.values():
        # Whether it is known after six rounds is the machine's business; that it says so is ours.
        stopped = cell["details"]["stopped"]
        assert stopped["rounds"] == len(cell["samples"])
        assert stopped["rounds"] in (6, 9)
        assert stopped["why"] == "precise" or stopped["rounds"] == 9
    assert results(pytester)["profile"]["precision"] == pytest.approx(0.4)
    (note,) = (note for note in results(pytester)["cluster"]["notes"] if note.startswith("precision 40 %: "))
    said = " ".join(result.stdout.str().split())
    assert " ".join(note.split()) in said
    digest = Path(pytester.path, "summary.md").read_text()
    headline = digest.split("**")[1]
    assert "BGP" in headline
    assert "VXLAN" in headline
    assert "| | pod-to-pod |" in digest
    assert "--calico-precision=40%" in digest
    assert job.read_text() == f"what another step wrote\n{digest}\n"


def test_a_digest_that_cannot_be_written_is_known_before_anything_is_measured(suite) -> None:
    result = suite("--calico-summary=nowhere/summary.md")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*nowhere does not exist*"])


def test_outside_a_run_of_ours_the_jobs_summary_is_left_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "job.md"))
    pytester.makepyfile("def test_theirs(): pass")
    pytester.runpytest_subprocess(timeout=60).assert_outcomes(passed=1)
    assert not (pytester.path / "job.md").exists()
