"""Every way to a server and every kind of credentials, for requests and for execs alike."""

from __future__ import annotations

import json
import logging
import re
import signal
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import incluster_config

from pytest_calico_perf.cluster.kubernetes import wire
from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api, api_of
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.clusterfile import KubernetesFile, parse
from pytest_calico_perf.errors import ApiProblem, ClusterFileProblem
from tests.kubernetes import tls
from tests.kubernetes.fake import FakeApi, LocalRuntime, running_pod
from tests.kubernetes.transport import alive, endpoint_of, told, until


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi(LocalRuntime()) as server:
        server.store.create(PODS, running_pod("tools"), namespace="default")
        yield server


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that is taken for a hiccup would be repeated: then a test fails late, but it fails."""
    monkeypatch.setattr(wire, "_FIRST_CONTACT", 2.0)


def kubeconfig(folder: Path, *, user: dict[str, Any], **cluster: Any) -> Path:
    path = folder / "kubeconfig"
    document = {
        "current-context": "current",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "current", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def works(path: Path, folder: Path) -> None:
    """Requests and execs get through."""
    api = Api(Access(kubeconfig=str(path)), request_seconds=5)
    try:
        assert [each["metadata"]["name"] for each in api.list(PODS)] == ["tools"]
        result = endpoint_of(api, folder).run(["echo", "hello"], limit=5)
        assert (result.exit_code, result.stdout) == (0, "hello\n")
    finally:
        api.close()


def refusal(path: Path, folder: Path) -> ApiProblem:
    """Neither gets through, for the same reason; the one of the request."""
    api = Api(Access(kubeconfig=str(path)), request_seconds=5)
    with pytest.raises(ApiProblem) as of_exec:
        endpoint_of(api, folder).run(["true"], limit=5)
    with pytest.raises(ApiProblem) as of_request:
        api.list(PODS)
    api.close()
    assert of_exec.value.status == of_request.value.status
    return of_request.value


def test_a_token_that_is_not_known_is_told_without_showing_it(fake: FakeApi, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user={"token": "wrong-and-secret"}, server=fake.url)
    problem = refusal(path, tmp_path)
    assert (problem.status, "does not accept our credentials" in problem.what) == (401, True)
    assert "wrong-and-secret" not in told(problem)


def test_the_context_asked_for_is_used(fake: FakeApi, tmp_path: Path) -> None:
    path = fake.kubeconfig(tmp_path / "kubeconfig")
    api = Api(Access(kubeconfig=str(path), context="nobody"))
    with pytest.raises(ApiProblem, match="credentials"):
        api.version()
    api.close()


def test_the_file_of_the_environment_is_used(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path / "kubeconfig")))
    access = Access()
    api = Api(access)
    assert api.version()
    assert access.server == api.server == fake.url
    api.close()


def test_a_token_file_is_read_again_when_it_expired(fake: FakeApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{fake.token}\n")
    path = kubeconfig(tmp_path, user={"tokenFile": str(token)}, server=fake.url)
    works(path, tmp_path)
    api = Api(Access(kubeconfig=str(path)))
    tools = endpoint_of(api, tmp_path)
    for _ in range(2):
        assert api.version()
        token.write_text(f"{fake.expire_token()}\n")
        assert tools.run(["true"], limit=5).exit_code == 0
        token.write_text(f"{fake.expire_token()}\n")
    assert api.apply(PODS, running_pod("new"), namespace="default")["metadata"]["uid"]
    api.close()


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


def test_of_several_files_the_current_context_is_the_one_the_check_saw(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubectl takes the first file's, the kubernetes client the last one's: another cluster."""
    with FakeApi(LocalRuntime()) as other:
        first, last = tmp_path / "first", tmp_path / "last"
        for path, server, name in ((first, fake, "here"), (last, other, "there")):
            document = yaml.safe_load(server.kubeconfig(path).read_text().replace("fake", name))
            path.write_text(yaml.safe_dump(document))
        monkeypatch.setenv("KUBECONFIG", f"{first}:{last}")
        file = parse("kind: kubernetes\nname: mine\n", "f.yaml")
        assert isinstance(file, KubernetesFile)
        file.check()
        api = api_of(file)
        assert (file.chosen_context, api.server) == ("here", fake.url)
        assert [each["metadata"]["name"] for each in api.list(PODS)] == ["tools"]
        # Nor does whoever turns to another cluster meanwhile turn the rest of the run.
        first.write_text(first.read_text().replace("current-context: here", "current-context: nobody"))
        fresh = api_of(file.model_copy(update={"context": "here"}))
        assert Access.of(file.model_copy(update={"context": "there"})).server == other.url
        assert fresh.version()
        api.close()
        assert api.version()
        assert other.requests == []
        api.close()
        fresh.close()


