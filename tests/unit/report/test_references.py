"""Published figures: the files that come along, files of one's own, and what is shown of them."""

from __future__ import annotations

import pytest

from pytest_calico_perf.errors import ClusterFileProblem, SettingProblem
from pytest_calico_perf.model import Mode, Outcome, Path
from pytest_calico_perf.options import REFERENCE_NAMES
from pytest_calico_perf.report import terminal
from pytest_calico_perf.report.references import (
    HOST,
    load_references,
    reference_names,
    reference_rows,
    sentences,
    unused,
)
from tests.unit.report import samples
from tests.unit.report.test_terminal import with_failures

OWN = """\
name: mine
title: our own
source: a notebook
setup: two old machines
caveats: [measured by hand]
figures:
  - {probe: tcp, path: pod-to-pod, mode: ipip, value: 6 Gbit/s, host: 8 Gbit/s, variant: a}
  - {probe: tcp, path: pod-to-pod, mode: bgp, value: 8 Gbit/s, variant: a, note: by hand}
  - {probe: tcp, path: pod-to-pod, mode: bgp, value: 1 Gbit/s, variant: b}
  - {probe: ping, path: pod-to-service, mode: bgp, value: 1 ms, host: 0.5 ms}
"""


@pytest.fixture
def own(tmp_path):
    def write(text=OWN):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_help_names_the_files_that_come_along():
    assert reference_names() == REFERENCE_NAMES


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_what_comes_along_has_source_caveats_and_figures(name):
    (reference,) = load_references([name])
    assert reference.name == name
    assert reference.source
    assert reference.caveats
    assert reference.figures
    assert all(figure.value > 0 for figure in reference.figures)


def test_the_figures_are_those_that_were_published():
    found = {
        (row.reference, row.probe, row.path, row.mode, row.base): row.published
        for row in reference_rows(samples.record(), load_references(REFERENCE_NAMES))
        if not row.note
    }
    assert found["article", "tcp", Path.HOST_TO_POD, Mode.IPIP, HOST] == pytest.approx(4.44 / 5.07)
    assert found["article", "ping", Path.POD_TO_POD, Mode.IPIP, HOST] == pytest.approx(0.312 / 0.189)
    assert found["article", "tcp", Path.HOST_TO_POD, Mode.IPIP, "bgp"] == pytest.approx(4.44 / 4.68)
    assert found["cni-2024-40g", "tcp", Path.POD_TO_POD, Mode.BGP, HOST] == pytest.approx(0.63, abs=0.005)
    assert found["daocloud-2023", "tcp", Path.POD_TO_POD, Mode.VXLAN, HOST] == pytest.approx(0.15, abs=0.005)
    assert found["kube-ovn", "tcp", Path.POD_TO_POD, Mode.IPIP, HOST] == pytest.approx(0.92, abs=0.01)
    assert ("article", "tcp", Path.POD_TO_POD, Mode.BGP, HOST) not in found  # it had no connectivity


def test_rows_pair_each_published_ratio_with_the_measured_one_of_the_same_variant(own):
    record = samples.record(probes=("tcp",))
    references = load_references([own()])
    rows = {(row.mode, row.base): row for row in reference_rows(record, references)}
    assert set(rows) == {(Mode.IPIP, HOST), (Mode.IPIP, "bgp")}
    assert rows[Mode.IPIP, HOST].published == 0.75
    assert rows[Mode.IPIP, "bgp"].published == 0.75  # 6 of 8 and not of 1, which is another variant
    assert 0.5 < rows[Mode.IPIP, "bgp"].measured.value < 0.8
    assert unused(record, references[0]) == 1
    assert sentences(record, references) == (
        (
            "mine: a notebook. Setup: two old machines. measured by hand. 1 of its 4 figures is of cells that"
            " this run does not have."
        ),
    )


def test_a_dead_path_has_its_outcome_and_no_ratio():
    rows = [
        row
        for row in reference_rows(with_failures(), load_references(["daocloud-2023"]))
        if (row.probe, row.mode) == ("tcp", Mode.VXLAN)
    ]
    assert [(row.outcome, row.measured) for row in rows] == [(Outcome.UNREACHABLE, None)] * 2


def test_the_terminal_shows_rows_notes_and_every_caveat():
    record, references = with_failures(), load_references(REFERENCE_NAMES)
    lines = [line.text for line in terminal.published(record, references, 100)]
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 100
    assert all(line.isascii() and line == line.rstrip() for line in lines)
    assert "tcp pod-to-pod vxlan host unreachable 0.522 cni-2024-40g" in text
    for reference in references:
        assert reference.source in text
        for caveat in reference.caveats:
            assert caveat in text
    assert terminal.published(record, (), 100) == []


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        SettingProblem, match=r"unknown reference 'artikel', did you mean 'article'\? known: article"
    ):
        load_references(["artikel"])
    with pytest.raises(ClusterFileProblem, match=r"missing/x\.yaml: there is no such file"):
        load_references(["missing/x.yaml"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "name: mine", "nam: mine", r"mine.yaml:1: nam: unknown field, did you mean 'name'", id="field"
        ),
        pytest.param("caveats: [measured by hand]", "caveats: []", r":5: caveats: ", id="no-caveat"),
        pytest.param("source: a notebook\n", "", r"mine.yaml:1: source: field is missing", id="no-source"),
        pytest.param("mode: ipip", "mode: ipipe", r":7: figures\[0\]\.mode: .*not 'ipipe'", id="mode"),
        pytest.param(
            "probe: ping",
            "probe: pong",
            r":10: figures\[3\]\.probe: unknown .*did you mean 'ping'",
            id="probe",
        ),
        pytest.param("6 Gbit/s", "6 Gbps", r":7: figures\[0\]\.value: .*unknown unit 'Gbps'", id="unit"),
        pytest.param("1 ms", "1 Gbit/s", r":10: figures\[3\]\.value: .*is a rate", id="dimension"),
        pytest.param("1 ms", "0 ms", r":10: figures\[3\]\.value: must be above 0", id="zero"),
        pytest.param(
            "host: 8 Gbit/s", "host: 0 Gbit/s", r":7: figures\[0\]\.host: must be above 0", id="zero-host"
        ),
        pytest.param("path: pod-to-service", "path: host-to-host", r":10: .*has no mode", id="hosts"),
        pytest.param(OWN, "- 1", r"mine.yaml:1: a file of references is a list", id="list"),
        pytest.param(OWN, "{", r"mine.yaml:1: this is not YAML", id="not-yaml"),
    ],
)
def test_a_file_of_ones_own_is_refused_with_line_and_field(own, old, new, message):
    assert old in OWN
    with pytest.raises(ClusterFileProblem, match=message):
        load_references([own(OWN.replace(old, new, 1))])
