"""The suite on the real lab, as a user runs it: in a process of its own, from an empty folder."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.lab.runs import BRIEF, SMALL, cells, results


def test_every_report_tells_the_same_story(suite, pytester: pytest.Pytester) -> None:
    result = suite(
        "--calico-mode=ipip,bgp,vxlan", *SMALL, "--html=report.html", "--self-contained-html",
        "--junit-xml=junit.xml", "--benchmark-json=benchmark.json",
    )  # fmt: skip
    result.assert_outcomes(passed=4)
    assert result.ret == 0

    document = results(pytester)
    assert document["schema"] == 2
    assert document["interrupted"] is False
    assert document["cluster"]["name"] == "lab"
    assert document["cluster"]["ipip"] in {"kernel", "tc-bpf"}
    assert any("share one kernel" in note for note in document["cluster"]["notes"])
    assert {(c["mode"], c["path"]) for c in document["cells"]} == {
        (None, "host-to-host"), ("ipip", "pod-to-pod"), ("bgp", "pod-to-pod"), ("vxlan", "pod-to-pod")
    }  # fmt: skip
    for cell in document["cells"]:
        assert cell["outcome"] == "ok"
        assert cell["unit"] == "s"
        assert cell["better"] == "lower"
        assert len(cell["samples"]) == 3
        assert all(0 < sample < 0.1 for sample in cell["samples"])
        assert cell["summary"]["low"] <= cell["summary"]["median"] <= cell["summary"]["high"]
        assert cell["evidence"]
    assert cells(pytester)["ping", "pod-to-pod", "ipip"]["ratio"] is None  # the first mode: all others' base
    assert cells(pytester)["ping", "pod-to-pod", "vxlan"]["ratio"]["value"] > 0
    assert document["measuring_seconds"] < document["wall_seconds"]

    rows = {b["name"]: b for b in json.loads(Path(pytester.path, "benchmark.json").read_text())["benchmarks"]}
    bgp = rows["test_ping[pod-to-pod-bgp]"]
    assert bgp["fullname"] == "pytest_calico_perf.suite.test_latency::test_ping[pod-to-pod-bgp]"
    assert bgp["stats"]["data"] == cells(pytester)["ping", "pod-to-pod", "bgp"]["samples"]

    page = BeautifulSoup(Path(pytester.path, "report.html").read_text(), "html.parser")
    assert page.find(class_="calico-perf")
    for mode in ("ipip", "bgp", "vxlan"):
        assert mode in page.find(class_="calico-perf").get_text()

    suites = ET.parse(Path(pytester.path, "junit.xml")).getroot()
    properties = {p.get("name") for p in suites.iter("property")}
    assert {"calico.outcome", "calico.median", "calico.unit"} <= properties

    comparison = "\n".join(result.outlines)[result.stdout.str().rindex("calico-perf: comparison") :]
    assert "pod-to-pod" in comparison
    assert "spent measuring" in comparison


def test_evidence_shows_each_mode_on_the_wire(suite, pytester: pytest.Pytester) -> None:
    modes = ("bgp", "ipip", "vxlan")
    options = ("--calico-probe=tcp", "--calico-path=pod-to-pod", "--calico-rounds=1", "--calico-duration=0.5")
    suite(f"--calico-mode={','.join(modes)}", *options).assert_outcomes(passed=3)
    evidence = {mode: cells(pytester)["tcp", "pod-to-pod", mode]["evidence"] for mode in modes}
    devices = {
        mode: (shown["forward"]["device"], shown["backward"]["device"]) for mode, shown in evidence.items()
    }
    assert devices == {
        "bgp": ("eth0", "eth0"), "ipip": ("tunl0", "tunl0"), "vxlan": ("vxlan.calico", "vxlan.calico")
    }  # fmt: skip
    # 1500 bytes less IPv4 and TCP with timestamps (52), less 20 for IPIP or 50 for VXLAN.
    assert {mode: shown["mss"] for mode, shown in evidence.items()} == {
        "bgp": 1448,
        "ipip": 1428,
        "vxlan": 1398,
    }
    for mode in ("ipip", "vxlan"):
        counter = evidence[mode]["tunnel_packets"][mode]
        assert counter["after"] > counter["before"]


def test_two_subnets_with_all_modes(suite, pytester: pytest.Pytester) -> None:
    """No-encap does not cross the router, and that is said in words; the others do."""
    result = suite(
        "--calico-cluster=lab-two-subnets", *SMALL,
        "--calico-mode=vxlan-cross-subnet,ipip-cross-subnet,vxlan,ipip,bgp",
    )  # fmt: skip
    found = cells(pytester)
    for mode in ("vxlan-cross-subnet", "ipip-cross-subnet", "vxlan", "ipip"):
        assert found["ping", "pod-to-pod", mode]["outcome"] == "ok", found["ping", "pod-to-pod", mode][
            "reason"
        ]
    dead = found["ping", "pod-to-pod", "bgp"]
    assert dead["outcome"] == "unreachable"
    assert dead["samples"] == []
    assert dead["summary"] is None
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*unreachable: ping pod-to-pod bgp: *"])
    assert "Traceback" not in result.stdout.str()


def test_only_selected_cells_are_measured(suite, pytester: pytest.Pytester) -> None:
    suite("--calico-mode=bgp,vxlan", *SMALL, "-k", "vxlan").assert_outcomes(passed=1)
    assert set(cells(pytester)) == {("ping", "pod-to-pod", "vxlan")}


def test_without_privileges_what_cannot_work_is_unsupported_and_says_why(pytester: pytest.Pytester) -> None:
    """A user namespace may not load BPF: without an ipip device in the kernel there is no IPIP for such a user."""
    powerless = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    result = pytester.run(
        *powerless, sys.executable, "-m", "pytest", "--pyargs", "pytest_calico_perf.suite",
        "--calico-json=results.json", "--calico-mode=bgp,ipip,vxlan", *SMALL, timeout=120,
    )  # fmt: skip
    document = results(pytester)
    assert document["cluster"]["privileged"] is False
    found = cells(pytester)
    for mode in ("bgp", "vxlan"):
        assert found["ping", "pod-to-pod", mode]["outcome"] == "ok", found["ping", "pod-to-pod", mode][
            "reason"
        ]
    if document["cluster"]["ipip"] == "kernel":
        result.assert_outcomes(passed=4)
        return
    result.assert_outcomes(passed=3, skipped=1)
    assert found["ping", "pod-to-pod", "ipip"]["outcome"] == "unsupported"
    assert "user namespace" in found["ping", "pod-to-pod", "ipip"]["reason"]
    result.stdout.fnmatch_lines(["ipip *unsupported*", "*user namespace*"])


def test_where_no_lab_can_be_one_message_says_why(pytester: pytest.Pytester) -> None:
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    result = pytester.run(
        *powerless, sys.executable, "-m", "pytest", "--pyargs", "pytest_calico_perf.suite",
        "--calico-json=results.json", "--calico-mode=bgp", *SMALL, timeout=60,
    )  # fmt: skip
    result.assert_outcomes(failed=2)
    assert results(pytester)["problem"].startswith("the lab")
    failures = result.stdout.str().partition("calico-perf: comparison")[0]
    assert failures.count("the lab cannot run on this machine: ") == 1
    assert failures.count("the cluster did not come up; the first failure of this run says why") == 1
    assert "Traceback" not in failures


def test_a_cell_may_be_asked_twice(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.calico(probe="ping", path="pod-to-pod")
        def test_it(calico_cell):
            assert calico_cell.measure() is calico_cell.measure()
        """
    )
    pytester.runpytest_subprocess("--calico-mode=bgp", "--calico-rounds=1", BRIEF).assert_outcomes(passed=1)


def test_a_compared_benchmark_is_of_the_same_cluster_or_the_difference_is_named(
    suite, pytester: pytest.Pytester
) -> None:
    small = (
        "--calico-mode=bgp",
        "--calico-probe=ping",
        "--calico-path=pod-to-pod",
        "--calico-rounds=2",
        BRIEF,
    )
    suite(*small, "--benchmark-autosave")
    same = suite(*small, "--benchmark-compare")
    same.stdout.fnmatch_lines(["test_ping?pod-to-pod-bgp? (0001_*"])
    assert "another place" not in same.stdout.str()
    assert "machine_info is different" not in same.stdout.str() + same.stderr.str()
    other = suite(*small, "--benchmark-compare", "--calico-cluster=lab-two-subnets", "--calico-mode=vxlan")
    other.stdout.fnmatch_lines(
        ["calico-perf: the benchmark compared with is of another place: cluster name, *"]
    )