def test_a_context_that_is_gone_is_named_when_a_run_begins(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path / "kubeconfig")))
    file = parse("kind: kubernetes\nname: mine\ncontext: fakd\n", "f.yaml")
    assert isinstance(file, KubernetesFile)
    with pytest.raises(ClusterFileProblem, match=r"f.yaml:3: context: 'fakd' .* did you mean 'fake'"):
        api_of(file)


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


def test_basic_authentication(fake: FakeApi, tmp_path: Path) -> None:
    """The fake knows bearer tokens only: what counts is what we send, so that it refuses us by name."""
    path = kubeconfig(tmp_path, user={"username": "u", "password": "secret-word"}, server=fake.url)
    problem = refusal(path, tmp_path)
    assert problem.status == 401
    assert "secret-word" not in told(problem)


CONTEXT = "current-context: c\ncontexts: [{name: c, context: {user: u, cluster: c}}]\n"
USER = "users: [{name: u, user: {token: hunter2}}]\n"


def cluster(fields: str) -> str:
    return f"clusters: [{{name: c, cluster: {{{fields}}}}}]\n"


def user(fields: str) -> str:
    return f"users: [{{name: u, user: {{{fields}}}}}]\n"


BROKEN = {
    "YAML cut short": "users: [{name: u, user: {token: hunter2",
    "no contexts": USER,
    "user without a name": USER.replace("name", "nome") + CONTEXT + cluster("server: 'https://h:1'"),
    "context without a cluster": USER
    + "current-context: c\nclusters: []\ncontexts: [{name: c, context: {user: u, token: hunter2}}]\n",
    "server that is a number": CONTEXT + cluster("server: 7") + USER,
    "server that is no URL": CONTEXT + cluster("server: 'h:1'") + USER,
    "cluster without a server": CONTEXT + cluster("token: hunter2") + USER,
    "certificate that is no base64": CONTEXT
    + cluster("server: 'https://h:1'")
    + user("client-certificate-data: 'hunter2!'"),
    "proxy that is no URL": CONTEXT + cluster("server: 'https://h:1', proxy-url: hunter2") + USER,
    "proxy of a strange kind": CONTEXT
    + cluster("server: 'https://h:1', proxy-url: 'ftp://x:hunter2@h:1'")
    + USER,
    "authority that is not there": CONTEXT
    + cluster("server: 'https://h:1', certificate-authority: /nowhere")
    + USER,
    "OIDC without its token": CONTEXT
    + cluster("server: 'https://h:1'")
    + user("auth-provider: {name: oidc, config: {refresh-token: hunter2}}"),
    "token file that is not there": CONTEXT
    + cluster("server: 'https://h:1'")
    + user("tokenFile: /nowhere, password: hunter2"),
    "a word": "hunter2",
    "a list": "[hunter2]",
    "nothing": "",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_kubeconfig_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(ApiProblem, match="no way to the API server") as problem:
        Access(kubeconfig=str(path)).client()
    assert problem.value.where == str(path)
    assert "hunter2" not in told(problem.value)


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiProblem, match="No configuration found") as problem:
        Access(kubeconfig=str(tmp_path / "missing")).configuration()
    assert "cluster file" in problem.value.remedy


def test_a_token_no_header_may_hold_is_not_shown(fake: FakeApi, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user={"token": "secret\nword"}, server=fake.url)
    api = Api(Access(kubeconfig=str(path)))
    with pytest.raises(ApiProblem, match="malformed") as problem:
        api.list(PODS)
    assert "secret" not in told(problem.value)
    api.close()


def test_tls_with_the_clusters_own_authority(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files) as url:
        user = {"token": fake.token}
        embedded = {"certificate-authority-data": tls.data(files.ca)}
        works(kubeconfig(tmp_path, user=user, server=url, **embedded), tmp_path)
        named = {"certificate-authority": str(files.ca)}
        works(kubeconfig(tmp_path, user=user, server=url, **named), tmp_path)


