"""The parts of the page below the comparison: where it was measured, every cell, published figures, footnotes."""

from __future__ import annotations

import dataclasses

import pytest
from bs4 import BeautifulSoup

from pytest_calico_perf.cluster.recording import shortened
from pytest_calico_perf.model import Cell, Mode, Outcome, Path, Ran, Verdict
from pytest_calico_perf.reachability import Symptom
from pytest_calico_perf.report.html import render
from pytest_calico_perf.report.markup import preformatted
from pytest_calico_perf.report.page.cells import cells
from pytest_calico_perf.report.page.commands import output_share
from pytest_calico_perf.report.page.dead import diagnosis
from pytest_calico_perf.report.page.glossary import glossary
from pytest_calico_perf.report.page.place import place
from pytest_calico_perf.report.page.published import section
from pytest_calico_perf.report.references import load_references, reference_names, reference_rows
from pytest_calico_perf.report.table import comparison
from tests.unit.report import samples

DIAGNOSIS = {
    "symptom": "small-ping",
    "said": "no reply",
    "sentence": "no BGP session between node1 and node2",
    "remedy": "open TCP port 179",
    "works": ["vxlan"],
    "findings": [
        {"title": "BGP is blocked", "broken": "node1 cannot connect", "facts": ["birdc says Connect"], "meaning": "No routes."}
    ],
    "checks": [{"link": "bgp", "where": "node1", "state": "broken", "says": "Connect"}],
    "not_seen": ["filter of node2: no permission"],
    "commands": [
        {"endpoint": "node1", "argv": ["birdc", "show", "protocols"], "exit_code": 0, "seconds": 0.1, "output": "up", "times": 1}
    ],
}  # fmt: skip


def soup(markup):
    return BeautifulSoup(markup, "html.parser")


def told(markup):
    return soup(markup).get_text(" ", strip=True)


def of_one(**changes):
    """The page's part about one cell, tcp pod-to-pod in IPIP, with these changes."""
    record = samples.record(probes=("tcp",))
    wanted = ("tcp", Path.POD_TO_POD, Mode.IPIP)
    results = tuple(
        dataclasses.replace(r, **changes) if (r.cell.probe, r.cell.path, r.cell.mode) == wanted else r
        for r in record.results
    )
    page = soup(cells(dataclasses.replace(record, results=results), ""))
    return page.find(id="cell-tcp-pod-to-pod-ipip").parent


# -- every cell --------------------------------------------------------------------------------------


def test_a_cell_is_a_line_that_opens():
    line = of_one()
    assert line.name == "details"
    assert not line.has_attr("open")
    summary = line.summary.get_text(" ", strip=True)
    assert summary.startswith("tcp pod-to-pod IPIP ")
    assert summary.endswith("Gbit/s ✓ ok")


def test_samples_stand_round_by_round_beside_what_they_were_divided_by():
    # The made-up record counts from 1, a real one from 0: people read one more than what is recorded.
    table = of_one().select_one("table.rounds")
    assert [th.get_text() for th in table.thead.find_all("th")] == ["Gbit/s, round", *map(str, range(2, 12))]
    rows = {
        row.th.get_text(): [td.get_text() for td in row.find_all("td")] for row in table.tbody.find_all("tr")
    }
    assert list(rows) == ["tcp pod-to-pod IPIP", "BGP", "host-to-host"]
    assert {len(values) for values in rows.values()} == {10}
    assert "-" not in rows["host-to-host"]


def test_a_verdict_is_shown_with_its_reasoning_and_source():
    verdict = Verdict("min: 9 Gbit/s", "prod.yaml:41", Outcome.SLOW, "median 8 misses 9")
    text = of_one(outcome=Outcome.SLOW, reason="r", verdicts=(verdict,)).get_text(" ", strip=True)
    assert "min: 9 Gbit/s ▼ slow median 8 misses 9 prod.yaml:41" in text
    assert "Nothing was demanded of it" in of_one().get_text()


def test_remarks_and_evidence_are_sentences_of_their_own():
    line = of_one(remarks=("the client was busy",), evidence={"line": "it went by tunl0", "mss": 1428.0})
    text = line.get_text(" ", strip=True)
    assert "Remark: the client was busy" in text
    assert "Evidence: it went by tunl0" in text
    assert "What proves the path mss [bytes] 1428" in text


