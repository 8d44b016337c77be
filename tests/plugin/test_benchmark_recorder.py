"""Samples through the virtual clock: what pytest-benchmark then shows, stores, compares and draws."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_calico_perf
from pytest_calico_perf.model import Mode, Unit
from pytest_calico_perf.report.benchmark import clock_seconds, group_label, machine_info

# What fixtures.py does, in small, so that this tests the recorder and nothing else.
CONFTEST = """
import pytest
from pytest_calico_perf.report.benchmark import Recorder, install_clock, machine_info, stable_name

@pytest.fixture
def clock(request):
    return install_clock(request.node)

@pytest.fixture
def record(clock, benchmark, request):
    benchmark.fullname = stable_name(request.node)
    return Recorder(benchmark, clock)

def pytest_benchmark_generate_machine_info():
    return machine_info({"name": "lab", "nodes": [{"name": "node1"}]})
"""

SUITE = """
import pytest
from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, Unit

GBIT = (0.1 + 0.2, 1 / 3, 9.412345678901234)

@pytest.mark.parametrize("mode", ["bgp", "ipip"])
def test_tcp(record, mode):
    record.record(CellResult(
        Cell("tcp", Path.POD_TO_POD, Mode(mode)), Outcome.OK, Unit.BIT_PER_SECOND, Better.HIGHER,
        samples=(9.1e9, 9.4e9, 8.8e9), rounds=(1, 2, 4), details={"mss": 1448, "cpu": float("nan")},
        evidence={"route": "198.19.2.0/26 via 198.18.0.12 dev eth0"}))

def test_rtt(record):
    record(GBIT, "s", host="node1")

def test_http(record):
    record([12000.0, 12500.0], Unit.REQUEST_PER_SECOND)

