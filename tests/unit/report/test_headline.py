"""The sentence a run comes down to: what it claims, and what it must not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.model import Mode, Outcome, Path, Ratio, RunRecord, Verdict
from pytest_calico_perf.report.headline import Tone, headline
from pytest_calico_perf.report.words import listed, ratio_numbers, ratio_words
from tests.unit.report import samples
from tests.unit.report.test_terminal import with_failures

TWO = (Mode.IPIP, Mode.BGP)


def said(record: RunRecord) -> str:
    return headline(record).sentence


def judged(record: RunRecord, outcome: Outcome, source: str, number: int = 2) -> RunRecord:
    """The same with a verdict on one cell."""
    results = list(record.results)
    verdict = Verdict("a rule", source, outcome, "since")
    results[number] = dataclasses.replace(results[number], outcome=outcome, verdicts=(verdict,))
    return dataclasses.replace(record, results=tuple(results))


def test_the_mode_ahead_and_by_how_much_with_the_interval():
    text = said(samples.record(modes=TWO, probes=("tcp",)))
    assert text.startswith("BGP moves 1.")
    assert " times what IPIP moves pod-to-pod (95 %: 1." in text


def test_the_order_of_modes_changes_the_base_and_not_the_winner():
    for modes in (TWO, TWO[::-1]):
        assert said(samples.record(modes=modes, probes=("tcp",))).startswith("BGP moves 1.")


def test_of_times_the_shorter_is_ahead():
    assert said(samples.record(modes=TWO, probes=("ping",))).startswith("A round trip takes BGP 0.")


@pytest.mark.parametrize(
    ("probe", "words"),
    [("http", "answers 1.5"), ("connect", "opens 1.4")],
)
def test_every_unit_has_its_verb(probe, words):
    assert words in said(samples.record(modes=TWO, probes=(probe,)))


def test_throughput_speaks_before_latency_whatever_was_measured_first():
    clauses = headline(samples.record(probes=("ping", "http", "tcp"))).clauses
    assert "moves" in clauses[0].text
    assert "round trip" in clauses[1].text


def test_noise_is_no_difference():
    text = said(samples.record(modes=TWO, probes=("tcp",), noise=0.9))
    assert "is not shown to move more than" in text
    assert " moves " not in text


def test_one_round_shows_no_difference():
    text = said(samples.record(probes=("tcp",), rounds=1))
    assert text.startswith("BGP is not shown to move more than IPIP or VXLAN pod-to-pod: 1.5")
    assert "(one round, no interval)" in text


def test_a_single_mode_is_told_by_its_value_and_its_share_of_the_hosts():
    text = said(samples.record(modes=(Mode.VXLAN,), probes=("tcp",)))
    assert text.startswith("VXLAN pod-to-pod: 1")
    assert " Gbit/s (" in text
    assert "of host-to-host" in text


def test_hosts_alone_are_told_without_a_mode():
    assert said(samples.record(probes=("tcp",), paths=(), modes=())).startswith("Host-to-host: 1")


def test_a_dead_path_is_named_and_part_of_no_comparison():
    text = said(with_failures())
    assert "1 path is dead: pod-to-pod in VXLAN" in text
    assert "what VXLAN moves" not in text


def test_a_value_of_the_wrong_path_is_compared_with_nothing():
    record = samples.record(modes=TWO, probes=("tcp",))
    results = tuple(
        dataclasses.replace(r, outcome=Outcome.WRONG_PATH, samples=(), rounds=(), wrong_samples=r.samples)
        if r.cell.mode is Mode.IPIP
        else r
        for r in record.results
    )
    text = said(dataclasses.replace(record, results=results))
    assert " times " not in text
    assert "4 paths were not the mode's" in text


@pytest.mark.parametrize(
    ("outcome", "source", "words", "tone"),
    [
        (Outcome.OK, "--calico-baseline", "nothing regressed", Tone.GOOD),
        (Outcome.REGRESSED, "--calico-baseline", "tcp host-to-pod in BGP regressed", Tone.BAD),
        (Outcome.SLOW, "prod.yaml:3", "tcp host-to-pod in BGP is too slow", Tone.BAD),
        (Outcome.INCONCLUSIVE, "prod.yaml:3", "tcp host-to-pod in BGP is too noisy to judge", Tone.DOUBT),
        (Outcome.OK, "prod.yaml:3", "everything demanded is met", Tone.GOOD),
    ],
)
def test_verdicts_are_told(outcome, source, words, tone):
    found = headline(judged(samples.record(modes=TWO, probes=("tcp",)), outcome, source))
    [clause] = [clause for clause in found.clauses if clause.text == words]
    assert clause.tone is tone


def test_nothing_is_said_to_have_regressed_or_not_where_nothing_was_compared():
    text = said(samples.record())
    assert "not compared with an earlier run" in text
    assert "regressed" not in text
    undecided = said(judged(samples.record(probes=("tcp",)), Outcome.INCONCLUSIVE, "--calico-baseline"))
    assert "regressed" not in undecided


def test_a_run_that_measured_nothing_says_why():
    found = headline(samples.record(results=[], problem="no  BIRD\nhere"))
    assert (found.sentence, found.tone) == ("Nothing could be measured: no BIRD here.", Tone.BAD)
    assert said(samples.record(results=[])) == "No cell was measured."
    assert len(said(samples.record(results=[], problem="x" * 5000))) < 400


def test_a_run_cut_short_says_so():
    assert said(samples.record(interrupted=True)).endswith("; the run was cut short.")


def test_the_worst_clause_gives_the_tone():
    assert headline(samples.record()).tone is Tone.PLAIN
    assert headline(with_failures()).tone is Tone.BAD


@pytest.mark.parametrize("outcome", list(Outcome))
def test_any_outcome_of_all_cells_has_a_sentence(outcome):
    failed = [samples.failed("tcp", Path.POD_TO_POD, mode, outcome, "since") for mode in TWO]
    text = said(samples.record(modes=TWO, results=failed))
    assert text[0].isupper()
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (Ratio(1.503, 1.441, 1.568, 10), "1.50 (95 %: 1.44 to 1.57)"),
        (Ratio(1.0512, 1.0008, 1.104, 10), "1.051 (95 %: 1.001 to 1.104)"),  # excludes 1, and shows it
        (Ratio(1.5, 0.9, 2.4, 10), "1.5 (95 %: 0.9 to 2.4)"),
        (Ratio(0.9871, 0.9861, 0.9881, 10), "0.987 (95 %: 0.986 to 0.988)"),
        (Ratio(2.0, None, None, 1), "2.00 (one round, no interval)"),
        (Ratio(1.2, 1.2, 1.2, 2), "1.200 (95 %: 1.200 to 1.200)"),
    ],
)
def test_ratios_are_as_exact_as_their_interval(ratio, shown):
    assert ratio_words(ratio) == shown


@given(st.floats(1e-3, 1e3), st.floats(0, 3), st.floats(0, 3))
def test_an_interval_that_excludes_1_never_looks_as_if_it_did_not(value, down, up):
    ratio = Ratio(value, value * 2.0**-down, value * 2.0**up, 5)
    if ratio.low < 0.9999 or ratio.low > 1.0001:
        assert float(ratio_numbers(ratio)[1].strip("<>")) != 1
    if ratio.high < 0.9999 or ratio.high > 1.0001:
        assert float(ratio_numbers(ratio)[2].strip("<>")) != 1


def test_lists_read_as_people_write_them():
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
