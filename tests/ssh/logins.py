"""What tests of logging in share: how it fails, where it came from, an agent, a server that is none."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.ssh import SshHost
from pytest_calico_perf.errors import HostProblem
from tests.ssh.daemon import PASSPHRASE

Connect = Callable[..., SshHost]


def failure(connect: Connect, node: str = "node2", **changes: object) -> HostProblem:
    with pytest.raises(HostProblem) as caught:
        connect(node, **changes)
    assert node in caught.value.where
    return caught.value


def came_from(host: SshHost) -> str:
    """The address the host's sshd saw."""
    return host.run(["sh", "-c", "echo $SSH_CONNECTION"], limit=10).stdout.split()[0]


@contextmanager
def agent(folder: Path, key: Path) -> Iterator[str]:
    """An SSH agent that holds a key; ssh-add is told the passphrase as a desktop would tell it."""
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSPHRASE}\n")
    ask.chmod(0o700)
    where = str(folder / "agent.sock")
    with subprocess.Popen(["ssh-agent", "-D", "-a", where], stdout=subprocess.DEVNULL) as process:
        try:
            environment = os.environ | {
                "SSH_AUTH_SOCK": where,
                "SSH_ASKPASS": str(ask),
                "SSH_ASKPASS_REQUIRE": "force",
            }
            end = time.monotonic() + 10
            while not Path(where).exists():
                assert time.monotonic() < end
                time.sleep(0.02)
            subprocess.run(
                ["ssh-add", str(key)], env=environment, check=True, timeout=20, capture_output=True
            )
            yield where
        finally:
            process.terminate()


@contextmanager
def listener(greeting: bytes = b"") -> Iterator[int]:
    with socket.create_server(("198.18.0.1", 0)) as server:
        clients = []

        def serve() -> None:
            client, _ = server.accept()
            clients.append(client)
            client.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        for client in clients:
            client.close()
