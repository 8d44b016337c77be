"""What the command line promises before anything is touched."""

from __future__ import annotations

import pytest

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.model import Provision
from pytest_calico_perf.options import OPTIONS
from pytest_calico_perf.settings import Settings, gather, resolve

ALL_MODES = "bgp,ipip,vxlan"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run the installed suite from an empty folder, in a process of its own."""

    def run(*args: str, **environment: str):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return pytester.runpytest_subprocess("--pyargs", "pytest_calico_perf.suite", *args, timeout=60)

    return run


def test_header_says_cluster_modes_cells_rounds_and_time(suite) -> None:
    result = suite("--calico-mode=ipip,bgp", "--collect-only", "-q")
    assert result.ret == 0
    result = suite("--calico-mode=ipip,bgp", "--collect-only")
    result.stdout.fnmatch_lines(
        [
            "calico-perf: cluster lab (*lab.yaml)",
            "calico-perf: modes ipip, bgp; profile quick; * cells; 6 rounds; about *",
            "calico-perf: * cells in * blocks will take about *",
        ]
    )


def test_collect_only_lists_the_cells_in_the_users_order(suite) -> None:
    result = suite("--calico-mode=vxlan,bgp", "--calico-probe=ping", "--collect-only", "-q")
    lines = [line.rpartition("::")[2] for line in result.outlines if "::" in line]
    assert lines == [
        "test_ping[host-to-host]",
        "test_ping[host-to-pod-vxlan]",
        "test_ping[host-to-pod-bgp]",
        "test_ping[pod-to-pod-vxlan]",
        "test_ping[pod-to-pod-bgp]",
    ]


def test_mode_may_be_repeated(suite) -> None:
    result = suite("--calico-mode=vxlan", "--calico-mode=bgp", "--collect-only")
    result.stdout.fnmatch_lines(["calico-perf: modes vxlan, bgp; *"])


def test_command_line_wins_over_environment_over_ini_over_cluster_file(
    suite, pytester: pytest.Pytester
) -> None:
    def modes(*args: str, **environment: str) -> str:
        result = suite("--collect-only", "--calico-profile=quick", *args, **environment)
        assert result.ret == 0, result.stderr.str()
        return next(line for line in result.outlines if "modes" in line).split("modes ")[1].split(";")[0]

    assert modes() == "ipip, bgp, vxlan"  # clusters/lab.yaml
    pytester.makeini("[pytest]\ncalico_mode = vxlan\n")
    assert modes() == "vxlan"
    assert modes(CALICO_PERF_MODE="ipip") == "ipip"
    assert modes("--calico-mode=bgp", CALICO_PERF_MODE="ipip") == "bgp"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--calico-mode=bpg"], "--calico-mode: unknown name 'bpg', did you mean 'bgp'? known: *"),
        (["--calico-mode=bgp,"], "--calico-mode: an empty entry in 'bgp,'; *"),
        (["--calico-mode=bgp", "--calico-path=pod-to-pot"], "--calico-path: *did you mean 'pod-to-pod'? *"),
        (["--calico-mode=bgp", "--calico-probe=pong"], "--calico-probe: *did you mean 'ping'? *"),
        (["--calico-mode=bgp", "--calico-profile=quik"], "--calico-profile: *did you mean 'quick'? *"),
        (["--calico-mode=bgp", "--calico-rounds=0"], "--calico-rounds: '0' cannot be used; *"),
        (["--calico-mode=bgp", "--calico-rounds=-3"], "--calico-rounds: '-3' cannot be used; *"),
        (["--calico-mode=bgp", "--calico-rounds=2.5"], "--calico-rounds: '2.5' cannot be used; *"),
        (
            ["--calico-mode=bgp", "--calico-rounds=1" + 400 * "0"],
            "--calico-rounds: '1000*'... cannot be used; *",
        ),
        (["--calico-mode=bgp", "--calico-rounds="], "--calico-rounds: '' cannot be used; *"),
        (["--calico-mode=bgp", "--calico-duration=1e300"], "--calico-duration: '1e300' cannot be used; *"),
        (["--calico-mode=bgp", "--calico-duration=nan"], "--calico-duration: 'nan' cannot be used; *"),
        (["--calico-mode=bgp", "--calico-duration=-1"], "--calico-duration: '-1' cannot be used; *"),
        (["--calico-mode=bgp", "--calico-cluster=nowhere"], "*nowhere*"),
        (
            ["--calico-provision=swich"],
            "--calico-provision: unknown way 'swich', did you mean 'switch'? known: pools, switch",
        ),
        (
            ["--calico-provision=switch"],
            "--calico-provision: is for clusters of kind kubernetes, and lab is none; name a cluster file of *",
        ),
        (["--calico-restore"], "--calico-restore: is for clusters of kind kubernetes, and lab is none; *"),
        (["--calico-cleanup"], "--calico-cleanup: is for clusters of kind kubernetes, and lab is none; *"),
        (["--calico-mode=bgp", "--calico-json=no/such/folder/x.json"], "*no/such/folder*"),
        (
            ["--calico-mode=bgp", "-n2"],
            "pytest-xdist (-n, --dist): tests in parallel would measure one another; *",
        ),
        (["--calico-mode=bgp", "-p", "no:benchmark"], "-p no:benchmark: nothing would be recorded; *"),
        (["--calico-mode=bgp", "--benchmark-disable"], "--benchmark-disable: nothing would be recorded; *"),
    ],
)
def test_bad_input_is_a_usage_error_in_one_line(suite, args: list[str], message: str) -> None:
    result = suite(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: calico-perf: {message}"])
    assert len([line for line in result.stderr.lines if line.strip()]) == 1
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_bad_environment_and_ini_name_their_place(suite, pytester: pytest.Pytester) -> None:
    result = suite("--calico-mode=bgp", CALICO_PERF_ROUNDS="many")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*environment variable CALICO_PERF_ROUNDS: 'many' cannot be used; *"])
    pytester.makeini("[pytest]\ncalico_path = nowhere\n")
    result = suite("--calico-mode=bgp", CALICO_PERF_ROUNDS="1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ini value calico_path: unknown name 'nowhere'*"])


def test_cluster_that_cannot_carry_a_mode(suite, pytester: pytest.Pytester) -> None:
    pytester.makefile(
        ".yaml",
        small="""
            kind: lab
            name: small
            subnets:
              - {name: rack, range: 198.18.0.0/24, nodes: 2}
            pools:
              bgp: 198.19.0.0/24
        """,
    )
    result = suite("--calico-cluster=small.yaml", "--calico-mode=ipip")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: calico-perf: *small.yaml*ipip*"])


CLUSTER = """
    kind: kubernetes
    name: mine
    kubeconfig: mine.conf
    context: prod
