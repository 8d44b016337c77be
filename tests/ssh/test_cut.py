"""A connection that breaks: it is noticed, told, mended once, and nothing stays on the host."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.ssh import SshHost, login
from pytest_calico_perf.errors import HostProblem, NotRestored
from tests.lab.owner import wait_until
from tests.ssh.daemon import Daemon
from tests.ssh.processes import Marked

Connect = Callable[..., SshHost]
LOST = "^node2: the SSH connection broke while sleep ran; see that the host is up"


@pytest.fixture
def marked(sshds: dict[str, Daemon]) -> Marked:
    return Marked(sshds["node2"], f"{secrets.randbelow(10**9):09}")


def cut(daemon: Daemon) -> None:
    """Kill every session of every sshd in the lab."""
    daemon.run("pkill", "-KILL", "-f", "^sshd: root@notty")


def wait_until_gone(path: str) -> None:
    end = time.monotonic() + 10
    while Path(path).exists():
        assert time.monotonic() < end, f"{path} is still there"
        time.sleep(0.02)


def test_a_cut_while_commands_run(connect: Connect, sshds: dict[str, Daemon], marked: Marked) -> None:
    host = connect()
    scratch = host.scratch
    with ThreadPoolExecutor() as executor, host.start(marked.sleep, limit=60) as server:
        waiting = [executor.submit(host.run, marked.sleep, limit=60) for _ in range(2)]
        marked.wait_until_asleep(3)
        cut(sshds["node2"])
        for future in waiting:
            with pytest.raises(HostProblem, match=LOST):
                future.result(30)
        with pytest.raises(HostProblem, match=LOST):
            server.wait_for_output("up", deadline=10)
        assert not server.running
        with pytest.raises(HostProblem, match=LOST):
            server.finish(deadline=1)
    marked.assert_gone()
    wait_until_gone(scratch)


def test_the_next_command_mends_it(connect: Connect, sshds: dict[str, Daemon]) -> None:
    host = connect()
    before = host.scratch
    cut(sshds["node2"])
    with ThreadPoolExecutor(4) as executor:
        answers = list(
            executor.map(lambda _: host.run(["sh", "-c", "echo $SSH_CONNECTION"], limit=10), range(4))
        )
    assert len({answer.check().stdout for answer in answers}) == 1
    assert host.scratch != before
    host.write_file(f"{host.scratch}/x", "x")
    wait_until_gone(before)


def test_a_host_that_is_slow_keeps_what_runs(connect: Connect, sshds: dict[str, Daemon]) -> None:
    """A new command gets another connection; to close the first would end what runs through it."""
    host = connect(deadline=1.0)
    scratch = host.scratch
    with ThreadPoolExecutor() as executor:
        waiting = executor.submit(
            host.run, ["sh", "-c", f'touch "{scratch}/x" && sleep 3 && echo done'], limit=60
        )
        wait_until(Path(scratch, "x").exists)
        sshds["node2"].run("pkill", "-STOP", "-f", "^sshd: root@notty")
        assert host.run(["echo", "at once"], limit=10).stdout == "at once\n"
        assert host.scratch != scratch
        sshds["node2"].run("pkill", "-CONT", "-f", "^sshd: root@notty")
        assert waiting.result(30).stdout == "done\n"
    assert Path(scratch).exists()
    host.close()
    assert not Path(scratch).exists()


def test_a_cut_jump_host(connect: Connect, sshds: dict[str, Daemon]) -> None:
    host = connect(jump="root@198.18.0.2")
    cut(sshds["node1"])
    assert host.run(["echo", "again"], limit=10).stdout == "again\n"


def test_a_host_that_does_not_come_back(connect: Connect, sshds: dict[str, Daemon]) -> None:
    host = connect()
    scratch = host.scratch
    sshds["node2"].stop()
    try:
        cut(sshds["node2"])
        with pytest.raises(HostProblem, match=r"^node2 \(root@198.18.0.3:2222\): no connection to"):
            host.run(["true"], limit=10)
        with pytest.raises(NotRestored, match=f"^node2: left there: {scratch} .*rm -rf {scratch}$"):
            host.close()
        host.close()
    finally:
        sshds["node2"].start()
    wait_until_gone(scratch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice silence in a second instead of half a minute."""
    monkeypatch.setattr(login, "_KEEPALIVE", 1)
    monkeypatch.setattr(login, "_UNACKNOWLEDGED", 1)


@contextmanager
def unplugged(nodes: LabCluster, node: str) -> Iterator[None]:
    """Its cable in the fabric, where this thread is."""
    subprocess.run(["ip", "link", "set", node, "down"], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "set", node, "up"], check=True, timeout=10)


@pytest.mark.usefixtures("impatient")
def test_a_pulled_cable(connect: Connect, nodes: LabCluster, marked: Marked) -> None:
    host = connect(deadline=1.0)
    scratch = host.scratch
    with ThreadPoolExecutor() as executor:
        waiting = executor.submit(host.run, marked.sleep, limit=5)
        marked.wait_until_asleep()
        with unplugged(nodes, "node2"):
            with pytest.raises(HostProblem, match=LOST):
                waiting.result(30)
            with pytest.raises(HostProblem, match=r"^node2 "):
                host.run(["true"], limit=10)
    # sshd has noticed nothing, and would not for hours: the next connection clears up.
    assert Path(scratch).exists()
    assert host.run(["echo", "again"], limit=10).stdout == "again\n"
    assert not Path(scratch).exists()
    marked.assert_gone(deadline=20)  # by its own limit
