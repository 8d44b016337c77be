"""Thresholds and expectations on the real lab: exit codes, and what every report tells of them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.lab.runs import cells

ONE = ("--calico-probe=ping", "--calico-path=pod-to-pod", "--calico-duration=0.02")
CLEAR = (
    "ping: {max: 10 s, pod-to-pod: {bgp: {max: 1 ns}}}\n"  # whatever the machine: ipip keeps it, bgp does not
)


@pytest.fixture
def limits(pytester: pytest.Pytester):
    def write(text: str) -> str:
        Path(pytester.path, "limits.yaml").write_text(text)
        return "--calico-thresholds=limits.yaml"

    return write


def properties(pytester: pytest.Pytester) -> dict[str, list[tuple[str, str]]]:
    tree = ET.parse(Path(pytester.path, "junit.xml"))
    return {
        case.get("name", ""): [(p.get("name", ""), p.get("value", "")) for p in case.iter("property")]
        for case in tree.iter("testcase")
    }


def test_a_slow_cell_fails_the_run_and_every_report_says_why(
    suite, limits, pytester: pytest.Pytester
) -> None:
    result = suite(
        "--calico-mode=ipip,bgp", *ONE, "--calico-rounds=6", limits(CLEAR), "--html=report.html",
        "--self-contained-html", "--junit-xml=junit.xml",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "slow: ping pod-to-pod bgp: median * over 6 rounds misses max: 1 ns [[]limits.yaml:1: ping.pod-to-pod.bgp.max]",
            "bgp *slow [[]1]*",
            "verdicts: 1 ok, 1 slow",
        ]
    )
    bgp, ipip = (cells(pytester)["ping", "pod-to-pod", mode] for mode in ("bgp", "ipip"))
    assert (bgp["outcome"], ipip["outcome"]) == ("slow", "ok")
    [verdict] = bgp["verdicts"]
    assert (verdict["rule"], verdict["outcome"]) == ("max: 1 ns", "slow")
    assert verdict["source"] == "limits.yaml:1: ping.pod-to-pod.bgp.max"
    assert verdict["message"] in bgp["reason"]
    assert ipip["verdicts"][0]["rule"] == "max: 10 s"

    tree = ET.parse(Path(pytester.path, "junit.xml"))
    [failure] = tree.iter("failure")
    assert verdict["message"] in failure.get("message", "")
    found = properties(pytester)
    assert ("calico.verdict", f"slow: {verdict['message']} [{verdict['source']}]") in found[
        "test_ping[pod-to-pod-bgp]"
    ]
    assert ("calico.outcome", "ok") in found["test_ping[pod-to-pod-ipip]"]

    page = BeautifulSoup(Path(pytester.path, "report.html").read_text(), "html.parser")
    assert "Verdicts: 1 ok, 1 slow" in page.select_one(".summary .calico-perf").get_text()
    data = json.loads(page.select_one("#data-container")["data-jsonblob"])
    rows = {
        entry["testId"].partition("::")[2]: entry for entries in data["tests"].values() for entry in entries
    }
    details = BeautifulSoup(
        rows["test_ping[pod-to-pod-bgp]"]["extras"][0]["content"], "html.parser"
    ).get_text()
    assert verdict["message"] in details
    assert verdict["source"] in details


def test_what_is_inconclusive_passes_counted_and_fails_when_strict(
    suite, limits, pytester: pytest.Pytester
) -> None:
    few = (
        "--calico-mode=bgp",
        *ONE,
        "--calico-rounds=3",
        limits("ping: {max: 1 s}"),
        "--junit-xml=junit.xml",
    )
    lenient = suite(*few)
    assert lenient.ret == pytest.ExitCode.OK
    lenient.stdout.fnmatch_lines(
        [
            "*: no verdict on max: 1 s with*",
            "*fewer than 6 rounds*",
            "verdicts: 1 inconclusive",
            "*, 1 inconclusive in *",
        ]
    )
    assert cells(pytester)["ping", "pod-to-pod", "bgp"]["outcome"] == "inconclusive"
    assert ("calico.outcome", "inconclusive") in properties(pytester)["test_ping[pod-to-pod-bgp]"]
    strict = suite(*few, "--calico-strict")
    assert strict.ret == pytest.ExitCode.TESTS_FAILED
    strict.stdout.fnmatch_lines(["inconclusive: ping pod-to-pod bgp: *"])


def test_an_expectation_holds_mode_against_mode(suite) -> None:
    result = suite(
        "--calico-mode=bgp,ipip", *ONE, "--calico-rounds=6",
        "--calico-expect=bgp <= ipip * 100", "--calico-expect=ipip <= bgp * 0.01 for ping",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "slow: ping pod-to-pod ipip: ratio to bgp * over 6 rounds misses ipip <= bgp * 0.01 for ping [[]--calico-expect]"
        ]
    )


def test_a_mark_demands_of_its_own_test_only(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.calico(probe="ping", path="pod-to-pod")

        def test_free(calico_cell):
            assert calico_cell.measure().verdicts == ()

        @pytest.mark.calico_threshold(max="1 ns")
        def test_demanding(calico_cell):
            calico_cell.measure()

        @pytest.mark.calico_threshold(max="1 s", ratio_to_host=1000, p99="1 min", ratio_to={"bgp": 0.5})
        def test_content(calico_cell):
            assert len(calico_cell.measure().verdicts) == 3  # bgp is not divided by itself
        """
    )
    result = pytester.runpytest_subprocess(
        "--calico-mode=bgp",
        "--calico-rounds=6",
        "--calico-duration=0.02",
        "--calico-json=results.json",
        timeout=120,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "slow: ping pod-to-pod bgp: median * misses max: 1 ns [[]*::test_demanding[[]*[]]: calico_threshold]"
        ]
    )
    [cell] = json.loads(Path(pytester.path, "results.json").read_text())["cells"]
    assert cell["outcome"] == "slow"
    assert [verdict["outcome"] for verdict in cell["verdicts"]] == ["slow", "ok", "ok", "ok"]


