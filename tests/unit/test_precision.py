"""A precision as people write it."""

from __future__ import annotations

import pytest

from pytest_calico_perf.clusterfile import parse
from pytest_calico_perf.errors import ClusterFileProblem, SettingProblem
from pytest_calico_perf.precision import MOST_ROUNDS, looks_up_to, parse_precision
from pytest_calico_perf.profiles import BUILT_IN, find_profile
from pytest_calico_perf.settings import Given, resolve

QUICK, STANDARD, ARTICLE = BUILT_IN
FILE = """\
kind: lab
name: mine
subnets:
  - {name: rack, range: 198.18.0.0/24, nodes: 2}
pools:
  bgp: 198.19.0.0/24
"""


def resolved(tmp_path, file="", **given):
    path = tmp_path / "mine.yaml"
    path.write_text(FILE + file)
    texts = {"cluster": str(path), "mode": "bgp", **given}
    return resolve({word: Given(text, f"--calico-{word}") for word, text in texts.items()}).profile


@pytest.mark.parametrize(
    ("text", "value"), [("2%", 0.02), ("2 %", 0.02), ("0.5%", 0.005), ("0.03", 0.03), (0.02, 0.02), ("off", 0), (False, 0), (0, 0)]
)  # fmt: skip
def test_percent_or_fraction(text, value):
    assert parse_precision(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["2", "-1%", "51%", "2 ms", "fine", "nan", "inf", "", "1e999%", "9" * 999, True, None, [1]]
)
def test_what_is_no_precision_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match=r".") as caught:
        parse_precision(text)
    assert len(str(caught.value)) < 300


def test_standard_looks_early_and_the_others_do_not():
    assert STANDARD.rounds_text == "at most 10 rounds, until known to 2 %"
    assert STANDARD.describe()["precision"] == 0.02
    assert (QUICK.adaptive, ARTICLE.adaptive) == (False, False)
    assert looks_up_to(7) is None
    assert looks_up_to(8).looks == (6, 8)


def test_precision_adds_rounds_to_a_profile_whose_rounds_were_fixed(tmp_path):
    assert resolved(tmp_path, precision="2%").rounds == MOST_ROUNDS
    assert resolved(tmp_path, precision="2%", rounds="12").rounds == 12
    assert resolved(tmp_path, precision="1%", profile="standard").rounds == 10
    fixed = resolved(tmp_path, precision="off", profile="standard")
    assert (fixed.rounds, fixed.precision, fixed.rounds_text) == (10, None, "10 rounds")
    few = resolved(tmp_path, rounds="3", profile="standard")
    assert (few.rounds_text, few.describe()["precision"]) == ("3 rounds", None)


def test_precision_from_the_cluster_file(tmp_path):
    assert resolved(tmp_path, "defaults: {precision: 3%}\n").precision == pytest.approx(0.03)
    assert resolved(tmp_path, "defaults: {precision: 3%}\n", precision="off").precision is None
    own = (
        "profiles: {mine: {rounds: 20, precision: 1 %}, fixed: {precision: off}, as-standard: {rounds: 20}}\n"
    )
    assert resolved(tmp_path, own, profile="mine").precision == pytest.approx(0.01)
    assert resolved(tmp_path, own, profile="fixed").precision is None
    assert resolved(tmp_path, own, profile="as-standard").precision == pytest.approx(0.02)


def test_a_mistake_names_its_place(tmp_path):
    with pytest.raises(
        SettingProblem,
        match=r"--calico-precision: '2', that is 200 %, is no precision|--calico-precision: '2'",
    ):
        resolved(tmp_path, precision="2")
    with pytest.raises(
        SettingProblem, match=r"--calico-precision: 5 rounds at most leave no look .* 8 rounds or more"
    ):
        resolved(tmp_path, precision="2%", rounds="5")
    with pytest.raises(ClusterFileProblem, match=r"mine.yaml:8: defaults.precision: .*2 ms"):
        parse(FILE + "defaults:\n  precision: 2 ms\n", "mine.yaml")
    with pytest.raises(
        ClusterFileProblem, match=r"mine.yaml:9: profiles.x.precision: .*has no unit|is no precision"
    ):
        find_profile("x", parse(FILE + "profiles:\n  x:\n    precision: 2\n", "mine.yaml"), "test")