def test_commands_can_be_copied_and_say_where_and_how_often_they_ran():
    ran = Ran("pod a", ("iperf3", "-c", "198.19.0.1", "two words"), 0, 1.25, "line 1\nline 2\n", times=6)
    line = of_one(commands=(ran, Ran("pod b", ("iperf3", "-s"), None, 2.0, "")))
    first, second = line.find_all("pre")
    assert first.get_text() == "$ iperf3 -c 198.19.0.1 'two words'\nline 1\nline 2"
    assert second.get_text() == "$ iperf3 -s"
    text = line.get_text(" ", strip=True)
    assert "on pod a; exit code 0; took 1.2 s; run 6 times, this is the last" in text
    assert "on pod b; stopped by us; took 2.0 s" in text


def test_long_output_is_cut_in_the_middle_and_says_so():
    shown = preformatted("begin " + "x" * 10_000 + " end", 300)
    assert shown.startswith("begin")
    assert shown.endswith(" end")
    assert "[... 9710 characters left out ...]" in shown
    assert preformatted("<b>\x1b[31m", 100) == "&lt;b&gt;�[31m"


def test_what_was_cut_when_recorded_is_cut_once():
    recorded = shortened("begin " + "x" * 20_000 + " end", 8000)
    shown = preformatted(recorded, 300)
    assert shown.count("left out") == 1
    head, tail = shown.split("\n[... 19710 characters left out ...]\n")
    assert (len(head), len(tail)) == (200, 100)
    assert (head[:6], tail[-4:]) == ("begin ", " end")
    assert preformatted(recorded, 9000) == recorded


@pytest.mark.parametrize(("commands", "share"), [(0, 4000), (10, 4000), (250, 1000), (10_000, 100)])
def test_the_more_commands_the_less_of_each_output(commands, share):
    ran = (Ran("a", ("x",), 0, 1.0, ""),) * commands
    record = samples.record(results=[dataclasses.replace(samples.link(), commands=ran)])
    assert output_share(record) == share


def test_figures_of_a_tool_have_their_unit():
    details = {"goodput": 9e9, "warm_up_seconds": 0.2, "retransmits": 3.0, "reverse": {"goodput": 8e9}}
    text = of_one(details=details).get_text(" ", strip=True)
    for words in ("goodput [bit/s] 9000000000", "warm up seconds 0.2", "retransmits 3",
                  "reverse goodput [bit/s] 8000000000"):  # fmt: skip
        assert words in text


def test_what_was_found_after_the_last_round_is_shown_where_it_changed():
    route = {"device": "tunl0", "mtu": 1480}
    changed = {"forward": {**route, "device": "eth0"}, "backward": route}
    text = of_one(
        evidence={
            "forward": route,
            "backward": route,
            "after": changed,
            "tunnel_packets": {"ipip": {"after": 3}},
        }
    ).get_text(" ", strip=True)
    assert "after forward device eth0" in text
    assert "after backward" not in text
    assert text.count("1480") == 2
    assert "tunnel packets ipip after 3" in text


def test_what_is_drawn_is_not_listed_again():
    line = of_one(details={"intervals": [1.0, 2.0], "percentiles": [1.0], "mss": 1448.0})
    assert "intervals" not in line.get_text()
    assert "percentiles" not in line.get_text()


def test_a_value_of_another_path_is_struck_through():
    line = of_one(
        outcome=Outcome.WRONG_PATH, samples=(), rounds=(), wrong_samples=(5e9, 6e9), reason="no tunnel"
    )
    assert [s.get_text() for s in line.find_all("s")][-1] == "5.00 Gbit/s, 6.00 Gbit/s"
    assert "counted nowhere" in line.get_text()


# -- a dead path -------------------------------------------------------------------------------------


def test_a_diagnosis_says_what_is_broken_what_shows_it_and_what_to_do():
    text = told(diagnosis(DIAGNOSIS, 1000))
    for words in (
        "no BGP session between node1 and node2",
        "BGP is blocked birdc says Connect No routes.",
        "What to do: open TCP port 179",
        "Would work, as far as was seen: VXLAN",
        "What was noticed first: a small ping: no reply",
        "Could not be looked at: filter of node2: no permission",
        "$ birdc show protocols up",
    ):
        assert words in text
    assert "node1 cannot connect" not in text  # the sentence has said it
    assert diagnosis({}, 1000) == ""


def test_a_dead_cell_says_the_same_once():
    said = "a small ping to pod b got no answer"
    found = {**DIAGNOSIS, "said": said}
    reason = f"pod a: {said}: {DIAGNOSIS['sentence']}; {DIAGNOSIS['remedy']}"
    line = of_one(
        outcome=Outcome.UNREACHABLE, samples=(), rounds=(), control={}, reason=reason, diagnosis=found
    )
    text = line.get_text(" ", strip=True)
    for words in (said, DIAGNOSIS["sentence"], DIAGNOSIS["remedy"]):
        assert text.count(words) == 1, words
    bare = of_one(outcome=Outcome.UNREACHABLE, samples=(), rounds=(), control={}, reason=reason)
    assert reason in bare.get_text()


