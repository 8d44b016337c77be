"""Faults built into the lab: each has its outcome and its words, and the rest of the run goes on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.lab.runs import BRIEF, SMALL, cells, results

BREAKERS = {
    "pod-without-link": """
        import pytest
        from pytest_calico_perf.model import Mode, Path

        @pytest.fixture(scope="session", autouse=True)
        def broken(calico_cluster):
            server = calico_cluster.pair(Path.POD_TO_POD, Mode.BGP).server
            server.run(["ip", "link", "set", "eth0", "down"], limit=5).check()
    """,
    "server-dies": """
        import threading
        import pytest
        from pytest_calico_perf.model import Mode, Path

        @pytest.fixture(scope="session", autouse=True)
        def broken(calico_cluster):
            # Every iperf3 -s in the lab, wherever it listens: the modes' servers die while they serve.
            host, ending = calico_cluster.host("node1"), threading.Event()

            def kill():
                while not ending.wait(0.4):
                    host.run(["pkill", "-9", "-f", "iperf3 -s"], limit=5)

            thread = threading.Thread(target=kill)
            thread.start()
            yield
            ending.set()
            thread.join()
    """,
    "tool-missing": """
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def broken(calico_cluster):
            # Seen inside the lab's own mount namespace only.
            host = calico_cluster.host("node1")
            ab = host.run(["which", "ab"], limit=5).check().stdout.strip()
            host.write_file(f"{host.scratch}/ab", "")
            host.run(["mount", "--bind", f"{host.scratch}/ab", ab], limit=5).check()
    """,
}


@pytest.fixture
def broken_suite(pytester: pytest.Pytester):
    """The suite's tests with a fault built into their lab."""

    def run(fault: str, *args: str) -> pytest.RunResult:
        pytester.makeconftest(BREAKERS[fault])
        pytester.makepyfile(
            """
            from pytest_calico_perf.suite.test_latency import test_ping
            from pytest_calico_perf.suite.test_throughput import test_tcp
            from pytest_calico_perf.suite.test_http import test_http
            """
        )
        return pytester.runpytest_subprocess("--calico-json=results.json", *args, timeout=180)

    return run


def test_an_unreachable_pod_is_said_to_be_so_and_the_rest_goes_on(
    broken_suite, pytester: pytest.Pytester
) -> None:
    result = broken_suite("pod-without-link", "--calico-mode=bgp,vxlan", *SMALL)
    result.assert_outcomes(passed=2, failed=1)
    dead = cells(pytester)["ping", "pod-to-pod", "bgp"]
    assert dead["outcome"] == "unreachable"
    assert dead["samples"] == []
    assert "Traceback" not in result.stdout.str()
    assert "another exception" not in result.stdout.str()
    assert results(pytester)["interrupted"] is False


def test_stopping_at_the_first_failure_is_a_run_cut_short(broken_suite, pytester: pytest.Pytester) -> None:
    broken_suite("pod-without-link", "--calico-mode=bgp,vxlan", *SMALL, "-x")
    assert results(pytester)["interrupted"] is True


def test_a_server_that_dies_is_a_tool_error_naming_it(broken_suite, pytester: pytest.Pytester) -> None:
    result = broken_suite(
        "server-dies",
        "--calico-mode=bgp",
        "--calico-probe=tcp,ping",
        "--calico-path=pod-to-pod",
        "--calico-rounds=3",
        "--calico-duration=0.5",
    )
    result.assert_outcomes(passed=1, failed=1)
    assert cells(pytester)["ping", "pod-to-pod", "bgp"]["outcome"] == "ok"
    dead = cells(pytester)["tcp", "pod-to-pod", "bgp"]
    assert dead["outcome"] in {"tool-error", "unreachable"}
    assert "iperf3" in dead["reason"]
    assert "Traceback" not in result.stdout.str()


def test_a_missing_tool_is_a_tool_error_naming_it(broken_suite, pytester: pytest.Pytester) -> None:
    result = broken_suite(
        "tool-missing",
        "--calico-mode=bgp",
        "--calico-probe=http,ping",
        "--calico-path=pod-to-pod",
        "--calico-rounds=2",
        BRIEF,
    )
    result.assert_outcomes(passed=1, failed=1)
    dead = cells(pytester)["http", "pod-to-pod", "bgp"]
    assert dead["outcome"] == "tool-error"
    assert "ab" in dead["reason"]


def test_a_full_disk_loses_nothing(suite, pytester: pytest.Pytester) -> None:
    folder = Path(pytester.path, "full")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], check=True, timeout=10)
    try:
        (folder / "filler").write_bytes(b"x" * 4096)
        result = suite("--calico-mode=bgp", *SMALL, f"--calico-json={folder}/results.json")
        message = next(line for line in result.outlines if "results.json" in line and "No space left" in line)
        saved = next(
            word
            for word in message.replace(",", " ").replace(";", " ").split()
            if word.endswith(".json") and "full" not in word
        )
        try:
            assert json.loads(Path(saved).read_text())["cells"]
        finally:
            Path(saved).unlink()
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert "Traceback" not in result.stdout.str()
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=10)
