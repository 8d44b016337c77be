"""Processes in a node that a test can tell from all others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.ssh.daemon import Daemon


@dataclass(frozen=True)
class Marked:
    """Commands that take for ever, and whether the node has them, or what wraps them, among its processes."""

    daemon: Daemon
    mark: str

    @property
    def sleep(self) -> list[str]:
        return ["sleep", f"900.{self.mark}"]

    @property
    def stubborn(self) -> list[str]:
        """Survives everything but SIGKILL; says `here` once it does."""
        return [
            "sh",
            "-c",
            f"trap '' TERM HUP INT; echo here; while :; do sleep 0.1; : 900.{self.mark}; done",
        ]

    @property
    def there(self) -> bool:
        """Whether any process has the mark: the command, or what wraps it."""
        return bool(self._found(f"900[.]{self.mark}"))  # the brackets keep pgrep's own wrapping from matching

    def kill(self) -> None:
        self.daemon.run("pkill", "-KILL", "-f", f"900[.]{self.mark}")

    def wait_until_asleep(self, commands: int = 1) -> None:
        """Until so many of the commands themselves run, and not only the shells that are about to start them."""
        self._wait(lambda: len(self._found(f"^sleep 900[.]{self.mark}")) >= commands, "is not asleep", 10)

    def assert_gone(self, deadline: float = 10) -> None:
        self._wait(lambda: not self.there, "is still there", deadline)

    def _found(self, pattern: str) -> list[str]:
        result = self.daemon.node.run(["pgrep", "-f", pattern], limit=10)
        assert result.exit_code in (0, 1), result.stderr
        return result.stdout.split()

    def _wait(self, condition: Callable[[], bool], otherwise: str, deadline: float) -> None:
        end = time.monotonic() + deadline
        while not condition():
            assert time.monotonic() < end, f"900.{self.mark} {otherwise}"
            time.sleep(0.02)