def test_of_several_findings_each_says_what_is_broken():
    findings = [*DIAGNOSIS["findings"], {"title": "MTU", "broken": "eth0 takes 1400 bytes"}]
    text = told(diagnosis({**DIAGNOSIS, "findings": findings}, 1000))
    assert "BGP is blocked node1 cannot connect" in text
    assert "MTU eth0 takes 1400 bytes" in text


@pytest.mark.parametrize("symptom", list(Symptom))
def test_every_symptom_has_words(symptom):
    text = told(diagnosis({**DIAGNOSIS, "symptom": str(symptom)}, 1000))
    assert str(symptom) not in text


def dead_run(probes=("tcp", "http"), found=None):
    """A run all of whose cells are dead, each path diagnosed once per mode."""
    modes, paths = tuple(Mode)[:5], (*list(samples.SHARE)[:3], Path.POD_TO_SERVICE)
    results = [
        dataclasses.replace(
            samples.failed("tcp", path, mode, Outcome.UNREACHABLE, "no reply\n" * 40),
            cell=Cell(probe, path, mode),
            diagnosis={**(found or DIAGNOSIS), "path": str(path), "mode": str(mode)},
        )
        for probe in probes
        for path in paths
        for mode in modes
    ]
    return samples.record(modes=modes, results=results)


def test_looks_and_commands_are_shown_once_for_all_probes_of_a_path():
    page = soup(cells(dead_run(), "k-"))
    first, second = (page.find(id=f"k-cell-{probe}-pod-to-pod-ipip") for probe in ("tcp", "http"))
    assert "$ birdc show protocols" in first.get_text()
    assert "$ birdc" not in second.get_text()
    assert second.select_one(".dead a")["href"] == "#k-cell-tcp-pod-to-pod-ipip"
    for cell in (first, second):  # what is broken and what to do is said in each
        assert "no BGP session between node1 and node2" in cell.get_text()
        assert "Could not be looked at" in cell.get_text()


def test_another_diagnosis_of_the_same_path_keeps_its_commands():
    run = dead_run()
    changed = dataclasses.replace(run.results[-1], diagnosis={**DIAGNOSIS, "said": "other"})
    page = cells(dataclasses.replace(run, results=(*run.results[:-1], changed)), "")
    assert page.count("$ birdc show protocols") == 20 + 1


def test_a_hundred_dead_cells_are_small_enough_to_mail():
    commands = [
        {"endpoint": f"node{n % 3}", "argv": ["ip", "-j", "route", "get", f"198.19.2.{n}"], "exit_code": 0,
         "seconds": 0.1, "output": f'{{"n": {n}, "dev": "tunl0"}}\n' * 300, "times": 1}
        for n in range(60)
    ]  # fmt: skip
    checks = [
        {"link": "route", "where": f"node{n}", "state": "ok", "says": f"198.19.{n}.0/26 via eth0 " * 4}
        for n in range(30)
    ]
    run = dead_run(
        ("ping", "tcp", "tcp-parallel", "http", "connect"),
        {**DIAGNOSIS, "commands": commands, "checks": checks},
    )
    ran = tuple(Ran("pod client", ("ping", "-c", str(n)), 1, 1.0, "no answer\n" * 800) for n in range(8))
    results = tuple(dataclasses.replace(result, commands=ran) for result in run.results)
    assert len(results) == 100
    page = render(dataclasses.replace(run, results=results))
    assert len(page.encode()) < 2_000_000
    assert soup(page).get_text().count("ip -j route get 198.19.2.59") == 20


@pytest.mark.parametrize("value", [None, 1, "x", [1], ["x"], {}, [{}], [None]])
@pytest.mark.parametrize("key", sorted(DIAGNOSIS))
def test_a_diagnosis_read_from_a_file_may_hold_anything(key, value):
    assert soup(diagnosis({**DIAGNOSIS, key: value}, 1000)).select_one(".dead")


# -- paths that were only looked at -------------------------------------------------------------------


