"""What a cluster file names on this machine is looked at before anything is touched: credentials and keys."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.clusterfile import KubernetesFile, kubernetes, load, parse
from pytest_calico_perf.errors import ClusterFileProblem

SECRET = "s3cr3t-t0k3n"
GOOD = f"""\
apiVersion: v1
kind: Config
current-context: prod
contexts:
- {{name: prod, context: {{cluster: prod, user: ann}}}}
- {{name: staging, context: {{cluster: staging, user: robot, namespace: perf}}}}
- {{name: open, context: {{cluster: local}}}}
- {{name: bare, context: {{user: ann}}}}
- {{name: lost, context: {{cluster: gone, user: ann}}}}
- {{name: orphan, context: {{cluster: prod, user: gone}}}}
- {{name: helped, context: {{cluster: prod, user: helper}}}}
- {{name: beside, context: {{cluster: prod, user: neighbour}}}}
- {{name: urlless, context: {{cluster: urlless, user: ann}}}}
- {{name: odd, context: {{cluster: odd, user: ann}}}}
- {{name: inside, context: {{cluster: inside, user: ann}}}}
clusters:
- {{name: prod, cluster: {{server: 'https://192.0.2.1:6443', certificate-authority: pki/ca.crt}}}}
- {{name: staging, cluster: {{server: 'https://staging.example.com', certificate-authority-data: LS0t}}}}
- {{name: local, cluster: {{server: 'http://127.0.0.1:8001'}}}}
- {{name: urlless, cluster: {{insecure-skip-tls-verify: true}}}}
- {{name: odd, cluster: {{server: 'ftp://192.0.2.1'}}}}
- {{name: inside, cluster: {{server: 'https://198.19.0.1:6443'}}}}
users:
- {{name: ann, user: {{token: {SECRET}}}}}
- {{name: robot, user: {{client-certificate: robot.crt, client-key-data: LS0t}}}}
- {{name: helper, user: {{exec: {{command: no-such-auth-plugin, env: [{{name: TOKEN, value: {SECRET}}}]}}}}}}
- {{name: neighbour, user: {{exec: {{command: ./bin/login}}}}}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home to write a kubeconfig and keys into."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cluster(home: Path) -> Path:
    """A home whose kubeconfig works for its context `prod`."""
    (home / ".kube" / "pki").mkdir(parents=True)
    (home / ".kube" / "config").write_text(GOOD)
    (home / ".kube" / "pki" / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    return home


def check(text: str = "") -> None:
    file = parse("kind: kubernetes\nname: mine\n" + textwrap.dedent(text), "f.yaml")
    assert isinstance(file, KubernetesFile)
    file.check()


def problem(text: str = "") -> str:
    with pytest.raises(ClusterFileProblem) as caught:
        check(text)
    assert str(caught.value).isprintable()
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("text", ["", "context: prod", "context: open", "kubeconfig: ~/.kube/config"])
def test_what_can_be_used(text):
    check(text)


def test_a_relative_kubeconfig_starts_at_the_cluster_file(cluster, monkeypatch):
    (cluster / "clusters").mkdir()
    (cluster / "clusters" / "mine.yaml").write_text(
        "kind: kubernetes\nname: mine\nkubeconfig: ../.kube/config\n"
    )
    monkeypatch.chdir("/")
    load(str(cluster / "clusters" / "mine.yaml")).check()


def test_several_files_in_the_variable_are_one(cluster, monkeypatch):
    (cluster / "a").write_text("current-context: mine\ncontexts: [{name: prod, context: {cluster: gone}}]\n")
    (cluster / "b").write_text("contexts: [{name: mine, context: {cluster: local}}]\n")
    files = ["a", "missing", "b", ".kube/config"]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(cluster / name) for name in files))
    check()  # the current context of the first, the context of the third, the cluster of the last
    check("context: open")
    assert "context 'prod' of" in problem("context: prod")  # the first of two with one name counts
    assert "names cluster 'gone', which is not there" in problem("context: prod")


def test_the_kubernetes_client_reads_them_alike(cluster, monkeypatch):
    (cluster / "a").write_text("current-context: mine\ncontexts: [{name: prod, context: {cluster: gone}}]\n")
    (cluster / "b").write_text("contexts: [{name: mine, context: {cluster: local}}]\n")
    (cluster / ".kube" / "c").write_text(GOOD.replace("127.0.0.1:8001", "127.0.0.2:8002"))
    files = ["a", "missing", "b", ".kube/config", ".kube/c"]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(cluster / name) for name in files))
    file = parse("kind: kubernetes\nname: mine\n", "f.yaml")
    assert isinstance(file, KubernetesFile)
    file.check()
    assert file.chosen_context == "mine"
    assert Access(context=file.chosen_context).server == "http://127.0.0.1:8001"


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("context: prdo", "f.yaml:3: context: 'prdo' is not a context of {home}/.kube/config, did you mean 'prod'? known: prod, staging, "),
        ('context: "\\e[2J"', "'\\x1b[2J' is not a context of"),
        ("context: bare", "context 'bare' of {home}/.kube/config names no cluster; mend the kubeconfig"),
        ("context: lost", "names cluster 'gone', which is not there"),
        ("context: urlless", "cluster 'urlless' in {home}/.kube/config has no server's URL"),
        ("context: odd", "cluster 'odd' in {home}/.kube/config has no server's URL"),
        ("context: orphan", "names user 'gone', who is not there"),
        ("context: staging", "client-certificate of user 'robot', {home}/.kube/robot.crt, is not there"),
        ("context: helped", "user 'helper' logs in by the program 'no-such-auth-plugin', which is not installed here"),
        ("context: beside", "user 'neighbour' logs in by the program './bin/login', which is not installed here"),
        ("context: inside", "f.yaml:1: pools.range: 198.19.0.0/16 holds the address of the API server, 198.19.0.1"),
        ("kubeconfig: nowhere", "f.yaml:3: kubeconfig: {home}/nowhere is not there; give the path"),
        ("kubeconfig: .kube", "f.yaml:3: kubeconfig: {home}/.kube is not a file"),
        ("kubeconfig: ~nobody-of-this-name/config", "f.yaml:3: kubeconfig: {home}/~nobody-of-this-name/config is not there"),
        ("kubeconfig: /proc/self/mem", "f.yaml:3: kubeconfig: /proc/self/mem cannot be read: Input/output error"),
        ("kubeconfig: " + "x" * 5000, "File name too long"),
        ('kubeconfig: "a\\nb"', "'{home}/a\\nb' is not there"),
    ],
)  # fmt: skip
def test_what_cannot(text, words, home):
    assert words.format(home=home) in problem(text)


