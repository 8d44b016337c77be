"""Waiting for what was asked to go, without asking so often that a busy API server has more to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.leftover import Leftover
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup

_FIRST, _LONGEST, _GROWTH = 0.5, 5.0, 1.5  # seconds, seconds, factor


def await_quietly(done: Callable[[], bool], *, deadline: float) -> bool:
    """Ask again and again, ever less often, and once more at the deadline.

    Args:
        done: Whether it came true.
        deadline: Seconds.

    Returns:
        Whether it ever did.
    """
    until = time.monotonic() + deadline
    pause = _FIRST
    while not done():
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST)
    return True


def still_there(api: Api, asked: Iterable[Leftover], *, deadline: float) -> list[Leftover]:
    """Which of them have not gone after so many seconds."""
    remaining = list(asked)

    def gone() -> bool:
        remaining[:] = [each for each in remaining if _is_there(api, each)]
        return not remaining

    await_quietly(gone, deadline=deadline)
    return remaining


def _is_there(api: Api, each: Leftover) -> bool:
    try:
        there = api.find(each.resource, each.name, namespace=each.namespace)
    except ApiProblem:
        return True  # nobody knows; ask again
    return there is not None and each.uid in ("", lookup(there, "metadata", "uid"))