def test_paths_that_were_only_looked_at_have_no_words_of_measuring():
    results = [
        dataclasses.replace(
            samples.failed("ping", path, Mode.BGP, outcome, ""), cell=Cell("reachability", path, Mode.BGP)
        )
        for path, outcome in ((Path.HOST_TO_POD, Outcome.OK), (Path.POD_TO_POD, Outcome.UNREACHABLE))
    ]
    record = samples.record(
        modes=(Mode.BGP,),
        results=results,
        measuring_seconds=0.0,
        profile={"name": "quick", "rounds": 6, "probes": {"tcp": {"command": "iperf3", "rounds": 6}}},
    )
    page = soup(render(record))
    page.style.decompose()
    text = page.get_text(" ", strip=True)
    assert "reachability whether paths carry payload" in text
    for words in ("is better", "median", "round", "iperf3", "of it measuring", "demanded", "Gbit/s"):
        assert words not in text, words


# -- where and how -----------------------------------------------------------------------------------


def where(**changes):
    record = samples.record(**changes)
    return told(place(record, comparison(record), ""))


def test_emulated_encapsulation_says_so():
    modes = (Mode.BGP, Mode.IPIP, Mode.VXLAN)
    text = where(modes=modes, cluster={"name": "lab", "ipip": "tc-bpf", "pod_mtu": {"ipip": 1480}})
    assert "IPIP emulated by tc-bpf: the same bytes on the wire, not the same code 1480 bytes" in text
    assert "VXLAN by the kernel's vxlan device not known" in text
    assert "BGP none not known" in text
    assert "IPIP by the kernel's ipip device" in where(modes=modes, cluster={"name": "prod"})


def test_what_somebody_needs_to_repeat_it_is_there():
    text = where(
        command=("pytest", "--calico-mode=bgp,ipip", "-k", "tcp and ping"),
        software={"pytest-calico-perf": "1.2.3", "python": "3.11.7"},
        cluster={
            "name": "prod",
            "calico": {"version": "v3.31.0"},
            "nodes": [{"name": "n1", "kernel": "6.1.0", "cpus": 8}, {"name": "n2", "zone": "b"}],
            "pair": ["n1", "n2"],
        },
        profile={"name": "quick", "rounds": 6, "warm_up_rounds": 1, "probes": {"tcp": {"command": "iperf3 -t 1", "rounds": 6}}},
    )  # fmt: skip
    for words in (
        "pytest --calico-mode=bgp,ipip -k 'tcp and ping'",
        "pytest-calico-perf 1.2.3",
        "Calico v3.31.0",
        "kernel of the nodes 6.1.0",
        "measured between n1 and n2",
        "quick, 6 rounds",
        "tcp iperf3 -t 1 6",
        "of it measuring 85.5 % (2 min 26 s)",
        "TCP segmentation offload on on",
        "warm-up 1 round, counted nowhere",
    ):
        assert words in text, words
    assert "quick, 1 round" in (one := where(profile={"name": "quick", "rounds": 1}))
    assert "1 rounds" not in one


def test_only_probes_that_ran_are_listed():
    probes = {name: {"command": f"{name} HOST", "rounds": 6} for name in ("tcp", "connect")}
    text = where(probes=("tcp",), profile={"name": "quick", "rounds": 6, "probes": probes})
    assert "tcp HOST" in text
    assert "connect HOST" not in text


@pytest.mark.parametrize(
    "facts",
    [{}, {"nodes": 7}, {"nodes": ["n1"]}, {"pools": "x"}, {"pair": "n1"}, {"calico": []}, {"versions": 3}, {"pod_mtu": [1]}],
)  # fmt: skip
def test_facts_of_any_shape_are_shown_and_never_in_the_way(facts):
    text = where(cluster=facts, profile={}, wall_seconds=0.0)
    assert "does not hold the command line" in text


# -- beside and below --------------------------------------------------------------------------------


def test_published_figures_stand_beside_the_measured_with_their_caveats():
    references = load_references(reference_names())
    record = samples.record(probes=("tcp",), modes=(Mode.IPIP, Mode.BGP))
    page = soup(section(record, references))
    assert len(page.select("tbody tr")) == len(reference_rows(record, references)) > 0
    heads = [th.get_text() for th in page.select("thead th")]
    better = {row.find_all("td")[heads.index("better") - 1].get_text() for row in page.select("tbody tr")}
    assert better == {"higher"}
    assert "In parentheses the 95 % interval" in page.get_text()
    for reference in references:
        assert " ".join(reference.caveats[0].split()).rstrip(".") in page.get_text()
    assert section(record, ()) == ""


def test_every_mode_path_and_outcome_of_the_page_has_a_footnote():
    record = samples.record(probes=("tcp",))
    text = told(glossary(record, comparison(record), ""))
    for word in (
        "VXLAN",
        "pod-to-pod-same-node",
        "host-to-host",
        "✓ ok",
        "MTU",
        "offload",
        "encapsulation",
        "us, ms",
    ):
        assert word in text
    assert "cross-subnet" not in text
