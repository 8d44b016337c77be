"""docs/ci.md: its recipes are YAML, and every command in them is one that exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from pytest_calico_perf.cluster.lab.requirements import LAB_PROGRAMS, PACKAGES, PROBE_PROGRAMS
from pytest_calico_perf.options import OPTIONS
from pytest_calico_perf.settings import Given, resolve

PAGE = (Path(__file__).parents[2] / "docs/ci.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
PROD = BLOCKS[0]
GITHUB, GITLAB = (yaml.safe_load(block) for block in BLOCKS[1:])
FOREIGN = {"--html", "--self-contained-html", "--junit-xml", "--pyargs"}


def github_commands():
    return [
        command
        for job in GITHUB["jobs"].values()
        for step in job["steps"]
        for command in step.get("run", "").splitlines()
    ]


def gitlab_commands():
    return [command for job in (GITLAB["lab"], GITLAB["cluster"]) for command in job["script"]]


def measuring(commands):
    """The arguments of every pytest call."""
    calls = [shlex.split(command) for command in commands if "pytest_calico_perf.suite" in command]
    return [call[next(i for i, word in enumerate(call) if word.endswith("pytest")) + 1 :] for call in calls]


CALLS = [*measuring(github_commands()), *measuring(gitlab_commands())]


def test_both_recipes_measure_the_lab_and_a_cluster():
    assert len(CALLS) == 4
    assert [any(word.startswith("--calico-cluster") for word in call) for call in CALLS] == [False, True] * 2


@pytest.mark.parametrize("call", CALLS, ids=["github-lab", "github-cluster", "gitlab-lab", "gitlab-cluster"])
def test_every_option_exists_and_its_value_can_be_used(call, tmp_path, monkeypatch):
    known = {option.flag: option.word for option in OPTIONS}
    given = {}
    for word in call:
        flag, _, value = word.partition("=")
        if not flag.startswith("-"):
            continue
        assert flag in known or flag in FOREIGN, flag
        if flag in known:
            given[known[flag]] = Given(value or "true", flag)
    assert {"json", "summary"} <= set(given)
    monkeypatch.chdir(tmp_path)
    if "cluster" in given:
        Path("prod.yaml").write_text(PROD)
        Path("kubeconfig").write_text(KUBECONFIG)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    settings = resolve(given)
    assert settings.summary == Path("summary.md")
    assert settings.profile.adaptive


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: it
contexts: [{name: it, context: {cluster: it, user: it}}]
clusters: [{name: it, cluster: {server: "https://198.18.0.1:6443"}}]
users: [{name: it, user: {token: secret}}]
"""


def test_what_the_lab_needs_is_installed():
    needed = {PACKAGES[program] for program in (*LAB_PROGRAMS, *PROBE_PROGRAMS) if program in PACKAGES}
    essential = {"coreutils", "util-linux", "mount"}  # Debian's and Ubuntu's own base has them
    for commands in (github_commands(), gitlab_commands()):
        line = next(line for line in commands if "apt-get install" in line)
        assert needed - essential <= set(line.split())


def test_artifacts_are_what_the_commands_write_even_when_the_gate_is_shut():
    written = {"report.html", "junit.xml", "results.json", "summary.md"}
    for job in GITHUB["jobs"].values():
        (upload,) = [
            step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact")
        ]
        assert upload["if"] == "always()"
        assert set(upload["with"]["path"].split()) == written
    artifacts = GITLAB[".measure"]["artifacts"]
    assert artifacts["when"] == "always"
    assert {*artifacts["paths"], artifacts["reports"]["junit"]} == written


def test_the_folder_of_baselines_is_cached_and_only_after_success():
    (cache,) = [
        step["with"] for step in GITHUB["jobs"]["cluster"]["steps"] if "cache@" in step.get("uses", "")
    ]
    folders = {
        word.partition("=")[2] for call in CALLS for word in call if word.startswith("--calico-baseline-dir")
    }
    assert folders == {cache["path"]} == {path.rstrip("/") for path in GITLAB["cluster"]["cache"]["paths"]}
    assert cache["key"].startswith(cache["restore-keys"])
    assert GITLAB["cluster"]["cache"]["when"] == "on_success"


def test_one_job_at_a_time_measures_a_cluster():
    assert GITHUB["jobs"]["cluster"]["concurrency"] == GITLAB["cluster"]["resource_group"]
