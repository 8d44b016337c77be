"""Looking: commands that are bounded, recorded, and that never raise for what cannot be seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, RunningCommand
from pytest_calico_perf.cluster.inspection import Look
from pytest_calico_perf.cluster.recording import shortened
from pytest_calico_perf.errors import CellProblem, ClusterProblem
from pytest_calico_perf.model import Ran

T = TypeVar("T")

_LIMIT = 8.0  # seconds for one look; ip and cat take milliseconds, a busy API server's exec does not
_LEAST = 0.5  # seconds below which a command is not worth starting
_PATIENCE = 1.0  # seconds of waiting for nothing after which an endpoint is silent; a refusal comes at once
_WORKERS = 8


class NotSeen(Exception):
    """Somebody looked and could not see: carries why, a sentence without a full stop."""


@dataclass(frozen=True)
class Question:
    """Something to be looked at beside others.

    Attributes:
        source: What the answer will be from, for people.
        ask: Looks; may raise NotSeen or what the cluster raises, and may return a Look of its own.
    """

    source: str
    ask: Callable[[], object]


class Looks:
    """Runs the commands of one diagnosis, and keeps them.

    An endpoint that was waited for in vain is not asked again: a node that went away would cost all the time.

    Args:
        deadline: Seconds all of them may take together.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._until = time.monotonic() + deadline
        self._lock = threading.Lock()
        self._ran: dict[tuple[str, tuple[str, ...]], Ran] = {}
        self._silent: dict[str, str] = {}  # endpoint -> why it cannot be asked

    @property
    def commands(self) -> tuple[Ran, ...]:
        """Every command so far, with the output of its last run."""
        with self._lock:
            return tuple(self._ran.values())

    def run(self, endpoint: Endpoint, argv: Sequence[str], *, limit: float = _LIMIT) -> CommandResult:
        """Run a command to its end, or to its limit in seconds, which is a result, too.

        Raises:
            NotSeen: The endpoint cannot be talked to, lacks the program, or no time is left.
        """
        with self._talking_to(endpoint):
            answer = endpoint.run(argv, limit=min(limit, self._left()))
        self._note(answer)
        if answer.exit_code == 127:
            raise NotSeen(f"{argv[0]} is not installed at {endpoint.name}")
        return answer

    def read(self, endpoint: Endpoint, argv: Sequence[str]) -> str:
        """What a command prints that must succeed.

        Raises:
            NotSeen: As `run`, or it failed.
        """
        answer = self.run(endpoint, argv)
        if answer.timed_out:
            raise NotSeen(f"{argv[0]} at {endpoint.name} did not end in time")
        if answer.exit_code != 0:
            raise NotSeen(f"{argv[0]} at {endpoint.name} says: {answer.last_words}")
        return answer.stdout

    @contextmanager
    def serving(self, endpoint: Endpoint, argv: Sequence[str], *, limit: float) -> Iterator[RunningCommand]:
        """A command in the background, stopped in the end.

        Raises:
            NotSeen: The endpoint cannot be talked to.
        """
        with self._talking_to(endpoint):
            server = endpoint.start(argv, limit=min(limit, self._left()))
        with server:
            yield server

    def all(self, questions: Sequence[Question]) -> list[Look[object]]:
        """Ask side by side; answers come in the order of the questions."""
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="diagnosis") as executor:
            return list(executor.map(_answer, questions))

    @contextmanager
    def _talking_to(self, endpoint: Endpoint) -> Iterator[None]:
        if endpoint.name in self._silent:
            raise NotSeen(self._silent[endpoint.name])
        begun = time.monotonic()
        try:
            yield
        except (ClusterProblem, CellProblem) as problem:
            reason = f"{endpoint.name} cannot be asked: {problem.what}"
            if time.monotonic() - begun > _PATIENCE:
                self._silent[endpoint.name] = reason
            raise NotSeen(reason) from None

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left < _LEAST:
            raise NotSeen(f"the diagnosis ran out of its {self._deadline:.0f} s")
        return left

    def _note(self, answer: CommandResult) -> None:
        key = (answer.endpoint, answer.argv)
        output = shortened("\n".join(part for part in (answer.stdout, answer.stderr) if part))
        with self._lock:
            before = self._ran.get(key)
            ran = Ran(answer.endpoint, answer.argv, answer.exit_code, answer.seconds, output)
            self._ran[key] = replace(ran, times=before.times + 1) if before else ran


def _answer(question: Question) -> Look[object]:
    try:
        answer = question.ask()
        if not isinstance(answer, Look):
            return Look(answer, question.source)
        why_not = "" if answer.value is not None else answer.why_not or "nobody could look"
        return replace(answer, why_not=why_not)
    except NotSeen as reason:
        return Look(None, question.source, str(reason))
    except (ClusterProblem, CellProblem) as problem:
        return Look(None, question.source, problem.what)