def test_a_login_program_beside_the_kubeconfig(cluster):
    (cluster / ".kube" / "bin").mkdir()
    program = cluster / ".kube" / "bin" / "login"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    check("context: beside")


@pytest.mark.parametrize(
    ("kubeconfig", "words"),
    [
        ("", "is no kubeconfig"),
        ("- a\n", "is no kubeconfig"),
        (f"token: {SECRET}\n: [", "is not YAML (line 2)"),
        (f"users: !!python/object:os.system {SECRET}\n", "is not YAML (line 1)"),
        (f"a: {SECRET}\x01\n", "is not YAML"),
        ("[" * 20000, "is not YAML"),
        ("{}\n", "holds no context"),
        ("contexts: 7\ncurrent-context: [x]\n", "holds no context"),
        ("contexts: [7, {name: [a], context: {}}, {name: a, context: 7}]\n", "holds no context"),
        ("contexts: [{name: a, context: {}}]\n", "has no current context; say which one; known: a"),
        ("current-context: b\ncontexts: [{name: ab, context: {}}]\n", "'b', its current context, is not a context of"),
        ("current-context: a\ncontexts: [{name: a, context: {cluster: 7}}]\n", "names no cluster"),
        ("contexts: [" + ", ".join(f"{{name: c{n}, context: {{}}}}" for n in range(12)) + "]", "c8, c9 and 2 more"),
    ],
)  # fmt: skip
def test_kubeconfigs_that_are_none(home, kubeconfig, words):
    (home / "config").write_text(kubeconfig)
    assert words in problem("kubeconfig: config")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "context", "contexts", "clusters", "cluster", "server", "user", "users", "exec"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_kubeconfig_ends_in_a_traceback(home, document):
    (home / "config").write_text(yaml.safe_dump({"current-context": "name", "contexts": [document]}))
    try:
        check("kubeconfig: config")
    except ClusterFileProblem as found:
        assert str(found).isprintable()


def test_a_pipe_is_not_waited_for(home):
    os.mkfifo(home / "pipe")
    assert "pipe is not a file" in problem("kubeconfig: pipe")


def test_no_kubeconfig_at_all(home, monkeypatch):
    assert problem() == (
        "f.yaml:1: kubeconfig: there is no ~/.kube/config; name a kubeconfig here or in KUBECONFIG"
    )
    monkeypatch.setenv("KUBECONFIG", str(home / "gone"))
    assert "there is none of the files in KUBECONFIG" in problem()


def test_in_a_pod(home, monkeypatch):
    monkeypatch.setattr(kubernetes, "SERVICE_ACCOUNT", home)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert (
        f"f.yaml:3: in-cluster: this is no pod with a service account: {home}/token is not there"
        in problem("in-cluster: true")
    )
    (home / "token").write_text(SECRET)
    assert "KUBERNETES_SERVICE_HOST is not set" in problem("in-cluster: true")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    check("in-cluster: true")
    file = parse("kind: kubernetes\nname: mine\nin-cluster: true\n", "f.yaml")
    assert isinstance(file, KubernetesFile)
    assert (file.chosen_context, file.kubeconfig_files) == (None, ())


SSH = "hosts: ssh\nssh:\n"


def test_ssh_files(cluster):
    check(SSH + "  user: ann\n")  # whether a host is known is seen when it is logged in to
    assert problem(SSH + "  known-hosts: known\n") == (
        f"f.yaml:5: ssh.known-hosts: {cluster}/known is not there, so no host would be trusted; log in to"
        " each host by ssh once and look at its key, or name the file that has the keys"
    )
    check(SSH + "  {known-hosts: known, strict: false}\n")
    (cluster / "known").touch()
    check(SSH + "  known-hosts: known\n")
    assert f"f.yaml:5: ssh.config: {cluster}/conf is not there" in problem(SSH + "  config: conf\n")
    check(SSH + "  config: false\n")
    assert f"f.yaml:5: ssh.key: {cluster}/id is not there" in problem(SSH + "  key: id\n")
    (cluster / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    check(SSH + "  key: id\n")
    (cluster / "id.pub").write_text("ssh-ed25519 AAAA ann@desk\n")
    assert "id.pub is a public key; give the path of the private key" in problem(SSH + "  key: id.pub\n")
