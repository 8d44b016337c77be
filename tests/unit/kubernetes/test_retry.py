"""What is repeated, how often, and after which pauses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from pytest_calico_perf.cluster.kubernetes import retry
from pytest_calico_perf.cluster.kubernetes.refusal import Passing
from pytest_calico_perf.cluster.kubernetes.retry import pauses, persist
from pytest_calico_perf.errors import ApiProblem


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    one = Clock()
    monkeypatch.setattr(retry, "time", one)
    yield one


def failing(*problems: Exception) -> Callable[[], str]:
    """Fails so, one after the other, and then succeeds."""
    left = iter(problems)

    def attempt() -> str:
        for problem in left:
            raise problem
        return "done"

    return attempt


def test_success_is_not_repeated(clock: Clock) -> None:
    assert (persist(failing(), repeatable=True, patience=60), clock.slept) == ("done", [])


def test_pauses_double_up_to_five_seconds() -> None:
    assert list(itertools.islice(pauses(), 8)) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])


def test_what_passes_is_repeated_after_growing_pauses(clock: Clock) -> None:
    attempt = failing(*(Passing("busy") for _ in range(3)))
    assert persist(attempt, repeatable=True, patience=60) == "done"
    assert clock.slept == pytest.approx([0.1, 0.2, 0.4])


def test_the_pause_asked_for_is_kept(clock: Clock) -> None:
    assert persist(failing(Passing("busy", pause=7)), repeatable=True, patience=60) == "done"
    assert clock.slept == [7]


def test_what_stays_is_final(clock: Clock) -> None:
    with pytest.raises(ApiProblem, match="no"):
        persist(failing(ApiProblem("no")), repeatable=True, patience=60)
    assert clock.slept == []


def test_what_may_have_happened_is_not_repeated(clock: Clock) -> None:
    with pytest.raises(Passing) as problem:
        persist(failing(Passing("broke")), repeatable=False, patience=60)
    assert (clock.slept, "whether it happened" in problem.value.remedy) == ([], True)


def test_what_surely_did_not_happen_is_repeated(clock: Clock) -> None:
    assert persist(failing(Passing("busy", harmless=True)), repeatable=False, patience=60) == "done"


def test_patience_ends_and_says_how_long_it_lasted(clock: Clock) -> None:
    attempt = failing(*(Passing("busy") for _ in range(99)))
    with pytest.raises(Passing, match=r"busy \(9 times in 16 s\)"):
        persist(attempt, repeatable=True, patience=20)
    assert clock.now <= 20


def test_a_pause_beyond_patience_is_not_begun(clock: Clock) -> None:
    with pytest.raises(Passing):
        persist(failing(Passing("busy", pause=30)), repeatable=True, patience=20)
    assert clock.slept == []
