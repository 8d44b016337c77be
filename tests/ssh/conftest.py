"""sshd in nodes of the lab, and this process put where an administrator's machine would be: in their network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.cluster.ssh import SshHost
from pytest_calico_perf.model import Mode
from tests.lab.labs import lab
from tests.ssh.accounts import make_accounts
from tests.ssh.daemon import Daemon, Keys
from tests.ssh.netns import inside


@pytest.fixture(scope="module")
def nodes() -> Iterator[LabCluster]:
    with LabCluster(lab("lab"), (Mode.BGP,)) as cluster:
        make_accounts(cluster.host("node1"))
        yield cluster


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def sshds(nodes: LabCluster, keys: Keys) -> Iterator[dict[str, Daemon]]:
    """One in each node: node1's and node3's at port 22, node2's at another."""
    assert shutil.which("sshd", path="/usr/sbin"), "install openssh-server"
    ports = {"node1": 22, "node2": 2222, "node3": 22}
    daemons = {node: Daemon(nodes.host(node), keys, port) for node, port in ports.items()}
    try:
        for daemon in daemons.values():
            daemon.start()
        yield daemons
    finally:
        for daemon in daemons.values():
            daemon.stop()


@pytest.fixture(autouse=True)
def _among_the_nodes(nodes: LabCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """In the nodes' network, with a home of the test's own and no agent."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with inside(nodes.sandbox, FABRIC):
        yield


@pytest.fixture
def known_hosts(sshds: dict[str, Daemon], tmp_path: Path) -> Path:
    file = tmp_path / "known hosts"  # nothing may fall over a space
    file.write_text("".join(daemon.known_hosts_line for daemon in sshds.values()))
    return file


@pytest.fixture
def connect(sshds: dict[str, Daemon], keys: Keys, known_hosts: Path) -> Iterator[Callable[..., SshHost]]:
    """Connect to a node as a test wishes, in every other respect as it should be; closed at the end."""
    opened: list[SshHost] = []

    def connect(node: str = "node2", **changes: object) -> SshHost:
        daemon = sshds[node]
        settings = {
            "address": daemon.address,
            "user": "root",
            "port": daemon.port,
            "key": keys.user,
            "known_hosts": known_hosts,
            "config": Path("/dev/null"),
            "deadline": 5.0,
        } | changes
        opened.append(SshHost.connect(node, **settings))
        return opened[-1]

    yield connect
    for host in opened:
        host.close()


@pytest.fixture
def host(connect: Callable[..., SshHost]) -> SshHost:
    return connect()
