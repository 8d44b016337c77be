"""Which server a run goes to, and with which token or password, for requests and for execs alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from kubernetes.config import incluster_config

from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api, api_of
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.clusterfile import KubernetesFile, parse
from pytest_calico_perf.errors import ApiProblem, ClusterFileProblem
from tests.kubernetes import tls
from tests.kubernetes.fake import FakeApi, LocalRuntime, running_pod
from tests.kubernetes.logins import kubeconfig, refusal, works
from tests.kubernetes.transport import endpoint_of, told

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def fake(fake_with_tools: FakeApi) -> FakeApi:
    return fake_with_tools


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
