"""Endpoints that remember what was run at them: what a report shows, and a sceptic repeats by hand."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, EndpointPair, RunningCommand
from pytest_calico_perf.errors import CellProblem, ClusterProblem
from pytest_calico_perf.model import EndpointKind, Ran

KEPT_CHARACTERS = 4096
"""Of one command's output: the head that says what ran and the tail that says how it ended both fit."""

KEPT_COMMANDS = 24
"""Different commands of a cell; a probe runs two to eight of them, whatever its number of rounds."""

_PORT = "PORT"  # stands for any port that was given out, where commands are told apart

_Key = tuple[str, tuple[str, ...]]


def shortened(text: str, limit: int = KEPT_CHARACTERS) -> str:
    """The text, its middle left out where it is longer than `limit` characters; says how much is missing."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2], text[-(limit - limit // 2) :]
    return f"{head}\n[... {len(text) - limit} characters left out ...]\n{tail}"


class Recorder:
    """Remembers every command run at the endpoints it wraps, bounded. Safe to use from several threads.

    The same command in every round is one entry with a count, and the port that differs each time does not
    make it another one: a number that `allocate_port` gave out counts as the same wherever it stands.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ports: set[int] = set()
        self._port: re.Pattern[str] | None = None
        self._noted: dict[_Key, Ran] = {}
        self._left_out = 0

    def pair(self, pair: EndpointPair) -> EndpointPair:
        """The same two ends, watched."""
        return replace(pair, client=self.endpoint(pair.client), server=self.endpoint(pair.server))

    def endpoint(self, endpoint: Endpoint) -> Endpoint:
        """The same endpoint, watched."""
        return _Watched(endpoint, self)

    @property
    def commands(self) -> tuple[Ran, ...]:
        """What was run, in order of first use."""
        with self._lock:
            return tuple(self._noted.values())

    @property
    def left_out(self) -> int:
        """Runs of commands that were one too many to be kept."""
        with self._lock:
            return self._left_out

    # -- for the endpoints it wraps --------------------------------------------------------------

    def port_given(self, port: int) -> None:
        """A port that commands will name; it does not tell them apart."""
        with self._lock:
            self._ports.add(port)
            self._port = re.compile(rf"\b(?:{'|'.join(map(str, self._ports))})\b")

    def begun(self, endpoint: str, argv: tuple[str, ...]) -> _Key:
        """A command begins: its place among the others is settled now."""
        with self._lock:
            same = argv if self._port is None else tuple(self._port.sub(_PORT, word) for word in argv)
            key = (endpoint, same)
            if known := self._noted.get(key):
                self._noted[key] = replace(known, times=known.times + 1)
            elif len(self._noted) < KEPT_COMMANDS:
                self._noted[key] = Ran(endpoint, argv, None, 0.0, "")
            else:
                self._left_out += 1
            return key

    def ended(
        self, key: _Key, argv: tuple[str, ...], exit_code: int | None, seconds: float, output: str
    ) -> None:
        """It ended, and left this."""
        with self._lock:
            if known := self._noted.get(key):
                self._noted[key] = replace(
                    known, argv=argv, exit_code=exit_code, seconds=seconds, output=shortened(output)
                )


@dataclass(frozen=True)
class _Watched:
    """An endpoint that tells a recorder what is run at it."""

    inner: Endpoint
    recorder: Recorder = dataclasses.field(repr=False, compare=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)  # what a backend's endpoint can do besides

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def kind(self) -> EndpointKind:
        return self.inner.kind

    @property
    def node(self) -> str:
        return self.inner.node

    @property
    def address(self) -> str:
        return self.inner.address

    @property
    def own_address(self) -> str:
        return self.inner.own_address

    @property
    def scratch(self) -> str:
        return self.inner.scratch

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        words = tuple(argv)
        key = self.recorder.begun(self.name, words)
        try:
            result = self.inner.run(argv, limit=limit)
        except (CellProblem, ClusterProblem) as problem:
            self.recorder.ended(key, words, None, 0.0, str(problem))
            raise
        self.recorder.ended(key, words, result.exit_code, result.seconds, _printed(result))
        return result

    def start(self, argv: Sequence[str], *, limit: float) -> RunningCommand:
        key = self.recorder.begun(self.name, tuple(argv))
        return _WatchedCommand(self.inner.start(argv, limit=limit), self.recorder, key, tuple(argv))

    def write_file(self, path: str, text: str) -> None:
        self.inner.write_file(path, text)

    def allocate_port(self) -> int:
        port = self.inner.allocate_port()
        self.recorder.port_given(port)
        return port


class _WatchedCommand:
    """A command in the background that tells a recorder what it left, once it is over."""

    def __init__(self, inner: RunningCommand, recorder: Recorder, key: _Key, argv: tuple[str, ...]) -> None:
        self._inner = inner
        self._recorder = recorder
        self._key = key
        self._argv = argv
        self._told = False

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        self._inner.wait_for_output(text, deadline=deadline)

    @property
    def running(self) -> bool:
        return self._inner.running

    def finish(self, *, deadline: float) -> CommandResult:
        result = self._inner.finish(deadline=deadline)
        self._tell(result, stopped=result.timed_out)
        return result

    def stop(self) -> None:
        if self._told:
            self._inner.stop()
            return
        stopped = self._inner.running
        self._inner.stop()
        # It has ended, so this waits for nothing; what it cannot tell any more is not worth a failure.
        with suppress(CellProblem, ClusterProblem):
            self._tell(self._inner.finish(deadline=0), stopped=stopped)

    def _tell(self, result: CommandResult, *, stopped: bool) -> None:
        self._told = True
        code = None if stopped else result.exit_code
        self._recorder.ended(self._key, self._argv, code, result.seconds, _printed(result))

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self._inner.__exit__(*exc)


def _printed(result: CommandResult) -> str:
    return f"{result.stdout}{result.stderr}"
