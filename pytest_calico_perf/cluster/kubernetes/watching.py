"""Waiting for objects: list, then watch, and list again whenever the watch ends, for whatever reason.

Source: Kubernetes API concepts, "Efficient detection of changes". A watch may end at any time; 410 says that
what it would go on from is forgotten. Listing anew answers both, so nothing is gone on from.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from pytest_calico_perf.cluster.kubernetes.refusal import Passing
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.cluster.kubernetes.retry import pauses
from pytest_calico_perf.cluster.kubernetes.wire import Request, Wire
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup, mappings

T = TypeVar("T")

GONE = 410
_PAGE = 500
_LONGEST_WATCH = 30  # seconds, so that a connection that died without a word costs no more
_SLACK = 2.0  # seconds a server may end a watch late


def pages(wire: Wire, request: Request, *, patience: float | None = None) -> tuple[list[Json], str]:
    """All objects a list request is answered with, and their resourceVersion.

    Raises:
        ApiProblem: As `Wire.ask`.
    """
    for pause in pauses():
        try:
            return _pages(wire, request, patience)
        except ApiProblem as problem:
            if problem.status != GONE or pause > 1:  # the pages took longer than the server remembers
                raise
        time.sleep(pause)
    raise AssertionError  # pauses never end


def _pages(wire: Wire, request: Request, patience: float | None) -> tuple[list[Json], str]:
    found: list[Json] = []
    onward = ""
    while True:
        page = (("limit", str(_PAGE)), *((("continue", onward),) if onward else ()))
        answer = wire.ask(_with(request, *page), patience=patience)
        found += mappings(answer.get("items"))
        onward = str(lookup(answer, "metadata", "continue") or "")
        if not onward:
            return found, str(lookup(answer, "metadata", "resourceVersion") or "")


def wait_for(
    wire: Wire, request: Request, ready: Callable[[list[Json]], T | None], *, seconds: float
) -> T | None:
    """Call `ready` with the objects of a list request, at once and after each change, until it is content.

    Returns:
        What `ready` returned when that was not None; None after `seconds`.

    Raises:
        ApiProblem: The server refuses, or cannot be talked to in this time.
    """
    deadline = time.monotonic() + seconds
    pause = pauses()
    while True:
        left = max(0.0, deadline - time.monotonic())
        found, version = pages(wire, request, patience=left)
        result = ready(found)
        left = deadline - time.monotonic()
        if result is not None or left <= 0:
            return result
        began = time.monotonic()
        try:
            result = _watch(wire, request, ready, found, version, left=left)
        except Passing:
            pass
        except ApiProblem as problem:
            if problem.status != GONE:
                raise
        if result is not None:
            return result
        if time.monotonic() - began > 1:
            pause = pauses()  # it did watch for a while
        time.sleep(min(next(pause), max(0.0, deadline - time.monotonic())))


def _watch(
    wire: Wire,
    request: Request,
    ready: Callable[[list[Json]], T | None],
    found: list[Json],
    version: str,
    *,
    left: float,
) -> T | None:
    seconds = math.ceil(min(left, _LONGEST_WATCH))
    query = (("watch", "true"), ("resourceVersion", version), ("timeoutSeconds", str(seconds)))
    objects = {_key(each): each for each in found}
    end = time.monotonic() + left
    with wire.stream(_with(request, *query), silence=min(left, _LONGEST_WATCH) + _SLACK) as events:
        for event in events:
            kind, changed = event.get("type"), event.get("object")
            if kind == "ERROR":
                code = lookup(changed, "code")
                raise Passing(f"the watch ended: {code}", status=code if isinstance(code, int) else None)
            if not isinstance(changed, dict) or kind == "BOOKMARK":
                continue
            if kind == "DELETED":
                objects.pop(_key(changed), None)
            else:
                objects[_key(changed)] = changed
            result = ready(list(objects.values()))
            if result is not None or time.monotonic() > end:
                return result
    return None


def _key(each: Json) -> tuple[str, str]:
    return str(lookup(each, "metadata", "namespace")), str(lookup(each, "metadata", "name"))


def _with(request: Request, *query: tuple[str, str]) -> Request:
    return Request(request.method, request.path, request.action, (*request.query, *query))