@pytest.mark.benchmark(group="mine", min_rounds=7)
def test_own_group(record):
    record([1e9], unit="bit/s")
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Run the small suite in a process of its own."""
    # The package under test, installed or not.
    monkeypatch.setenv("PYTHONPATH", str(Path(pytest_calico_perf.__file__).parents[1]))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)

    def run(*args, tests=()):
        return pytester.runpytest_subprocess(
            "-p", "no:calico-perf", "-p", "no:cacheprovider", *args, *tests, timeout=120
        )

    return run


@pytest.fixture
def recorded(suite, pytester):
    """The benchmarks of a --benchmark-json, by name."""
    result = suite("--benchmark-json=out.json")
    result.assert_outcomes(passed=5)
    document = json.loads((pytester.path / "out.json").read_text())
    return document, {bench["name"]: bench for bench in document["benchmarks"]}


def test_json_holds_exactly_what_was_recorded(recorded):
    _, benches = recorded
    rtt = benches["test_rtt"]
    assert rtt["stats"]["data"] == [0.1 + 0.2, 1 / 3, 9.412345678901234]
    assert rtt["extra_info"] == {
        "unit": "s",
        "better": "lower",
        "samples": [0.1 + 0.2, 1 / 3, 9.412345678901234],
        "host": "node1",
    }
    tcp = benches["test_tcp[bgp]"]
    assert tcp["stats"]["data"] == [1e9 / 9.1e9, 1e9 / 9.4e9, 1e9 / 8.8e9]
    assert tcp["stats"]["rounds"] == 3
    assert tcp["stats"]["ops"] == pytest.approx(3 / (1 / 9.1 + 1 / 9.4 + 1 / 8.8))
    assert tcp["extra_info"]["samples"] == [9.1e9, 9.4e9, 8.8e9]
    assert {key: tcp["extra_info"][key] for key in ("mode", "path", "probe", "rounds", "unit", "better")} == {
        "mode": "bgp",
        "path": "pod-to-pod",
        "probe": "tcp",
        "rounds": [1, 2, 4],
        "unit": "bit/s",
        "better": "higher",
    }
    assert tcp["extra_info"]["details"] == {"mss": 1448, "cpu": None}
    assert benches["test_http"]["stats"]["data"] == [1 / 12000.0, 1 / 12500.0]


def test_rows_are_named_the_same_from_every_folder_and_grouped_by_unit(recorded):
    _, benches = recorded
    assert benches["test_tcp[bgp]"]["fullname"] == "test_suite::test_tcp[bgp]"
    assert benches["test_tcp[bgp]"]["group"] == "tcp: s per Gbit, OPS = Gbit/s"
    assert benches["test_rtt"]["group"] == "test_rtt: s"
    assert benches["test_http"]["group"] == "test_http: s per request, OPS = requests/s"


def test_the_tests_own_mark_keeps_its_say(recorded):
    _, benches = recorded
    own = benches["test_own_group"]
    assert own["group"] == "mine"
    assert own["options"]["min_rounds"] == 7
    assert "0x" not in own["options"]["timer"]


def test_machine_info_is_of_the_cluster_and_the_same_every_time(recorded):
    document, _ = recorded
    assert document["machine_info"]["cluster"]["nodes"] == [{"name": "node1"}]
    assert document["machine_info"]["python_version"]
    facts = {"name": "lab", "mtu": 1500}
    assert machine_info(facts) == machine_info(facts)
    json.dumps(machine_info({"modes": (Mode.BGP,), "speed": float("inf")}), allow_nan=False)


def test_table_says_the_unit(suite):
    result = suite()
    result.stdout.fnmatch_lines_random(
        [
            "*benchmark 'tcp: s per Gbit, OPS = Gbit/s': 2 tests*",
            "*benchmark 'test_http: s per request, OPS = requests/s': 1 tests*",
        ]
    )
    assert not re.search("Warning", result.stdout.str())


def test_autosave_then_compare_finds_every_row_and_the_same_cluster(suite, pytester):
    assert suite("--benchmark-autosave").ret == 0
    (saved,) = (pytester.path / ".benchmarks").rglob("0001_*.json")
    result = suite("--benchmark-compare=0001", "--benchmark-compare-fail=median:1%")
    assert result.ret == 0
    text = result.stdout.str() + result.stderr.str()
    assert "Comparing against benchmarks from: " in text
    assert "machine_info is different" not in text
    for name in ("test_tcp[bgp]", "test_tcp[ipip]", "test_rtt", "test_http"):
        assert re.search(rf"{re.escape(name)} \(0001_", text), name
        assert re.search(rf"{re.escape(name)} \(NOW\)", text), name
    assert saved.exists()


def test_compare_fail_sees_a_loss_of_throughput(suite, pytester):
    assert suite("--benchmark-autosave").ret == 0
    slower = SUITE.replace("(9.1e9, 9.4e9, 8.8e9)", "(7.1e9, 7.4e9, 6.8e9)")
    pytester.makepyfile(test_suite=slower)
    result = suite("--benchmark-compare=0001", "--benchmark-compare-fail=median:10%")
    assert result.ret != 0
    assert "Performance has regressed" in result.stdout.str() + result.stderr.str()


def test_histogram_draws_one_picture_per_group(suite, pytester):
    assert suite("--benchmark-histogram=picture").ret == 0
    pictures = sorted(path.name for path in pytester.path.glob("picture*.svg"))
    assert len(pictures) == 4
    tcp = next(pytester.path / name for name in pictures if "per_Gbit" in name)
    assert "test_tcp[bgp]" in tcp.read_text()


def test_the_command_line_compare_reads_it(suite, pytester):
    assert suite("--benchmark-autosave").ret == 0
    found = subprocess.run(
        [str(Path(sys.executable).with_name("pytest-benchmark")), "compare", "0001", "--columns=median,ops"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "tcp: s per Gbit, OPS = Gbit/s" in found.stdout
    assert "test_tcp[ipip]" in found.stdout


@pytest.mark.parametrize("samples", ["[]", "[1.0, 0.0]", "[-1.0]", "[float('inf')]", "[float('nan'), 1.0]"])
def test_what_would_spoil_the_session_is_refused_and_the_rest_is_kept(suite, pytester, samples):
    pytester.makepyfile(
        test_bad=f"""
            import pytest

            def test_bad(record):
                with pytest.raises(ValueError, match="finite, positive and at least one"):
                    record({samples}, "s")
        """
    )
    result = suite("--benchmark-json=out.json")
    result.assert_outcomes(passed=6)
    assert len(json.loads((pytester.path / "out.json").read_text())["benchmarks"]) == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("unit='Mbit/s'", "unknown unit 'Mbit/s': write one of bit/s, s, requests/s, connections/s"),
        ("unit='s', better='faster'", "unknown direction 'faster': write one of higher, lower"),
    ],
)
def test_an_unknown_word_is_refused_and_the_known_ones_are_named(suite, pytester, arguments, says):
    pytester.makepyfile(test_bad=f"def test_bad(record):\n    record([1.0], {arguments})\n")
    result = suite(tests=["test_bad.py"])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E * ValueError: {says}"])
    result.stdout.no_fnmatch_line("*is not a valid*")


def test_switched_off_it_says_that_nothing_would_be_recorded(suite):
    result = suite("--benchmark-disable")
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(["*nothing would be recorded*"])


@pytest.mark.parametrize("unit", list(Unit))
def test_every_unit_has_a_label_and_a_faster_cell_takes_less_time(unit):
    assert group_label("probe", unit).startswith("probe: s")
    better, worse = (2.0, 1.0) if unit is not Unit.SECOND else (1.0, 2.0)
    assert clock_seconds(better, unit) < clock_seconds(worse, unit)