def test_a_certificate_of_another_authority_is_refused(fake: FakeApi, tmp_path: Path) -> None:
    files, other = tls.authority(tmp_path / "pki"), tls.authority(tmp_path / "other")
    with tls.https(fake.url, files) as url:
        cluster = {"server": url, "certificate-authority-data": tls.data(other.ca)}
        path = kubeconfig(tmp_path, user={"token": fake.token}, **cluster)
        problem = refusal(path, tmp_path)
    assert "certificates are not what either side expects" in problem.what
    assert "CERTIFICATE_VERIFY_FAILED" in problem.what
    assert fake.requests == []


def test_a_certificate_of_another_host_is_refused_unless_its_name_is_given(
    fake: FakeApi, tmp_path: Path
) -> None:
    files = tls.authority(tmp_path / "pki", names=("kubernetes",), address="")
    with tls.https(fake.url, files) as url:
        cluster = {"server": url, "certificate-authority-data": tls.data(files.ca)}
        problem = refusal(kubeconfig(tmp_path, user={"token": fake.token}, **cluster), tmp_path)
        assert "certificate" in problem.what
        named = cluster | {"tls-server-name": "kubernetes"}
        works(kubeconfig(tmp_path, user={"token": fake.token}, **named), tmp_path)


def test_verification_that_was_switched_off_is_not_warned_of(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files) as url, warnings.catch_warnings():
        warnings.simplefilter("error")
        cluster = {"server": url, "insecure-skip-tls-verify": True}
        works(kubeconfig(tmp_path, user={"token": fake.token}, **cluster), tmp_path)


def test_client_certificates(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files, client_certificates=True) as url:
        cluster = {"server": url, "certificate-authority-data": tls.data(files.ca)}
        user = {
            "token": fake.token,  # the fake is behind the TLS, and knows tokens
            "client-certificate-data": tls.data(files.client),
            "client-key-data": tls.data(files.client_key),
        }
        works(kubeconfig(tmp_path, user=user, **cluster), tmp_path)
        without = kubeconfig(tmp_path, user={"token": fake.token}, **cluster)
        asked = len(fake.requests)
        # In TLS 1.3 the server refuses after the handshake, and its last words may get lost.
        assert re.search("certificate|TLS failed|connection broke", refusal(without, tmp_path).what)
        assert len(fake.requests) == asked


def test_a_proxy_is_used_for_requests_and_execs(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files) as url, tls.proxy(authorization="Basic bWU6c2VjcmV0") as (proxy, asked):
        cluster = {"server": url, "certificate-authority-data": tls.data(files.ca)}
        cluster |= {"proxy-url": proxy.replace("http://", "http://me:secret@")}
        works(kubeconfig(tmp_path, user={"token": fake.token}, **cluster), tmp_path)
        target = url.removeprefix("https://")
        assert [line.rpartition(" ")[0] for line in asked] == [f"CONNECT {target}"] * 2


def test_a_proxy_that_refuses_is_told_without_its_password(fake: FakeApi, tmp_path: Path) -> None:
    with tls.proxy(authorization="Basic other") as (proxy, _):
        cluster = {"server": "https://127.0.0.1:1", "proxy-url": proxy.replace("//", "//me:hush@")}
        path = kubeconfig(tmp_path, user={"token": fake.token}, **cluster)
        problem = refusal(path, tmp_path)
    assert "proxy" in problem.what
    assert "hush" not in told(problem)


def test_the_environments_proxy_spares_what_no_proxy_names(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    works(fake.kubeconfig(tmp_path / "kubeconfig"), tmp_path)


def test_in_a_pod_the_service_account_is_used(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tls.authority(tmp_path / "pki")
    token = tmp_path / "token"
    token.write_text(f"{fake.token}\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(files.ca))
    with tls.https(fake.url, files) as url:
        host, port = url.removeprefix("https://").split(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        api = Api(Access(in_cluster=True))
        assert api.version()
        token.write_text(fake.expire_token())
        assert endpoint_of(api, tmp_path).run(["true"], limit=5).exit_code == 0
        api.close()


def test_out_of_a_pod_there_is_no_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ApiProblem, match="Service host/port is not set") as problem:
        Access(in_cluster=True).configuration()
    assert problem.value.where == "the pod's service account"


def test_a_servers_url_is_shown_without_what_is_secret_in_it(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user={}, server="https://me:hush@api.example:6443/k8s/clusters/c-1")
    assert Access(kubeconfig=str(path)).server == "https://api.example:6443"
