"""Where the commands of an exec run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Protocol


class Runtime(Protocol):
    """A container runtime, as far as exec needs one."""

    def exec(self, namespace: str, pod: str, container: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in a running container, with pipes as its standard input, output and error.

        The server reads and waits for the process. It closes the input when the client does or is cut off, and
        kills the process when the pod is gone and when the server ends: its whole group, if it leads one.

        Raises:
            FileNotFoundError: The container has no such program.
            PermissionError: It is none.
        """
        ...


class LocalRuntime:
    """Every container is this machine: for tests of the transport alone."""

    def exec(self, namespace: str, pod: str, container: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
