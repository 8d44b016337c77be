"""Credential plugins: asked again, quoted when they fail, given up when they hang."""

from __future__ import annotations

import json
import logging
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.errors import ApiProblem
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.logins import kubeconfig, refusal
from tests.kubernetes.transport import alive, endpoint_of, until

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def fake(fake_with_tools: FakeApi) -> FakeApi:
    return fake_with_tools


def plugin(folder: Path, script: str) -> dict[str, Any]:
    """A credential plugin's entry in a kubeconfig."""
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(stat.S_IRWXU)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}}


def hangs(problem: ApiProblem, path: Path, seconds: float) -> bool:
    """Whether it says that the plugin did, which, and what to do."""
    return (
        f"the credential plugin {path.parent / 'plugin'} did not answer within {seconds:g} s" in problem.what
        and problem.where == str(path)
        and "log in again" in problem.remedy
        and "kubectl --context current get nodes" in problem.remedy
    )


@pytest.mark.parametrize("wait", ["exec sleep 600", "sleep 600; echo late", "trap '' TERM; sleep 600 & wait"])
def test_a_credential_plugin_that_hangs_is_given_up_and_ended(
    fake: FakeApi,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    wait: str,
) -> None:
    user = plugin(tmp_path, f'echo $$ >>"{tmp_path}/pids"\n{wait}')
    path = kubeconfig(tmp_path, user=user, server=fake.url)
    threads = set(threading.enumerate())
    api = Api(Access(kubeconfig=str(path), context="current", plugin_seconds=1))
    with caplog.at_level(logging.DEBUG), pytest.raises(ApiProblem) as problem:
        api.list(PODS)
    api.close()
    assert hangs(problem.value, path, 1)
    assert (caplog.records, capfd.readouterr(), fake.requests) == ([], ("", ""), [])
    until(lambda: not any(map(alive, map(int, (tmp_path / "pids").read_text().split()))))
    until(lambda: not set(threading.enumerate()) - threads)  # no child of it holds its pipes either


def test_a_credential_plugin_that_hangs_is_not_waited_for_by_one_after_the_other(
    fake: FakeApi, tmp_path: Path
) -> None:
    user = plugin(tmp_path, f'echo asked >>"{tmp_path}/log"\nexec sleep 600')
    path = kubeconfig(tmp_path, user=user, server=fake.url)
    access = Access(kubeconfig=str(path), context="current", plugin_seconds=3)
    api = Api(access)

    def ask(_: int) -> ApiProblem:
        with pytest.raises(ApiProblem) as problem:
            api.list(PODS)
        return problem.value

    with ThreadPoolExecutor(4) as pool:
        problems = list(pool.map(ask, range(4)))
    assert all(hangs(each, path, 3) for each in problems)
    assert (tmp_path / "log").read_text() == "asked\n"
    # Whoever has logged in meanwhile is let in, in the end.
    plugin(tmp_path, f"echo '{credential(token=fake.token)}'")
    until(lambda: reaches(access))
    api.close()


def reaches(access: Access) -> bool:
    try:
        return bool(access.configuration().api_key)
    except ApiProblem:
        return False


def test_a_plugin_that_is_waited_for_does_not_outlive_an_interrupt(tmp_path: Path) -> None:
    user = plugin(tmp_path, f'echo $$ >>"{tmp_path}/pids"\nexec sleep 600')
    path = kubeconfig(tmp_path, user=user, server="http://127.0.0.1:1")
    script = "import sys; from pytest_calico_perf.cluster.kubernetes.access import Access; "
    script += "Access(kubeconfig=sys.argv[1]).client()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        until((tmp_path / "pids").exists)
        until((tmp_path / "pids").read_text)
        child.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in child.communicate(timeout=30)[1]
    until(lambda: not alive(int((tmp_path / "pids").read_text())))


def credential(**fields: str) -> str:
    return json.dumps(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": fields}
    )


def test_a_credential_plugin_is_asked_again_when_its_token_expired(fake: FakeApi, tmp_path: Path) -> None:
    said = tmp_path / "credential"
    user = plugin(tmp_path, f'echo asked >>"{tmp_path}/log"\ncat "{said}"')
    said.write_text(credential(token=fake.token, expirationTimestamp="2099-01-01T00:00:00Z"))
    api = Api(Access(kubeconfig=str(kubeconfig(tmp_path, user=user, server=fake.url))))
    tools = endpoint_of(api, tmp_path)
    assert (api.version(), tools.run(["true"], limit=5).exit_code)[1] == 0
    assert (tmp_path / "log").read_text() == "asked\n"
    said.write_text(credential(token=fake.expire_token()))
    assert tools.run(["true"], limit=5).exit_code == 0
    assert (tmp_path / "log").read_text() == "asked\nasked\n"
    api.close()


def test_a_credential_plugin_that_fails_is_quoted_and_nothing_else_is_printed(
    fake: FakeApi, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    user = plugin(tmp_path, "echo 'sso session has ended' >&2; exit 7")
    path = kubeconfig(tmp_path, user=user, server=fake.url)
    with caplog.at_level(logging.DEBUG):
        problem = refusal(path, tmp_path)
    assert "the credential plugin failed" in problem.what
    assert "sso session has ended" in problem.what
    assert problem.where == str(path)
    assert (caplog.records, capfd.readouterr()) == ([], ("", ""))
