"""Thresholds, expectations and their marks before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

SUITE = ("--pyargs", "pytest_calico_perf.suite", "--calico-path=host-to-host,pod-to-pod")


@pytest.fixture
def suite(pytester: pytest.Pytester):
    def run(*args: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(*SUITE, *args, timeout=60)

    return run


def usage_error(result: pytest.RunResult, message: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tcp:\n  min: 4 ms\n",
            "calico-perf: limits.yaml:2: tcp.min: '4 ms' is a duration, and a rate is needed here, *",
        ),
        (
            "tcp:\n  '*':\n    mim: 4 Gbit/s\n",
            "calico-perf: limits.yaml:3: tcp.[*].mim: *did you mean 'min'?*",
        ),
        ("tcq: {}\n", "calico-perf: limits.yaml:1: tcq: unknown probe, did you mean 'tcp'?*"),
        ("tcp: {*: {min: 4 Gbit/s}}\n", "calico-perf: limits.yaml*not YAML*"),
    ],
)
def test_a_mistake_in_a_file_of_thresholds(suite, pytester: pytest.Pytester, text: str, message: str) -> None:
    Path(pytester.path, "limits.yaml").write_text(text)
    usage_error(suite("--calico-mode=bgp", "--calico-thresholds=limits.yaml"), message)


def test_a_mistake_in_a_cluster_file(suite, pytester: pytest.Pytester) -> None:
    lab = Path(__file__).parents[2].joinpath("clusters", "lab.yaml").read_text()
    lines = len(lab.splitlines())
    mine = Path(pytester.path, "mine.yaml")
    mine.write_text(f"{lab}thresholds:\n  ping: {{p98: 1 ms}}\n")
    usage_error(
        suite("--calico-cluster=mine.yaml"),
        f"calico-perf: mine.yaml:{lines + 2}: thresholds.ping.p98: unknown *'p99'*",
    )
    mine.write_text(f"{lab}expect:\n  - bgp >= ipip\n  - bgp >= ipp\n")
    usage_error(
        suite("--calico-cluster=mine.yaml"),
        f"calico-perf: mine.yaml:{lines + 3}: expect[[]1]: unknown mode 'ipp', *",
    )
    mine.write_text(f"{lab}thresholds: 4 Gbit/s\n")
    usage_error(
        suite("--calico-cluster=mine.yaml"), f"calico-perf: mine.yaml:{lines + 1}: thresholds: should hold *"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--calico-thresholds=nowhere.yaml"], "nowhere.yaml: there is no such file; *"),
        (["--calico-thresholds=."], ".: this is not a file; *"),
        (
            ["--calico-expect=bgp > ipip"],
            "--calico-expect: 'bgp > ipip' is not an expectation: write bgp >= ipip *",
        ),
        (
            ["--calico-expect=bgp >= ipip"],
            "--calico-expect: 'bgp >= ipip' needs ipip, which this run does not measure; *",
        ),
        (
            ["--calico-expect=bgp >= host for udp"],
            "--calico-expect: 'bgp >= host for udp' means no cell of this run; measured are: ping, tcp, http, link on *",
        ),
        (
            ["--calico-expect=bgp >= host on pod-to-service"],
            "--calico-expect: *means no cell of this run; measured are: * on pod-to-pod",
        ),
        (["--calico-expect=bgp >= host for ping"], "--calico-expect: ping is better when lower: write <="),
    ],
)
def test_bad_options(suite, args: list[str], message: str) -> None:
    usage_error(suite("--calico-mode=bgp", *args), f"calico-perf: {message}")


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (
            'calico_threshold(mim="4 Gbit/s")',
            "*::test_it[[]pod-to-pod-bgp]: calico_threshold(mim=...): *did you mean 'min'?*",
        ),
        ('calico_threshold(min="4 ms")', "*: calico_threshold(min=...): '4 ms' is a duration, *"),
        (
            "calico_threshold(max=4)",
            "*: calico_threshold(max=...): tcp is better when higher: its limit is min",
        ),
        ('calico_threshold("4 Gbit/s")', "*: the marker is calico_threshold(min=*"),
        ("calico_threshold", "*: the marker is calico_threshold(min=*"),
        (
            'calico_threshold(ratio_to={"bpg": 1})',
            "*(ratio_to=...): 'bpg' is not a mode, did you mean 'bgp'?*",
        ),
    ],
)
def test_a_bad_mark_is_a_usage_error_that_names_the_test(
    pytester: pytest.Pytester, mark: str, message: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.{mark}
        @pytest.mark.calico(probe="tcp", path="pod-to-pod")
        def test_it(calico_cell): ...
        """
    )
    usage_error(pytester.runpytest_subprocess("--calico-mode=bgp"), message)


