"""What may be said on the command line about baselines."""

from __future__ import annotations

import pytest

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.gate.comparison import Tolerances
from pytest_calico_perf.gate.request import By, Decides, read_request
from pytest_calico_perf.settings import Given


def asked(**words: str):
    return read_request({
        word.replace("_", "-"): Given(text, f"--calico-{word.replace('_', '-')}") for word, text in words.items()
    })  # fmt: skip


def test_nothing_is_wanted_unless_asked_for() -> None:
    assert not asked().wanted
    assert asked(baseline="a.json").wanted
    request = asked(baseline_dir="runs", baseline_by="ratio", gate="history")
    assert (request.by, request.decides, str(request.folder)) == (By.RATIO, Decides.HISTORY, "runs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 %", Tolerances(0.03, {})),
        ("3%", Tolerances(0.03, {})),
        ("ping=10 %", Tolerances(0.05, {"ping": 0.1})),
        ("2 %,ping=10 %, tcp = 4 %", Tolerances(0.02, {"ping": 0.1, "tcp": 0.04})),
    ],
)
def test_tolerances(text, expected) -> None:
    assert asked(baseline="a.json", tolerance=text).tolerances == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"tolerance": "3"}, "has no unit"),
        ({"tolerance": "3 Gbit/s"}, "is a rate"),
        ({"tolerance": "100 %"}, "less than 100 %"),
        ({"tolerance": "pong=3 %"}, "did you mean 'ping'"),
        ({"tolerance": "=3 %"}, "unknown probe ''"),
        ({"tolerance": ""}, "is not a fraction"),
        ({"baseline_by": "median"}, "known: value, ratio"),
        ({"gate": "histroy"}, "did you mean 'history'"),
        ({"gate": "history"}, "--calico-baseline-dir"),
    ],
)
def test_what_cannot_be_is_refused_with_the_place(words, message) -> None:
    with pytest.raises(SettingProblem) as problem:
        asked(baseline="a.json", **words)
    assert message in str(problem.value)
    assert str(problem.value).startswith("--calico-")


def test_a_tolerance_without_a_baseline_is_a_mistake_in_a_command_only() -> None:
    with pytest.raises(SettingProblem, match="no baseline to compare with"):
        asked(tolerance="3 %")
    assert not read_request({"tolerance": Given("3 %", "ini value calico_tolerance")}).wanted
