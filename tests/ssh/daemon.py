"""A real sshd in a node, its keys, and what can be seen of it from the node."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pytest_calico_perf.cluster.base import RunningCommand
from pytest_calico_perf.cluster.lab.endpoint import LabEndpoint

PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True)
class Keys:
    """Private key files of the user: one that is let in, an encrypted one that is, and one that is not."""

    user: Path
    encrypted: Path
    stranger: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        return cls(
            make_key(folder / "user"),
            make_key(folder / "encrypted", passphrase=PASSPHRASE),
            make_key(folder / "stranger", kind="ecdsa"),
        )

    @property
    def authorized(self) -> str:
        return public(self.user) + public(self.encrypted)


def make_key(file: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    size = ["-b", "2048"] if kind == "rsa" else []
    argv = ["ssh-keygen", "-q", "-t", kind, *size, "-N", passphrase, "-C", file.name, "-f", str(file)]
    subprocess.run(argv, check=True, timeout=20)
    return file


def public(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text()


class Daemon:
    """sshd in a node of the lab, with files of its own below the node's scratch folder."""

    def __init__(self, node: LabEndpoint, keys: Keys, port: int, *lines: str) -> None:
        self.node = node
        self.address = node.address
        self.port = port
        self._folder = f"{node.scratch}/sshd-{port}"
        self._running: RunningCommand | None = None
        self.authorize(keys.authorized)
        self._configure(lines)

    def authorize(self, public_keys: str) -> None:
        self.node.write_file(f"{self._folder}/authorized_keys", public_keys)

    def _configure(self, lines: Sequence[str]) -> None:
        # Of two lines about one matter sshd takes the first.
        more = "\n".join(lines)
        self.node.write_file(
            f"{self._folder}/sshd_config",
            f"""{more}
            Port {self.port}
            ListenAddress {self.address}
            HostKey {self._folder}/host_key
            AuthorizedKeysFile {self._folder}/authorized_keys
            PidFile {self._folder}/sshd.pid
            UsePAM no
            StrictModes no
            UseDNS no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin yes
            MaxStartups 100
            """,
        )
        self.new_host_key()

    def new_host_key(self) -> None:
        """Give it another key; it has to be started (again)."""
        self.run("rm", "-f", f"{self._folder}/host_key")
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self._folder}/host_key")
        kind, key, *_ = self.run("cat", f"{self._folder}/host_key.pub").split()
        name = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        self.known_hosts_line = f"{name} {kind} {key}\n"

    def start(self) -> None:
        self.run("mkdir", "-p", "/run/sshd")  # in the lab's own /run
        self._running = self.node.start(
            ["/usr/sbin/sshd", "-D", "-e", "-f", f"{self._folder}/sshd_config"], limit=600
        )
        self._running.wait_for_output("Server listening on", deadline=10)

    def stop(self) -> None:
        if self._running:
            self._running.stop()

    def run(self, *argv: str) -> str:
        """What a command prints that must succeed, run in the node without SSH."""
        return self.node.run(argv, limit=20).check().stdout