def test_a_mark_needs_a_cell(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.calico_threshold(min="4 Gbit/s")
        def test_it(calico_pair): ...
        """
    )
    usage_error(
        pytester.runpytest_subprocess("--calico-mode=bgp"), "*::test_it*: calico_threshold is about a cell, *"
    )


def test_explain_says_what_each_cell_got_and_measures_nothing(suite, pytester: pytest.Pytester) -> None:
    Path(pytester.path, "limits.yaml").write_text(
        'tcp:\n  "*": {min: 4 Gbit/s, ratio-to-host: 0.85}\n  pod-to-pod:\n    bgp: {min: 9 Gbit/s}\n'
    )
    result = suite(
        "--calico-mode=bgp,ipip", "--calico-probe=tcp,ping", "--calico-thresholds=limits.yaml",
        "--calico-expect=bgp >= ipip * 1.0", "--calico-explain", "--calico-json=results.json",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "tcp host-to-host",
            "  min: 4 Gbit/s  limits.yaml:2: tcp.[*].min",
            "tcp pod-to-pod bgp",
            "  min: 9 Gbit/s        *limits.yaml:4: tcp.pod-to-pod.bgp.min",
            "  ratio-to-host: 0.85  *limits.yaml:2: tcp.[*].ratio-to-host",
            "  bgp >= ipip * 1.0    *--calico-expect",
            "tcp pod-to-pod ipip",
            "  min: 4 Gbit/s * limits.yaml:2: tcp.[*].min",
        ]
    )
    result.stdout.fnmatch_lines(["ping pod-to-pod bgp: nothing is demanded"])
    result.assert_outcomes(deselected=result.parseoutcomes()["deselected"])
    assert not Path(pytester.path, "results.json").exists()
    result.stdout.fnmatch_lines(
        ["calico-perf: --calico-json is not written: --calico-explain measures nothing"]
    )
    result.stdout.no_fnmatch_line("*will take*")
    result.stdout.fnmatch_lines(["calico-perf: modes bgp, ipip; *; nothing is measured"])


def test_explain_alone_is_enough_to_be_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.calico_threshold(min="4 Gbit/s")
        @pytest.mark.calico(probe="tcp", path="pod-to-pod", mode="bgp")
        def test_it(calico_cell): ...
        """
    )
    result = pytester.runpytest_subprocess("--calico-explain")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["tcp pod-to-pod bgp", "  min: 4 Gbit/s  *::test_it[[]pod-to-pod-bgp]: calico_threshold"]
    )


def test_a_file_of_thresholds_stands_in_for_those_of_the_cluster_file(
    suite, pytester: pytest.Pytester
) -> None:
    lab = Path(__file__).parents[2].joinpath("clusters", "lab.yaml").read_text()
    Path(pytester.path, "mine.yaml").write_text(
        f"{lab}thresholds: {{ping: {{max: 1 ms}}}}\nexpect: [bgp <= ipip]\n"
    )
    Path(pytester.path, "limits.yaml").write_text("ping: {p99: 2 ms}\n")
    args = ("--calico-cluster=mine.yaml", "--calico-mode=bgp,ipip", "--calico-probe=ping", "--calico-explain")
    own = suite(*args).stdout.str()
    assert "max: 1 ms" in own
    assert "bgp <= ipip" in own
    other = suite(*args, "--calico-thresholds=limits.yaml").stdout.str()
    assert "max: 1 ms" not in other
    assert "p99: 2 ms" in other
    assert "bgp <= ipip" in other  # an expectation is none


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n", "tcp: {}\n", "tcp: {min: null}\n"])
def test_a_file_of_thresholds_that_demands_nothing_is_no_gate(suite, pytester: pytest.Pytester, text) -> None:
    Path(pytester.path, "limits.yaml").write_text(text)
    usage_error(
        suite("--calico-mode=bgp", "--calico-thresholds=limits.yaml"),
        "calico-perf: limits.yaml: it demands nothing; write a threshold, or leave out --calico-thresholds",
    )


def test_an_expectation_that_is_always_there_does_not_stop_a_run_of_one_mode(
    suite, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\ncalico_expect = bgp >= ipip, vxlan >= host\n")
    result = suite("--calico-mode=bgp", "--calico-probe=tcp", "--calico-explain")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "tcp pod-to-pod bgp: nothing is demanded",
            "bgp >= ipip was not judged everywhere: ipip is not measured beside it [[]ini value calico_expect]",
            "vxlan >= host was not judged: no cell of this run is meant by it [[]ini value calico_expect]",
        ]
    )
