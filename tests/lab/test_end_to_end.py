"""The suite on the real lab, as a user runs it: in a process of its own, from an empty folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from pytest_calico_perf.cluster.lab.tag import LabTag

SMALL = ("--calico-probe=ping", "--calico-path=host-to-host,pod-to-pod", "--calico-rounds=3")


@pytest.fixture
def suite(pytester: pytest.Pytester):
    def run(*args: str, timeout: float = 120) -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            "--pyargs", "pytest_calico_perf.suite", "--calico-json=results.json", *args, timeout=timeout
        )

    return run


@pytest.fixture
def background(pytester: pytest.Pytester):
    """Start the suite and leave it running; whatever happens it is gone at the end."""
    started: list[subprocess.Popen[str]] = []
    output = Path(pytester.path, "output.txt").open("w")  # noqa: SIM115  # open as long as they run

    def start(*args: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "--pyargs",
                "pytest_calico_perf.suite",
                "--calico-json=results.json",
                *args,
            ],
            cwd=pytester.path,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
    output.close()


def wait_for_line(pytester: pytest.Pytester, words: str, deadline: float = 60) -> str:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        text = Path(pytester.path, "output.txt").read_text()
        if words in text:
            return text
        time.sleep(0.1)
    pytest.fail(f"{words!r} did not appear within {deadline} s in:\n{text}")


def results(pytester: pytest.Pytester) -> dict:
    return json.loads(Path(pytester.path, "results.json").read_text())


def cells(pytester: pytest.Pytester) -> dict[tuple[str, str, str | None], dict]:
    return {(c["probe"], c["path"], c["mode"]): c for c in results(pytester)["cells"]}


def processes_of(owner: int) -> list[int]:
    """The processes of the labs that a pytest process started, alive or not."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    tags = {pid: LabTag.of_process(pid) for pid in pids}
    return [pid for pid, tag in tags.items() if tag is not None and tag.owner == owner]


def assert_nothing_left(owner: int, *, deadline: float) -> None:
    end = time.monotonic() + deadline
    while processes_of(owner) and time.monotonic() < end:
        time.sleep(0.05)
    assert not processes_of(owner)


def test_every_report_tells_the_same_story(suite, pytester: pytest.Pytester) -> None:
    result = suite(
        "--calico-mode=ipip,bgp,vxlan", *SMALL, "--html=report.html", "--self-contained-html",
        "--junit-xml=junit.xml", "--benchmark-json=benchmark.json",
    )  # fmt: skip
    result.assert_outcomes(passed=4)
    assert result.ret == 0

    document = results(pytester)
    assert document["schema"] == 1
    assert document["interrupted"] is False
    assert document["cluster"]["name"] == "lab"
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
    modes = ["bgp", "ipip", "vxlan"]
    suite(f"--calico-mode={','.join(modes)}", *SMALL).assert_outcomes(passed=4)
    devices = {m: json.dumps(cells(pytester)["ping", "pod-to-pod", m]["evidence"]) for m in modes}
    assert "tunl0" in devices["ipip"]
    assert "vxlan.calico" in devices["vxlan"]
    assert '"device": "eth0"' in devices["bgp"]


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
        "--calico-mode=bgp", *SMALL, timeout=60,
    )  # fmt: skip
    result.assert_outcomes(failed=2)
    failures = result.stdout.str().partition("short test summary")[0]
    assert failures.count("the lab cannot run on this machine: ") == 1
    assert failures.count("the cluster did not come up; the first failure of this run says why") == 1
    assert "Traceback" not in failures


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


def test_a_server_that_dies_is_a_tool_error_naming_it(broken_suite, pytester: pytest.Pytester) -> None:
    result = broken_suite(
        "server-dies",
        "--calico-mode=bgp",
        "--calico-probe=tcp,ping",
        "--calico-path=pod-to-pod",
        "--calico-rounds=3",
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
