"""A controller's loop: whatever happened, it looks at all there is and brings it about; many kicks may be one look."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Reconciler:
    """Calls `step` in a thread of its own after every kick, until closed.

    Attributes:
        error: What a step raised first; the loop ends with it.
    """

    def __init__(self, name: str, step: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self._step = step
        self._changed = threading.Condition()
        self._asked = 0
        self._done = 0
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def kick(self) -> None:
        """Look again."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()

    def settle(self, timeout: float) -> bool:
        """Wait in seconds until every kick so far has been looked after."""
        with self._changed:
            asked = self._asked
            return self._changed.wait_for(
                lambda: self._done >= asked or self._closed or self.error is not None, timeout
            )

    def close(self, timeout: float = 10) -> None:
        """End the loop after the step under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._asked > self._done)
                if self._closed:
                    return
                asked = self._asked
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - a controller's bug must fail its test, not end in silence
                with self._changed:
                    self.error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._done = asked
                self._changed.notify_all()
