"""Watches: a chunked answer of JSON lines, from a resource version on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.kubernetes.fake import selectors
from tests.kubernetes.fake.faults import Cut, Gone
from tests.kubernetes.fake.journal import Change
from tests.kubernetes.fake.kinds import Kind
from tests.kubernetes.fake.refusal import Refused, gone
from tests.kubernetes.fake.store import Store

Event = tuple[str, dict[str, Any]]
# The server's own limit is 30 to 60 minutes; a test's watch is told its seconds.
_LONGEST = 1800.0


@dataclass(frozen=True)
class Watched:
    """What a watch is about."""

    kind: Kind
    namespace: str
    labels: str
    fields: str

    def event(self, change: Change) -> Event | None:
        """The change as this watch sees it: an object that stops to match is DELETED to it."""
        if change.storage != self.kind.storage:
            return None
        was = change.previous is not None and self._matches(change.previous)
        matches = change.type != "DELETED" and self._matches(change.obj)
        type_ = {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}.get(
            (was, matches)
        )
        return (type_, self.kind.view(change.obj)) if type_ else None

    def _matches(self, obj: dict[str, Any]) -> bool:
        tests = (selectors.by_labels(self.labels), selectors.by_fields(self.fields, self.kind.plural))
        here = not self.namespace or obj["metadata"].get("namespace") == self.namespace
        return here and all(test(obj) for test in tests)


async def watch(
    request: web.BaseRequest,
    store: Store,
    watched: Watched,
    fault: Gone | Cut | None,
    abort: Callable[[], None],
) -> web.StreamResponse:
    """Answer with the events until the time is up, the client is gone or the server ends.

    Raises:
        Refused: 400 for a version that is none or a selector that cannot be read.
    """
    selectors.by_labels(watched.labels)
    selectors.by_fields(watched.fields, watched.kind.plural)
    start = _start(request.query.get("resourceVersion", ""))
    seconds = float(request.query.get("timeoutSeconds") or _LONGEST)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    if isinstance(fault, Gone):
        await _send(response, ("ERROR", gone(start or 1, store.journal.version).status()))
        return response
    left = fault.after_events if fault else None
    limit = fault.after_seconds if fault and fault.after_seconds is not None else seconds
    try:
        async with asyncio.timeout(min(limit, seconds)):
            async for event in _events(store, watched, start):
                if left is not None:
                    if left == 0:
                        abort()
                        return response
                    left -= 1
                await _send(response, event)
                if event[0] == "ERROR":
                    return response
    except TimeoutError:
        if fault and fault.after_seconds is not None:
            abort()
    except ConnectionError:
        pass
    return response


def _start(version: str) -> int | None:
    """The version to start after; None for the state there is, told as ADDED."""
    if version in ("", "0"):
        return None
    if not version.isdigit():
        raise Refused(
            400, f'Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        )
    return int(version)


async def _events(store: Store, watched: Watched, start: int | None) -> AsyncIterator[Event]:
    loop, news, key = asyncio.get_running_loop(), asyncio.Event(), object()
    kind = watched.kind
    with store.lock:
        store.journal.on_change(key, lambda: _wake(loop, news))
        if start is None:
            resource = (kind.group, kind.version, kind.plural)
            current = store.list(
                resource, namespace=watched.namespace, labels=watched.labels, fields=watched.fields
            )
            version = store.journal.version
        else:
            current, version = [], start
    try:
        for obj in current:
            yield "ADDED", obj
        while True:
            news.clear()
            try:
                with store.lock:
                    changes = store.journal.since(version)
            except Refused as refused:
                yield "ERROR", refused.status()
                return
            for change in changes:
                version = change.version
                if event := watched.event(change):
                    yield event
            if not changes:
                await news.wait()
    finally:
        with store.lock:
            store.journal.on_change(key, None)


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(news.set)


async def _send(response: web.StreamResponse, event: Event) -> None:
    await response.write(json.dumps({"type": event[0], "object": event[1]}).encode() + b"\n")
