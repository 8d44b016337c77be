"""The digest for a pull request: what it says, that nothing in it acts as markup, that it fits."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_calico_perf.errors import RecordProblem
from pytest_calico_perf.model import LOOK_PROBE, Mode, Outcome, Path, Verdict
from pytest_calico_perf.report.headline import headline
from pytest_calico_perf.report.summary import MOST_BYTES, append, escape, render, sentence, write
from tests.unit.report import samples
from tests.unit.report.test_terminal import HOSTILE, with_failures

COMMAND = ("--calico-mode=bgp,ipip", "--calico-expect=bgp >= ipip * 1.0")


def hostile(reason=HOSTILE):
    results = [
        dataclasses.replace(result, outcome=Outcome.TOOL_ERROR, reason=reason)
        for result in samples.record().results
    ]
    return samples.record(results=results, cluster={"name": reason, "notes": [reason]}, problem=reason)


def test_one_sentence_says_what_came_of_it():
    record = samples.record()
    assert sentence(record) == f"All {len(record.results)} cells were measured."
    failed = sentence(with_failures())
    assert failed == (
        "5 of 39 cells failed: 1 regressed, 1 slow, 1 unreachable, 1 wrong-path, 1 tool-error; 1 inconclusive,"
        " 1 unsupported."
    )
    assert sentence(samples.record(results=[])) == "No cell was measured."
    looked_at = [samples.failed("ping", Path.POD_TO_POD, Mode.BGP, Outcome.OK, "")]
    assert sentence(samples.record(results=looked_at)) == "The cell was looked at; none is dead."
    assert sentence(samples.record(results=[], problem="no route")) == "Nothing could be measured."
    assert sentence(samples.record(interrupted=True)).endswith("; the run was cut short.")
    kept = Verdict("min: 1 Gbit/s", "here", Outcome.OK, "fine")
    judged = [dataclasses.replace(result, verdicts=(kept,)) for result in record.results[:2]]
    judged += record.results[2:]
    assert sentence(samples.record(results=judged)).endswith("cells were measured; 2 judged, all ok.")
    unsure = dataclasses.replace(record.results[0], outcome=Outcome.INCONCLUSIVE, reason="too noisy")
    assert sentence(samples.record(results=[unsure, *record.results[1:]])).endswith("failed; 1 inconclusive.")


def test_it_begins_with_what_came_of_the_run_and_strikes_through_what_counts_nowhere():
    record = with_failures()
    text = render(record, COMMAND)
    head = text.split("\n\n")[:3]
    assert head == [
        "### Calico performance",
        f"**{escape(headline(record).sentence)}**",
        escape(sentence(record)),
    ]
    assert "**wrong-path**<br>not counted: ~~10.4 (10.3 to 10.8)~~ |" in text
    broken = render(samples.record(results=[], problem="no route to <node2>"), COMMAND)
    assert broken.count("no route to &lt;node2&gt;") == 1


def test_each_probe_has_a_table_of_modes_by_paths_with_intervals_and_ratios():
    text = render(samples.record(), COMMAND)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| | host-to-pod | pod-to-host | pod-to-pod | pod-to-pod-same-node |" in rows
    ipip = next(
        row for row in rows[rows.index(next(r for r in rows if "bgp" in r)) :] if row.startswith("| ipip |")
    )
    assert ipip.count(" to ") == 4 * 3  # value, ratio to bgp, ratio to host
    assert " of bgp" in ipip
    assert " of host" in ipip
    assert "**tcp**: TCP throughput, one stream, Gbit/s, higher is better, 10 rounds" in text
    for block in text.split("\n\n"):
        columns = {line.count("|") for line in block.splitlines() if line.startswith("|")}
        assert len(columns) <= 1, block


def test_failures_stand_first_with_their_reasons_and_those_that_fail_the_build_before_the_rest():
    text = render(with_failures(), COMMAND)
    rows = text[text.index("| cell | outcome | reason |") :].split("\n\n")[0].splitlines()[2:]
    assert "| tcp pod-to-pod vxlan | unreachable | why tcp vxlan failed |" in rows
    outcomes = [row.split(" | ")[1] for row in rows]
    assert set(outcomes[5:]) == {"inconclusive", "unsupported"}
    assert "**unreachable**" in text


def test_a_dead_path_is_told_once_for_all_of_its_probes():
    diagnosis = {"said": "no answer", "sentence": "no BGP session", "remedy": "open 179"}
    dead = [
        dataclasses.replace(
            samples.failed(probe, Path.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, "a long story"),
            diagnosis=diagnosis,
        )
        for probe in ("ping", "tcp")
    ]
    text = render(samples.record(results=dead), COMMAND)
    assert "| pod-to-pod bgp (ping, tcp) | unreachable | no answer; no BGP session; open 179 |" in text
    assert text.count("no BGP session") == 1
    assert "**tcp**: TCP throughput, one stream\n" in text  # no figure, no unit


def test_of_paths_that_were_only_looked_at_it_tells_no_figures():
    dead = samples.failed(LOOK_PROBE, Path.POD_TO_POD, Mode.IPIP, Outcome.UNREACHABLE, "node2 is down")
    text = render(samples.record(results=[dead]), COMMAND)
    assert "| pod-to-pod ipip | unreachable | node2 is down |" in text
    for word in ("higher", "lower", "medians", "cell failed", "cells failed"):
        assert word not in text, word


def test_it_says_how_to_repeat_it():
    assert "```text\npytest --calico-mode=bgp,ipip '--calico-expect=bgp >= ipip * 1.0'\n```" in render(
        samples.record(), COMMAND
    )
    tricky = render(samples.record(), ["-k", "```\n# oh"])
    assert "````text\npytest -k '``` # oh'\n````" in tricky


def test_nothing_of_a_reason_is_markup_a_link_or_a_mention():
    text = render(
        hostile(
            "<script>x</script> @team #12 https://evil.example www.evil.example | a | [x](y) ![i](j) `c` *b* \\"
        ),
        (),
    )
    said = text.split("```")[0]
    assert "<script" not in said
    assert "@team" not in said
    assert "#12" not in said
    assert "https://" not in said
    assert "www.evil" not in said
    assert "](y)" not in said.replace("\\](y)", "")
    assert escape("a|b*c_d\\") == "a\\|b\\*c\\_d\\\\"
    assert "\x1b" not in render(hostile(), ())


@pytest.mark.parametrize("reason", ["long " * 4000, "\N{GRINNING FACE}" * 4000, "<" * 4000])
def test_it_fits_into_a_comment_whatever_it_is_told(reason):
    text = render(hostile(reason), ["-k", reason])
    assert len(text.encode()) <= MOST_BYTES
    assert "pytest -k" in text


def test_what_does_not_fit_is_left_out_and_said():
    probes = tuple(samples.HOST)[:3]
    record = samples.record(probes=probes)
    many = [
        dataclasses.replace(
            result, cell=dataclasses.replace(result.cell, probe=f"{result.cell.probe}-{number}")
        )
        for number in range(60)
        for result in record.results
    ]
    text = render(samples.record(results=many), COMMAND)
    assert len(text.encode()) <= MOST_BYTES
    assert "The rest does not fit here" in text
    assert text.rstrip().endswith("```")


def test_it_is_written_to_its_file_and_added_to_a_jobs_summary(tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    append("one", file)
    append("two", file)
    assert file.read_text() == "before\none\ntwo\n"
    write("alone", file)
    assert file.read_text() == "alone"
    with pytest.raises(RecordProblem, match="digest could not be written"):
        append("x", tmp_path / "none" / "summary.md")


def test_a_run_of_hosts_only_has_their_value():
    only = [r for r in samples.record().results if r.cell.path is Path.HOST_TO_HOST and r.cell.probe == "tcp"]
    text = render(samples.record(modes=(Mode.BGP,), results=only), ())
    assert "host-to-host: 1" in text


def test_it_fits_into_a_comment_however_many_notes_there_are():
    many = [f"{number} of what everybody must know, and at length: {'<so on>' * 90}" for number in range(400)]
    record = samples.record()
    text = render(dataclasses.replace(record, cluster={**record.cluster, "notes": many}), COMMAND)
    assert len(text.encode()) <= MOST_BYTES
    assert "pytest --calico-mode" in text
    few = render(dataclasses.replace(record, cluster={**record.cluster, "notes": ["short"] * 23}), COMMAND)
    assert few.count("- short") == 20
    assert "notes more" in few
