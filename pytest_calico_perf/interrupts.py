"""SIGINT, SIGTERM and SIGHUP as Ctrl-C, and none of them lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

Hold = Callable[[], AbstractContextManager[None]]
"""Gives a context in which no signal interrupts; what came meanwhile is raised at its end."""

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns signals into KeyboardInterrupt: by default two of them end pytest without any teardown or report.

    Python raises it wherever the main thread happens to be. In a finalizer (an HTTP response that is being
    collected) it is swallowed without a word, and the run would go on: so it is also remembered, and raised
    again where `raise_lost` is called.
    """

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._pending: signal.Signals | None = None
        self._holds = 0

    def watch(self) -> None:
        """Begin; a signal that is ignored, as nohup(1) leaves SIGHUP, stays so."""
        if threading.current_thread() is not threading.main_thread():
            return  # signal(2) handlers are the main thread's
        for number in _NUMBERS:
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN:
                self._previous[number] = handler
                signal.signal(number, self._interrupt)

    def unwatch(self) -> None:
        """End, and have everything as it was."""
        while self._previous:
            signal.signal(*self._previous.popitem())

    def heard(self) -> None:
        """The interrupt arrived: it need not be raised again."""
        self._pending = None

    def raise_lost(self) -> None:
        """Raise an interrupt that nobody has heard.

        Raises:
            KeyboardInterrupt: There is one.
        """
        if self._pending is not None:
            raise KeyboardInterrupt(self._pending.name)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing interrupt what is inside, and raise afterwards what came meanwhile.

        For what must be done whole: CI systems send a second signal some seconds after the first.

        Raises:
            KeyboardInterrupt: There was one.
        """
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
        self.raise_lost()

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self._pending = signal.Signals(number)
        if self._holds:
            return
        raise KeyboardInterrupt(self._pending.name)
