"""What every command in the background has in common: somebody follows it, others wait for what it says."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.errors import ToolProblem


class FollowedCommand(ABC):
    """A `RunningCommand` whose output and end are noted, under `_changed`, by whoever follows it.

    Args:
        argv: The command as asked for.
        endpoint: Where it runs, for messages.
    """

    def __init__(self, argv: Sequence[str], endpoint: str) -> None:
        self._argv = tuple(argv)
        self._endpoint = endpoint
        self._changed = threading.Condition()
        self._followed = False  # to its end: nothing more will be noted
        self._timed_out = False

    def follow_in_background(self) -> Self:
        """Follow it in a thread of its own."""
        threading.Thread(target=self.follow, name=f"follow {self._argv[0]}", daemon=True).start()
        return self

    @abstractmethod
    def follow(self) -> None:
        """Note what it prints, until it ends."""

    @abstractmethod
    def _said(self, wanted: bytes) -> bool:
        """Whether it has printed that."""

    @abstractmethod
    def _snapshot(self, exit_code: int) -> CommandResult:
        """What it has left so far."""

    @abstractmethod
    def result(self) -> CommandResult:
        """What it left, once it was followed to its end.

        Raises:
            ClusterProblem: Nobody knows what became of it.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it now. Idempotent."""

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        """Wait until it has printed `text` on stdout or stderr.

        Raises:
            ToolProblem: It ended before, or `deadline` seconds passed.
            ClusterProblem: As `result`.
        """
        wanted = text.encode()
        with self._changed:
            self._changed.wait_for(lambda: self._said(wanted) or self._followed, deadline)
            if self._said(wanted):
                return
            if not self._followed:
                raise ToolProblem(
                    f"{self._argv[0]} did not say {text!r} within {deadline:g} s; "
                    f"its last words: {self._snapshot(0).last_words}",
                    where=self._endpoint,
                )
        raise ToolProblem(
            f"{self._argv[0]} ended before it said {text!r}; "
            f"its last words: {self.result().check().last_words}",
            where=self._endpoint,
        )

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        with self._changed:
            return not self._followed

    def finish(self, *, deadline: float) -> CommandResult:
        """Wait up to `deadline` seconds for its end, stop it if it has none, and return what it left.

        Ending it here counts as `timed_out`, like its limit.

        Raises:
            ClusterProblem: As `result`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._followed, deadline):
                self._timed_out = True
        self.stop()
        return self.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
