"""How often chance alone makes rounds look grouped or odd, by simulation; and that real groups are found."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from pytest_calico_perf.remarks.rounds import far_from_others, gap_between_groups

CELLS = 1500
NOISES: dict[str, Callable[[random.Random, float], float]] = {
    "normal": lambda generator, size: max(1e-9, generator.gauss(1, size)),
    "uniform": lambda generator, size: generator.uniform(1 - size, 1 + size),
    "slow-tail": lambda generator, size: 1 / (1 + size * generator.expovariate(1)),
    "fast-tail": lambda generator, size: 1 + size * generator.expovariate(1),
    "lognormal": lambda generator, size: math.exp(generator.gauss(0, size)),
    "student": lambda generator, size: math.exp(size * _student(generator)),
}


def _student(generator: random.Random) -> float:
    """Student's t with three degrees of freedom."""
    return generator.gauss(0, 1) / math.sqrt(sum(generator.gauss(0, 1) ** 2 for _ in range(3)) / 3)


def flags(rule: Callable[[list[float]], int | None], noise: str, size: float, rounds: int) -> int:
    generator = random.Random(f"{noise} {size} {rounds}")
    draw = NOISES[noise]
    return sum(rule([draw(generator, size) for _ in range(rounds)]) is not None for _ in range(CELLS))


@pytest.mark.parametrize("rounds", [8, 10, 30])
@pytest.mark.parametrize("size", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("noise", NOISES)
def test_chance_makes_no_groups(noise: str, size: float, rounds: int) -> None:
    assert flags(gap_between_groups, noise, size, rounds) < 0.01 * CELLS


@pytest.mark.parametrize("rounds", [8, 10, 30])
@pytest.mark.parametrize("size", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("noise", [noise for noise in NOISES if noise != "student"])
def test_chance_makes_no_odd_round(noise: str, size: float, rounds: int) -> None:
    assert flags(far_from_others, noise, size, rounds) < 0.01 * CELLS


@pytest.mark.parametrize("rounds", [8, 10, 30])
def test_groups_that_are_there_are_found(rounds: int) -> None:
    generator = random.Random(rounds)
    found = 0
    for _ in range(200):
        lower = generator.randint(math.ceil(rounds / 3), rounds // 2)
        means = [1.0] * lower + [2.0] * (rounds - lower)
        generator.shuffle(means)
        found += gap_between_groups([mean * math.exp(generator.gauss(0, 0.03)) for mean in means]) == lower
    assert found > 190


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_an_odd_round_that_is_there_is_found(factor: float) -> None:
    generator = random.Random(3)
    for place in range(10):
        samples = [math.exp(generator.gauss(0, 0.03)) for _ in range(10)]
        samples[place] *= factor
        assert far_from_others(samples) == place


@pytest.mark.parametrize(
    "samples",
    [[1.0] * 7 + [9.0] * 0, [1, 1, 9, 9, 1, 9], [], [0.0] * 10],
    ids=["few", "six", "none", "zeros"],
)
def test_too_little_is_no_group(samples: list[float]) -> None:
    assert gap_between_groups(samples) is None
    assert far_from_others(samples) is None


def test_equal_samples_can_still_be_two_groups() -> None:
    assert gap_between_groups([1.0] * 4 + [2.0] * 4) == 4
    assert gap_between_groups([1.0] * 8) is None
