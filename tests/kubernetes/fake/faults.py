"""What goes wrong on the wire, when a test says so.

    fake.faults.add(("GET", r"/pods"), status(429, retry_after=1), times=2)
    fake.faults.add(("GET", r"/ippools\\?.*watch=true"), gone())
    fake.faults.add(("*", r"/exec"), cut(after_bytes=1000))

The expression is searched in the path with its query as sent. A fault strikes `times` matching requests, after
letting `skip` of them pass; the first that matches strikes. `hits` counts.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """Refuse with a status of the server's, or of a proxy before it."""

    code: int
    retry_after: int | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Drop:
    """Close the connection: before the request is done, or after it without an answer; orderly or by RST."""

    done: bool = False
    reset: bool = False


@dataclass(frozen=True)
class Delay:
    """Do it late, after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Truncate:
    """Announce the whole body, send so many bytes of it, and close."""

    size: int


@dataclass(frozen=True)
class Gone:
    """A watch ends at once with an ERROR event of status 410."""


@dataclass(frozen=True)
class Cut:
    """An exec or a watch that is under way is cut without a goodbye, after so much: bytes to the client,
    seconds, or events."""

    after_bytes: int | None = None
    after_seconds: float | None = None
    after_events: int | None = None


Action = Answer | Drop | Delay | Truncate | Gone | Cut


def status(code: int, *, retry_after: int | None = None, reason: str = "", message: str = "") -> Action:
    """The server answers with this status; `retry_after` in seconds goes into the header."""
    return Answer(code, retry_after, reason, message)


def drop(*, done: bool = False) -> Action:
    """The connection is closed without an answer; with `done` the request has been done all the same."""
    return Drop(done=done)


def reset(*, done: bool = False) -> Action:
    """The connection is reset (RST); with `done` the request has been done all the same."""
    return Drop(done=done, reset=True)


def delay(seconds: float) -> Action:
    """The request is done late."""
    return Delay(seconds)


def truncate(size: int = 20) -> Action:
    """The body of the answer ends after `size` bytes."""
    return Truncate(size)


def gone() -> Action:
    """A watch's version is too old: HTTP 200, then ERROR with 410. (`status(410)` refuses it outright.)"""
    return Gone()


def cut(
    *, after_bytes: int | None = None, after_seconds: float | None = None, after_events: int | None = None
) -> Action:
    """The connection of an exec or a watch is cut under way."""
    return Cut(after_bytes, after_seconds, after_events)


@dataclass
class Fault:
    """A fault that was added; `hits` says how often it struck."""

    method: str
    path: re.Pattern[str]
    action: Action
    times: int
    skip: int = 0
    hits: int = field(default=0)

    def matches(self, method: str, target: str) -> bool:
        return self.method in ("*", method) and self.path.search(target) is not None


class Faults:
    """The faults to come. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, match: tuple[str, str], action: Action, *, times: int = 1, skip: int = 0) -> Fault:
        """Let matching requests go wrong.

        Args:
            match: HTTP method, or `*`, and a regular expression searched in path and query.
            times: How many of them.
            skip: How many pass before.
        """
        fault = Fault(match[0], re.compile(match[1]), action, times, skip)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, method: str, target: str) -> Action | None:
        """What goes wrong with this request, counted."""
        with self._lock:
            for fault in self._faults:
                if fault.hits >= fault.times or not fault.matches(method, target):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                return fault.action
        return None
