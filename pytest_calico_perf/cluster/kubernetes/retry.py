"""Repeating what failed for a reason that passes, where repeating is safe, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from pytest_calico_perf.cluster.kubernetes.refusal import Passing

T = TypeVar("T")

_FIRST = 0.1
_LONGEST = 5.0


def pauses() -> Iterator[float]:
    """Seconds to wait before each repetition: doubled each time, up to five."""
    pause = _FIRST
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST)


def persist(attempt: Callable[[], T], *, repeatable: bool, patience: float) -> T:
    """Attempt it until it succeeds or `patience` seconds have passed.

    Args:
        attempt: What to do.
        repeatable: Whether doing it twice does what doing it once does. If not, it is repeated only after
            a failure that surely had no effect.
        patience: Seconds after which the last failure is final.

    Raises:
        ApiProblem: What `attempt` raised last.
    """
    begun = time.monotonic()
    for tries, pause in enumerate(pauses(), 1):
        try:
            return attempt()
        except Passing as problem:
            if not (repeatable or problem.harmless):
                problem.remedy = problem.remedy or "see whether it happened nevertheless"
                raise
            wait = max(pause, problem.pause)
            so_far = time.monotonic() - begun
            if so_far + wait > patience:
                if tries > 1:
                    problem.what += f" ({tries} times in {so_far:.0f} s)"
                raise
        time.sleep(wait)
    raise AssertionError  # pauses never end