"""
# 192.0.2.0/24 is for documentation (RFC 5737): whoever asks that server waits for ever.
KUBECONFIG = """\
    contexts: [{name: prod, context: {cluster: prod}}]
    clusters: [{name: prod, cluster: {server: "https://192.0.2.1:6443"}}]
"""


def test_a_real_clusters_credentials_are_looked_at_and_its_server_is_not(
    suite, pytester: pytest.Pytester
) -> None:
    pytester.makefile(".yaml", mine=CLUSTER)
    args = ("--calico-cluster=mine.yaml", "--calico-mode=ipip,bgp", "--collect-only")
    result = suite(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: calico-perf: mine.yaml:3: kubeconfig: *mine.conf is not there; *"])
    assert len([line for line in result.stderr.lines if line.strip()]) == 1
    pytester.makefile(".conf", mine=KUBECONFIG.replace("prod", "prdo"))
    suite(*args).stderr.fnmatch_lines(
        ["ERROR: calico-perf: mine.yaml:4: context: 'prod'*did you mean 'prdo'?*"]
    )
    pytester.makefile(".conf", mine=KUBECONFIG)
    result = suite(*args)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["calico-perf: cluster mine (mine.yaml)"])


@pytest.fixture
def real_cluster(pytester: pytest.Pytester) -> str:
    """The path of a cluster file that can be used."""
    pytester.makefile(".conf", mine=KUBECONFIG)
    return str(pytester.makefile(".yaml", mine=CLUSTER))


def test_what_to_do_to_a_real_cluster(real_cluster: str) -> None:
    def settings(*flags: str, **environment: str) -> Settings:
        line: dict[str, str | bool] = {"calico_cluster": real_cluster, "calico_mode": "ipip"}
        for flag in flags:
            name, _, value = flag.partition("=")
            line[f"calico_{name}"] = value or True
        return resolve(gather(line, environment, {}))

    assert settings().provision is Provision.POOLS
    assert settings("provision=switch").provision is Provision.SWITCH
    with pytest.raises(SettingProblem, match="cannot be together with --calico-provision=switch"):
        settings("provision=switch", "keep")
    assert settings(CALICO_PERF_PROVISION="switch").provision is Provision.SWITCH


def test_the_lab_minds_only_what_it_is_really_asked_for() -> None:
    environment = {"CALICO_PERF_PROVISION": "pools"}
    assert resolve(gather({"calico_cluster": "lab"}, environment, {})).provision is Provision.POOLS
    with pytest.raises(SettingProblem, match=r"^environment variable CALICO_PERF_PROVISION: is for clusters"):
        resolve(gather({"calico_cluster": "lab"}, {"CALICO_PERF_PROVISION": "switch"}, {}))


def test_help_markers_and_fixtures_explain_the_plugin(pytester: pytest.Pytester) -> None:
    help_text = pytester.runpytest_subprocess("--help").stdout.str()
    for option in OPTIONS:
        assert f"--calico-{option.word}" in help_text
        assert f"CALICO_PERF_{option.word.upper().replace('-', '_')}" in help_text
    pytester.runpytest_subprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.calico(probe=None, *"])
    fixtures = pytester.runpytest_subprocess("--fixtures").stdout
    fixtures.fnmatch_lines_random(
        [f"calico_{name}*" for name in ("cluster", "mode", "path", "pair", "cell", "record")]
    )
    assert "no docstring available" not in [line for line in fixtures.lines if "calico" in line]


def test_environment_and_ini_do_nothing_to_runs_that_do_not_use_us(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALICO_PERF_MODE", "bpg")
    pytester.makeini("[pytest]\ncalico_probe = pong\n")
    pytester.makepyfile("def test_other(): ...")
    result = pytester.runpytest_subprocess("-n2")
    result.assert_outcomes(passed=1)
    assert pytester.runpytest_subprocess("--help", "--calico-mode=bpg").ret == 0


def test_settings_from_ini_alone_are_introduced_too(suite, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ncalico_mode = vxlan\ncalico_rounds = 2\n")
    result = suite("--collect-only")
    result.stdout.fnmatch_lines(["calico-perf: modes vxlan; profile quick; * cells; 2 rounds; about *"])


def test_nothing_to_measure_says_so(suite, pytester: pytest.Pytester) -> None:
    result = suite("--calico-mode=bgp", "--calico-probe=link", "--calico-path=pod-to-pod")
    result.stdout.fnmatch_lines(
        ["calico-perf: no test here measures a cell; the probes asked for mean nothing *"]
    )
    result = pytester.runpytest_subprocess("--calico-mode=bgp")
    result.stdout.fnmatch_lines(
        ["calico-perf: no test here measures a cell; the suite is `pytest --pyargs *"]
    )


def test_probe_names_of_the_options_are_the_probes() -> None:
    from pytest_calico_perf.options import PROBE_NAMES
    from pytest_calico_perf.probes import probe_names

    assert tuple(probe_names()) == PROBE_NAMES


def test_being_installed_imports_nothing_and_prints_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_other_peoples_run():
            heavy = {"scipy", "numpy", "pydantic", "yaml", "pytest_calico_perf.campaign", "pytest_calico_perf.session"}
            assert not heavy & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert "calico-perf" not in "\n".join(line for line in result.outlines if not line.startswith("plugins:"))


MARKED = "import pytest\n@pytest.mark.calico({})\ndef test_it(calico_cell): ..."


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            MARKED.format("probe='pingg'"),
            "*test_it: unknown probe 'pingg', did you mean 'ping'? known: ping, *",
        ),
        (MARKED.format("probe=['ping', 'tcp']"), "*test_it: unknown probe ?'ping', 'tcp'?*"),
        (
            MARKED.format("probe='ping', path='pod-to-podd'"),
            "*test_it: unknown path 'pod-to-podd', did you mean *",
        ),
        (
            MARKED.format("probe='ping', mode=['bgp', 'bpg']"),
            "*test_it: unknown mode 'bpg', did you mean 'bgp'? *",
        ),
        ("def test_it(calico_cell): ...", "*test_it: calico_cell needs a probe*"),
        (
            "import pytest\n@pytest.mark.calico(prob='ping')\ndef test_it(calico_cell): ...",
            "*test_it: *calico(probe=*",
        ),
    ],
)
def test_a_misused_marker_is_a_usage_error(pytester: pytest.Pytester, source: str, message: str) -> None:
    pytester.makepyfile(source)
    result = pytester.runpytest_subprocess("--calico-mode=bgp")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_bad_ini_value_is_a_usage_error_when_only_a_fixture_is_used(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ncalico_mode = bpg\n")
    pytester.makepyfile("def test_it(calico_cluster): ...")
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: calico-perf: ini value calico_mode: unknown name 'bpg', *"])


def test_marks_of_module_and_function_hold_together(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.calico(path="pod-to-pod")

        @pytest.mark.calico(probe="ping")
        def test_it(calico_cell): ...
        """
    )
    result = pytester.runpytest_subprocess("--calico-mode=bgp", "--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "test_marks_of_module_and_function_hold_together.py::test_it[pod-to-pod-bgp]"
    ]


def test_a_test_without_a_cell_is_deselected_whatever_else_it_is_parametrized_by(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.calico(probe="ping", mode="vxlan")
        @pytest.mark.parametrize("x", [1, 2])
        def test_it(calico_cell, x): ...
        """
    )
    result = pytester.runpytest_subprocess("--calico-mode=bgp")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.assert_outcomes(deselected=2)
