"""Runs against earlier runs, on the real lab: exit codes, what is said, and what is kept."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.lab.runs import BRIEF, cells, results

SMALL = (
    "--calico-probe=ping", "--calico-path=host-to-host,pod-to-pod", "--calico-rounds=6", BRIEF,
)  # fmt: skip

BGP = ("--calico-mode=bgp", *SMALL)


def kept(pytester: pytest.Pytester) -> list[Path]:
    return sorted(Path(pytester.path, "runs").glob("lab-*/*.json"))


def verdicts(pytester: pytest.Pytester, *cell: str | None) -> list[dict]:
    return cells(pytester)[cell]["verdicts"]  # type: ignore[index]


def notes(pytester: pytest.Pytester) -> str:
    return "\n".join(results(pytester)["cluster"]["notes"])


def make_unbeatable(path: Path) -> None:
    """A past in which every round trip took a tenth of a microsecond, without any noise."""
    document = json.loads(path.read_text())
    for cell in document["cells"]:
        cell["samples"] = [1e-7] * len(cell["samples"])
        cell["control"] = dict.fromkeys(cell["control"], 1e-7)
    path.write_text(json.dumps(document))


def test_a_folder_of_good_runs(suite, pytester: pytest.Pytester) -> None:
    first = suite(*BGP, "--calico-baseline-dir=runs")
    assert first.ret == 0
    (baseline,) = kept(pytester)
    first.stdout.fnmatch_lines(
        [
            "*no good run of this cluster in runs yet: *",
            f"calico-perf: this run is kept as a baseline in *{baseline.name}",
        ]
    )
    assert json.loads(baseline.read_text())["cells"] == results(pytester)["cells"]

    second = suite(*BGP, "--calico-baseline-dir=runs")
    assert second.ret == 0, second.stdout.str()
    (verdict,) = verdicts(pytester, "ping", "pod-to-pod", "bgp")
    assert verdict["rule"] == f"baseline {baseline.name}"
    assert verdict["source"] == "--calico-baseline-dir"
    assert len(kept(pytester)) == 2

    shutil.copy(baseline, baseline.with_name("20200101T000000Z-copy.json"))
    for file in kept(pytester):
        make_unbeatable(file)
    third = suite(*BGP, "--calico-baseline-dir=runs", "--junit-xml=junit.xml")
    assert third.ret == 1
    third.assert_outcomes(failed=2)
    third.stdout.fnmatch_lines(
        [
            "*regressed: ping pod-to-pod bgp: *tolerated up to 1.050*",
            "calico-perf: this run is not kept as a baseline: *",
        ]
    )
    assert len(kept(pytester)) == 3
    messages = [
        str(f.get("message")) for f in ET.parse(Path(pytester.path, "junit.xml")).getroot().iter("failure")
    ]
    assert len(messages) == 2
    assert all(message.startswith("Failed: regressed: ping ") for message in messages)


def test_a_file_of_another_place_is_refused_unless_ratios_are_asked_for(
    suite, pytester: pytest.Pytester
) -> None:
    assert suite(*BGP, "--benchmark-json=benchmark.json").ret == 0
    shutil.copy(Path(pytester.path, "results.json"), Path(pytester.path, "before.json"))
    elsewhere = ("--calico-cluster=lab-two-subnets", *SMALL, "--calico-mode=vxlan")

    refused = suite(*elsewhere, "--calico-baseline=before.json")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    text = refused.stdout.str() + refused.stderr.str()
    assert (
        "--calico-baseline: before.json is of another place: cluster lab there, lab-two-subnets here" in text
    )
    assert "--calico-baseline-by=ratio" in text
    assert "Traceback" not in text
    assert results(pytester)["cells"] == []

    travelled = suite(*elsewhere, "--calico-baseline=before.json", "--calico-baseline-by=ratio")
    assert travelled.ret == 0
    assert "so only ratios to host-to-host were compared: cluster lab there" in notes(pytester)
    (verdict,) = verdicts(pytester, "ping", "pod-to-pod", "vxlan")
    assert verdict["outcome"] == "inconclusive"
    assert "has no such cell" in verdict["message"]

    again = suite(*BGP, "--calico-baseline=benchmark.json")
    assert again.ret == 0, again.stdout.str()
    (verdict,) = verdicts(pytester, "ping", "pod-to-pod", "bgp")
    assert verdict["rule"] == "baseline benchmark.json"
    assert "ratio to host-to-host" in verdict["message"]
    assert "benchmark.json does not say with which parameters its probes ran" in notes(pytester)

    missing = suite(*BGP, "--calico-baseline=before.json", "-k", "host-to-host")
    assert missing.ret == 0
    assert "without a sample in this run: ping pod-to-pod bgp" in notes(pytester)
