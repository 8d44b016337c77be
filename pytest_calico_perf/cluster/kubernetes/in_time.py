"""Work of somebody else's that knows no deadline, given one: in a thread of its own, its processes ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_FAREWELL = 1.0  # seconds for the work to notice that its processes are gone
_SLICE = 0.1  # seconds


def in_time(work: Callable[[], T], seconds: float) -> T:
    """What `work` returns or raises, unless it takes longer than so many seconds, or we are interrupted.

    Then the processes it has started are killed, so that it can end; if it does not, its thread keeps nobody
    from leaving, and what it returns is lost.

    Raises:
        TimeoutError: It took longer.
    """
    done: Future[T] = Future()

    def go() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever asked for it is told
            done.set_exception(error)

    thread = threading.Thread(target=go, name="in time", daemon=True)
    try:
        thread.start()
        end = time.monotonic() + seconds
        while not done.done() and (left := end - time.monotonic()) > 0:
            # In slices: a signal that comes just before we fall asleep is heard when we wake up.
            wait([done], min(_SLICE, left))
        if not done.done():
            raise TimeoutError
        return done.result()
    finally:
        end = time.monotonic() + _FAREWELL
        while not done.done() and time.monotonic() < end:  # it may just be about to start one
            for process in _started_by(thread):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
            wait([done], _SLICE)


def _started_by(thread: threading.Thread) -> list[int]:
    """The processes that a thread has started and those these have, youngest last.

    Source: proc_pid_task(5), `children`; a kernel without CONFIG_PROC_CHILDREN does not tell.
    """
    found = _children(f"/proc/self/task/{thread.native_id}")
    for process in found:  # grows
        for task in _tasks(process):
            found += _children(task)
    return found


def _tasks(process: int) -> list[str]:
    try:
        return [str(task) for task in Path(f"/proc/{process}/task").iterdir()]
    except OSError:
        return []  # it has ended


def _children(task: str) -> list[int]:
    try:
        return [int(word) for word in Path(task, "children").read_text(encoding="ascii").split()]
    except OSError:
        return []
