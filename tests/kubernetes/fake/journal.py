"""What changed, in order: resource versions, the watches' memory, and the subscriptions of controllers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.kubernetes.fake.refusal import gone

Callback = Callable[[str, dict[str, Any]], None]
"""Called with ADDED, MODIFIED or DELETED and the object."""


@dataclass(frozen=True)
class Change:
    """One step of the store.

    Attributes:
        version: The resource version it made.
        type: ADDED, MODIFIED or DELETED.
        storage: Group and plural of the object.
        obj: The object after it; the last one there was, with the new version, when deleted.
        previous: The object before it; None when added.
    """

    version: int
    type: str
    storage: tuple[str, str]
    obj: dict[str, Any]
    previous: dict[str, Any] | None


class Subscription:
    """A controller's ear: calls back in a thread of its own, in order, until closed."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._queue: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._idle = threading.Condition()
        self._pending = 0
        self._closed = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fake-api-subscription", daemon=True)
        self._thread.start()

    def put(self, type_: str, obj: dict[str, Any]) -> None:
        with self._idle:
            if self._closed:
                return
            self._pending += 1
            self._queue.put((type_, obj))

    def settle(self, timeout: float) -> bool:
        """Wait in seconds until every change so far was handled; False when it takes longer."""
        with self._idle:
            return self._idle.wait_for(lambda: self._pending == 0, timeout)

    def close(self, timeout: float = 10) -> None:
        """End it: what is being handled is handled to its end, what waits is dropped."""
        with self._idle:
            self._closed = True
        self._queue.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if not self._closed:
                    self._callback(*item)
            except Exception as error:  # noqa: BLE001 - a controller's bug must fail its test, not end in silence
                self.error = self.error or error
            finally:
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()


class Journal:
    """The changes since the last compaction, and who wants to hear of the next. Used under the store's lock."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._compacted = 0
        self._subscriptions: list[Subscription] = []
        self._wakers: dict[object, Callable[[], None]] = {}
        # A real server's versions are etcd's revisions: far from zero and shared by every kind.
        self.version = 1000

    def append(
        self, type_: str, storage: tuple[str, str], obj: dict[str, Any], previous: dict[str, Any] | None
    ) -> None:
        """Record a change whose object bears the current version."""
        self._changes.append(Change(self.version, type_, storage, obj, previous))
        for subscription in self._subscriptions:
            subscription.put(type_, obj)
        for wake in list(self._wakers.values()):
            wake()

    def since(self, version: int) -> list[Change]:
        """The changes after a version.

        Raises:
            Refused: 410, it is older than what is kept.
        """
        if version < self._compacted:
            raise gone(version, self._compacted)
        start = len(self._changes)
        while start and self._changes[start - 1].version > version:
            start -= 1
        return self._changes[start:]

    def compact(self) -> None:
        """Forget every change so far: a watch from a version before the newest gets 410."""
        self._changes.clear()
        self._compacted = self.version

    def subscribe(self, callback: Callback, current: Iterable[dict[str, Any]]) -> Subscription:
        subscription = Subscription(callback)
        for obj in current:
            subscription.put("ADDED", obj)
        self._subscriptions.append(subscription)
        return subscription

    def on_change(self, key: object, wake: Callable[[], None] | None) -> None:
        """Call `wake` at every change; None ends it."""
        if wake is None:
            self._wakers.pop(key, None)
        else:
            self._wakers[key] = wake

    @property
    def subscriptions(self) -> list[Subscription]:
        return list(self._subscriptions)
