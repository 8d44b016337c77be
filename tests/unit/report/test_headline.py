"""The sentence a run comes down to: what it claims, and what it must not."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.examination import pairs_of
from pytest_calico_perf.model import LOOK_PROBE, Cell, Mode, Outcome, Path, Ratio, RunRecord, Verdict
from pytest_calico_perf.report.headline import Tone, headline
from pytest_calico_perf.report.words import listed, ratio_numbers, ratio_words, shortened
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


def of_rounds(modes: Sequence[Mode], factors: Mapping[Mode, Sequence[float]]) -> RunRecord:
    """TCP pod-to-pod whose rounds are these multiples of 1 Gbit/s."""
    results = [
        samples.failed("tcp", Path.POD_TO_POD, mode, Outcome.OK, "", [f * 1e9 for f in factors[mode]])
        for mode in modes
    ]
    return samples.record(modes=tuple(modes), results=results)


def test_noise_is_no_difference_told_in_the_direction_of_the_table():
    even = {Mode.IPIP: (9, 12, 10, 11), Mode.BGP: (11, 10, 12, 9.5)}
    assert said(of_rounds(TWO, even)).startswith(
        "No difference shown between IPIP and BGP pod-to-pod in throughput: BGP 1.01 times IPIP (95 %: 0.73 to 1.41);"
    )
    assert said(of_rounds(TWO[::-1], even)).startswith(
        "No difference shown between BGP and IPIP pod-to-pod in throughput: IPIP 0.99 times BGP (95 %: 0.71 to 1.37);"
    )


def test_what_shows_no_difference_is_named():
    text = said(samples.record(modes=TWO, probes=("tcp", "ping"), rounds=1))
    assert "differ pod-to-pod in throughput; too few rounds" in text
    assert "differ pod-to-pod in round-trip time;" in text


def test_too_few_rounds_are_told_without_a_figure():
    modes = (Mode.BGP, Mode.IPIP, Mode.VXLAN)
    wild = of_rounds(modes, {Mode.BGP: (1, 9, 2), Mode.IPIP: (8, 1, 3), Mode.VXLAN: (2, 5, 1)})
    for record in (samples.record(probes=("tcp",), rounds=1), wild):
        text = said(record)
        assert text.startswith(
            "Too few rounds to say whether BGP, IPIP and VXLAN differ pod-to-pod in throughput;"
        )
        assert " times " not in text


def test_a_difference_of_unknown_size_is_told_without_its_size():
    modes = (Mode.BGP, Mode.IPIP)
    text = said(of_rounds(modes, {Mode.BGP: (2, 40, 3, 90), Mode.IPIP: (1, 1, 1, 1)}))
    assert text.startswith("Too few rounds to say whether BGP and IPIP differ pod-to-pod in throughput;")
    shown = said(of_rounds(modes, {Mode.BGP: (3, 9, 30, 60, 9), Mode.IPIP: (1, 1, 1, 1, 1)}))
    assert shown.startswith("BGP is shown to move more than IPIP pod-to-pod, too few rounds to say how much;")


def test_who_is_behind_is_told_before_who_is_not_told_apart():
    modes = (Mode.BGP, Mode.IPIP, Mode.VXLAN)
    even = {Mode.BGP: (10, 10.1, 9.9), Mode.IPIP: (10.2, 9.9, 10.1), Mode.VXLAN: (5, 5.1, 4.9)}
    text = said(of_rounds(modes, even))
    assert re.match(
        r"BGP moves 2\.\d+ times what VXLAN moves pod-to-pod \(95 %: [^)]*\); "
        r"no difference shown between BGP and IPIP: IPIP 1\.\d+ times BGP \(95 %: 0\.",
        text,
    ), text


def test_what_is_bad_follows_at_once_and_leads_where_nobody_is_ahead():
    record = samples.record(modes=TWO, probes=("tcp", "ping"))
    dead = samples.failed("http", Path.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, "since")
    ahead = headline(dataclasses.replace(record, results=(*record.results, dead))).clauses
    assert [clause.tone for clause in ahead[:3]] == [Tone.PLAIN, Tone.BAD, Tone.PLAIN]
    even = samples.record(modes=TWO, probes=("tcp",), noise=0.9)
    undecided = headline(dataclasses.replace(even, results=(*even.results, dead))).clauses
    assert undecided[0].text == "1 path is dead: pod-to-pod in BGP"


def test_what_the_run_does_not_say_comes_last_and_quietly():
    clauses = headline(samples.record(interrupted=True)).clauses
    assert [clause.quiet for clause in clauses] == [False] * (len(clauses) - 1) + [True]
    assert clauses[-1].text == "not compared with an earlier run"


def looked(*outcomes: Outcome) -> RunRecord:
    """A record of --calico-diagnose."""
    results = [
        dataclasses.replace(
            samples.failed("tcp", path, Mode.BGP, outcome, "since" if outcome is not Outcome.OK else ""),
            cell=Cell(LOOK_PROBE, path, Mode.BGP),
        )
        for path, outcome in zip(samples.SHARE, outcomes, strict=False)
    ]
    return samples.record(modes=(Mode.BGP,), results=results)


@pytest.mark.parametrize(
    ("outcomes", "text", "tone"),
    [
        ((Outcome.OK,), "1 of 1 path carries payload.", Tone.GOOD),
        ((Outcome.OK, Outcome.OK), "2 of 2 paths carry payload.", Tone.GOOD),
        (
            (Outcome.OK, Outcome.OK, Outcome.UNREACHABLE),
            "1 of 3 paths is dead: pod-to-pod in BGP; 2 of 3 paths carry payload.",
            Tone.BAD,
        ),
        (
            (Outcome.WRONG_PATH, Outcome.TOOL_ERROR),
            (
                "1 of 2 paths is not the mode's: host-to-pod in BGP; "
                "1 of 2 paths could not be looked at: pod-to-host in BGP; 0 of 2 paths carry payload."
            ),
            Tone.BAD,
        ),
    ],
)
def test_paths_that_were_only_looked_at_are_counted(outcomes, text, tone):
    found = headline(looked(*outcomes))
    assert (found.sentence, found.tone) == (text, tone)


def test_the_probe_of_a_look_is_known_by_its_name():
    measured = [Cell("ping", Path.POD_TO_POD, Mode.BGP), Cell("tcp", Path.POD_TO_POD, Mode.BGP)]
    assert [pair.probe for pair in pairs_of(measured)] == [LOOK_PROBE]


def test_a_run_that_only_explained_is_no_failure():
    found = headline(samples.record(results=[], command=("pytest", "--calico-explain")))
    assert found.sentence == "Only explanations were asked for: nothing was to be measured."
    assert found.tone is Tone.PLAIN


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
    assert "; the run was cut short; " in said(samples.record(interrupted=True))


def test_the_worst_clause_gives_the_tone():
    assert headline(samples.record()).tone is Tone.PLAIN
    assert headline(with_failures()).tone is Tone.BAD


@pytest.mark.parametrize("outcome", list(Outcome))
def test_any_outcome_of_all_cells_has_a_sentence(outcome):
    failed = [samples.failed("tcp", Path.POD_TO_POD, mode, outcome, "since") for mode in TWO]
    text = said(samples.record(modes=TWO, results=failed))
    assert text[0].isupper() or text[0].isdigit()
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


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("one  two\nthree", "one two three"),
        ("one two, three four", "one two ..."),
        ("x" * 30, "x" * 13 + " ..."),
    ],
)
def test_what_is_too_long_is_cut_behind_a_word(words, shown):
    assert shortened(words, 13) == shown
