"""A ProxyCommand of ssh_config(5) as a socket.

paramiko has one too, but it never notices the command's end, spins while it waits, and leaves a zombie.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, Self

from pytest_calico_perf.errors import HostProblem
from pytest_calico_perf.parsing import last_line

_LAST_GASP = 2.0  # seconds a command may take to end once nobody talks to it


class ProxySocket(socket.socket):
    """Our end of a pair of sockets; the other end is a command's standard input and output."""

    _command: tuple[subprocess.Popen[bytes], IO[bytes]]

    @classmethod
    def start(cls, command: str) -> Self:
        """Start a command, split into words as a shell would but run by none.

        Raises:
            HostProblem: It cannot be started.
        """
        try:
            argv = [word for word in shlex.split(command) if word != "exec"]
        except ValueError as error:
            raise HostProblem(f"its ProxyCommand cannot be split into words: {error}") from None
        ours, theirs = socket.socketpair()
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the command runs
        try:
            with theirs:
                process = subprocess.Popen(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=complaints,
                    start_new_session=True,  # Ctrl-C is for us alone; we still have to clear up over it
                )
        except OSError as error:
            ours.close()
            complaints.close()
            raise HostProblem(f"its ProxyCommand {argv[0]} cannot be run: {error.strerror}") from None
        proxy = cls(fileno=ours.detach())
        proxy._command = process, complaints
        return proxy

    def last_words(self) -> str:
        """What the command complained of last."""
        _, complaints = self._command
        complaints.seek(0)
        return last_line(complaints.read().decode(errors="replace"))

    def close(self) -> None:
        """Close our end, and end the command. Idempotent."""
        super().close()
        process, _ = self._command
        for end in (None, process.terminate, process.kill):
            if end:
                end()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_GASP)
                return