def test_current_beside_its_own_mode_tells_the_noise_floor(suite) -> None:
    result = suite("--calico-mode=ipip,current", *ONE, "--calico-rounds=6")
    result.assert_outcomes(passed=2)
    text = " ".join(result.outlines)
    assert "current is ipip here, so their ratios are noise alone (A/A)." in text
    assert " ping " in text.partition("of twice as much is found:")[2]


def test_a_mode_that_is_not_measured_is_told_of(suite, limits, pytester: pytest.Pytester) -> None:
    result = suite("--calico-mode=bgp", *ONE, "--calico-rounds=6", limits("ping: {ratio-to: {ipip: 2}}"))
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    text = " ".join(result.outlines)
    assert "ratio-to ipip: 2 was not judged everywhere: ipip is not measured beside it" in text
    assert cells(pytester)["ping", "pod-to-pod", "bgp"]["verdicts"] == []


def test_a_block_ends_at_the_look_that_decides_its_verdicts(suite, limits, pytester: pytest.Pytester) -> None:
    result = suite(
        "--calico-mode=bgp", *ONE, "--calico-precision=0.01%", limits("ping: {ratio-to-host: 1000}")
    )
    assert result.ret == pytest.ExitCode.OK
    cell = cells(pytester)["ping", "pod-to-pod", "bgp"]
    assert cell["details"]["stopped"]["why"] == "decided"
    assert len(cell["samples"]) == cell["details"]["stopped"]["rounds"] == 6
    assert cell["verdicts"][0]["outcome"] == "ok"


def test_a_mark_has_its_say_in_when_a_block_ends(pytester: pytest.Pytester) -> None:
    """The ratio is decided after six rounds, a limit in a unit not before fourteen of thirty."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.calico(probe="ping", path="pod-to-pod")
        @pytest.mark.calico_threshold(max="1 s", ratio_to_host=1000)
        def test_mine(calico_cell):
            assert len(calico_cell.measure().samples) == 14
        """
    )
    result = pytester.runpytest_subprocess(
        "--calico-mode=bgp", "--calico-duration=0.02", "--calico-precision=0.01%", timeout=120
    )
    result.assert_outcomes(passed=1)


def test_cells_nobody_asked_for_any_more_are_judged_in_the_record(
    suite, limits, pytester: pytest.Pytester
) -> None:
    result = suite("--calico-mode=bgp,ipip", *ONE, "--calico-rounds=6", limits(CLEAR), "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    ipip = cells(pytester)["ping", "pod-to-pod", "ipip"]
    assert ipip["outcome"] == "ok"
    assert [verdict["rule"] for verdict in ipip["verdicts"]] == ["max: 10 s"]
