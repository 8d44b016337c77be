"""The comparison as plain text."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_calico_perf.model import Cell, CellResult, Mode, Outcome, Path, Ratio
from pytest_calico_perf.report import terminal
from pytest_calico_perf.report.headline import headline
from pytest_calico_perf.report.lines import Style, one_line
from pytest_calico_perf.report.ratios import ratio_text
from pytest_calico_perf.report.table import comparison
from tests.unit.report import samples

HOSTILE = "<script>alert('x')</script>\n\x1b[31mred\x1b[0m \"quoted\" \r\n" + "long " * 400


def off_its_path(result, reason):
    """The same figures, of packets that did not go the mode's way."""
    return dataclasses.replace(
        result, outcome=Outcome.WRONG_PATH, reason=reason, samples=(), rounds=(), wrong_samples=result.samples
    )


def with_failures():
    """A run in which everything happened that can happen."""
    results = list(samples.record().results)
    reasons = {
        ("tcp", Path.POD_TO_POD, Mode.VXLAN): Outcome.UNREACHABLE,
        ("http", Path.HOST_TO_POD, Mode.IPIP): Outcome.TOOL_ERROR,
        ("http", Path.POD_TO_POD, Mode.VXLAN): Outcome.UNSUPPORTED,
    }
    judged = {
        ("ping", Path.POD_TO_POD, Mode.IPIP): (Outcome.SLOW, "too slow"),
        ("ping", Path.POD_TO_POD, Mode.VXLAN): (Outcome.REGRESSED, "was faster"),
        ("ping", Path.HOST_TO_POD, Mode.VXLAN): (Outcome.INCONCLUSIVE, "too noisy"),
    }
    missing = ("http", Path.POD_TO_HOST, Mode.IPIP)
    elsewhere = ("tcp", Path.POD_TO_HOST, Mode.IPIP)
    kept = []
    for result in results:
        key = (result.cell.probe, result.cell.path, result.cell.mode)
        if key in reasons:
            kept.append(samples.failed(*key, reasons[key], f"why {key[0]} {key[2]} failed"))
        elif key in judged:
            outcome, reason = judged[key]
            kept.append(dataclasses.replace(result, outcome=outcome, reason=reason))
        elif key == elsewhere:
            kept.append(off_its_path(result, "went through eth0, not tunl0"))
        elif key != missing:
            kept.append(result)
    return samples.record(results=kept)


def paces():
    """A machine that slowed down between two paths: host-to-host 53.0 beside the first, 47.5 beside the second."""
    unit, better = samples.UNITS["tcp"]
    host, numbers = {Path.HOST_TO_POD: 53e6, Path.POD_TO_POD: 47.5e6}, (1, 2)

    def cell(path, mode, value, control):
        return CellResult(
            Cell("tcp", path, mode),
            Outcome.OK,
            unit,
            better,
            samples=(value,) * 2,
            rounds=numbers,
            control=dict.fromkeys(numbers, control) if control else {},
        )

    return samples.record(
        modes=(Mode.BGP,),
        results=[
            cell(Path.HOST_TO_HOST, None, 53e6, None),
            *(cell(path, Mode.BGP, 62e6, value) for path, value in host.items()),
        ],
    )


def without_control(problem):
    """The same, where the second path lost its control."""
    *others, last = paces().results
    lost = dataclasses.replace(last, control={}, details={"control_problem": problem})
    return samples.record(modes=(Mode.BGP,), results=[*others, lost])


def slow_host():
    """The same, where host-to-host misses a threshold."""
    host, *others = paces().results
    slow = dataclasses.replace(host, outcome=Outcome.SLOW, reason="too slow for a host")
    return samples.record(modes=(Mode.BGP,), results=[slow, *others])


def render(*args, **options):
    return [line.text for line in terminal.render(*args, **options)]


def text_of(record, width=120):
    return "\n".join(render(comparison(record), width))


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize(
    "record", [samples.record(), with_failures(), samples.record(rounds=1)], ids=["ok", "failures", "one"]
)
def test_fits_the_width_and_is_plain_ascii(record, width):
    lines = render(comparison(record), width)
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() and line.isascii() and line.isprintable() for line in lines)


def test_columns_are_aligned():
    lines = text_of(samples.record(probes=("tcp",)), width=200).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("---"))
    rule = lines[start]
    starts = [i for i in range(len(rule)) if rule[i] == "-" and (i == 0 or rule[i - 1] == " ")]
    assert len(starts) == 5
    for line in lines[start - 1 : start + 12]:
        for column in starts[1:]:
            assert line[column - 1 : column] in ("", " "), line


def test_says_value_interval_ratio_and_which_is_worse():
    text = text_of(samples.record(probes=("tcp",), paths=(Path.POD_TO_POD,)))
    tcp = next(
        t for t in comparison(samples.record(probes=("tcp",), paths=(Path.POD_TO_POD,))) if t.probe == "tcp"
    )
    ipip = tcp.rows[1].entries[0]
    assert "tcp: TCP throughput, one stream [Gbit/s, higher is better], 10 rounds" in text
    assert f"  of bgp      {ratio_text(ipip.to_base)} worse" in text
    assert f"ipip          {ipip.summary.median / 1e9:.1f} (" in text
    assert f"host-to-host  {tcp.controls[0].summary.median / 1e9:.1f} (" in text
    assert "  reverse  " in text


def test_each_column_shows_the_control_its_ratios_divide_by():
    lines = text_of(paces(), width=80).splitlines()
    (host,) = (line.split("  ") for line in lines if line.startswith("host-to-host  "))
    assert [word.strip() for word in host if word] == [
        "host-to-host",
        "53.0 (53.0 to 53.0)",
        "47.5 (47.5 to 47.5)",
    ]
    (ratios,) = (line.split()[2::4] for line in lines if line.startswith("  of host"))
    assert ratios == ["1.170", "1.305"]  # 62.0/53.0 and 62.0/47.5
    assert "(control)" not in "\n".join(lines)


def test_a_control_that_failed_says_so_in_its_column():
    text = text_of(without_control("node2: no echo came"), width=80)
    assert "host-to-host  53.0 (53.0 to 53.0)     failed [1]\n" in text
    assert "  [1] node2: no echo came" in text


def test_host_to_host_measured_alone_is_shown_alone():
    text = text_of(samples.record(probes=("tcp",), paths=(), modes=()))
    assert "  host-to-host (control): 16." in text
    assert "[1]" not in text
    assert "host-to-host: the control" not in text


def test_a_host_to_host_that_missed_a_threshold_says_so_above_its_row():
    text = text_of(slow_host(), width=80)
    assert "  host-to-host (control): slow [1]\n" in text
    assert "  [1] too slow for a host" in text
    assert text.count("53.0 (") == 1


def test_what_kept_the_run_from_measuring_stands_above_everything():
    lines = render((), 80, problem=f"lab: BIRD did not start\n{HOSTILE}")
    assert lines[0].startswith("Nothing could be measured: lab: BIRD did not start <script>")
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    with_table = render(comparison(samples.record()), 80, problem="lab: BIRD did not start")
    assert with_table[:2] == ["Nothing could be measured: lab: BIRD did not start", ""]
    assert with_table[2:] == render(comparison(samples.record()), 80)


def test_every_outcome_is_told_with_its_reason():
    text = text_of(with_failures())
    for words in (
        "unreachable [2]",
        "wrong-path [1]",
        "  not counted  ",
        "  10.4 (10.3 to 10.8)",
        "] went through eth0, not tunl0",
        "tool-error [1]",
        "unsupported [2]",
        "not measured",
        "slow [",
        "regressed [",
        "inconclusive [",
        "] why tcp vxlan failed",
        "] why http ipip failed",
        "] too noisy",
    ):
        assert words in text, words


def test_a_reason_shared_by_cells_is_told_once():
    dead = [
        samples.failed("tcp", path, Mode.BGP, Outcome.UNREACHABLE, "node2 is down")
        for path in (Path.HOST_TO_POD, Path.POD_TO_POD)
    ]
    text = text_of(samples.record(results=dead))
    assert (text.count("unreachable [1]"), text.count("node2 is down")) == (2, 1)


def test_one_mode_has_no_ratio_to_itself():
    text = text_of(samples.record(modes=(Mode.IPIP,)))
    assert "of ipip" not in text
    assert "of host" in text


def test_ratios_are_as_exact_as_their_interval():
    assert ratio_text(Ratio(0.570, 0.072, 4.514, 3)) == "0.6 (<0.1 to 4.5)"
    assert ratio_text(Ratio(0.9863, 0.9812, 0.9911, 10)) == "0.986 (0.981 to 0.991)"
    assert ratio_text(Ratio(1.5, None, None, 1)) == "1.50"


def test_one_round_has_no_interval():
    text = text_of(samples.record(rounds=1, probes=("ping",), paths=(Path.POD_TO_POD,)))
    assert " to " not in text.partition("\n\n")[2]
    assert "worse" not in text


def test_nothing_measured_is_no_text():
    assert render((), 80) == []


def test_hostile_strings_stay_text_on_their_lines():
    record = samples.record(
        results=[
            samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.TOOL_ERROR, HOSTILE),
            dataclasses.replace(samples.link(), details={HOSTILE: {HOSTILE: HOSTILE}}),
        ]
    )
    lines = render(comparison(record), 80)
    assert all(line.isprintable() for line in lines)
    assert any("<script>" in line for line in lines)
    assert one_line(HOSTILE).endswith("...")
    assert len(one_line(HOSTILE)) < 700


def test_a_probe_of_ones_own_needs_no_entry_anywhere():
    record = samples.record(probes=("tcp",), paths=(Path.POD_TO_POD,))
    own = [
        dataclasses.replace(r, cell=Cell("my-probe", r.cell.path, r.cell.mode))
        for r in record.results
        if r.cell.probe == "tcp"
    ]
    assert "my-probe [Gbit/s, higher is better], 10 rounds" in text_of(samples.record(results=own))


def test_what_the_cluster_wants_said_stands_with_the_explanation() -> None:
    lines = render((), 80, notes=["one kernel\x1b[31m carries all nodes"])
    assert lines == ["one kernel [31m carries all nodes"]


def styled(record, words):
    """The styles in which `words` stand anywhere."""
    lines = terminal.render(comparison(record), 100, headline=headline(record))
    return {span.style for line in lines for span in line.spans if words in span.text}


def test_the_headline_stands_first_each_clause_as_it_is_to_be_taken():
    record = with_failures()
    lines = terminal.render(comparison(record), 100, headline=headline(record))
    text = " ".join(line.text for line in lines)
    assert text.startswith(headline(record).sentence)
    assert lines[0].spans[0].style is Style.STRONG
    assert {span.style for line in lines[:8] for span in line.spans} >= {Style.BAD, Style.DOUBT}
    assert max(map(len, lines)) <= 100


def test_a_problem_is_told_once_by_the_headline():
    record = samples.record(results=[], problem="lab: BIRD did not start; install bird2")
    lines = terminal.render((), 100, record.problem, headline=headline(record))
    assert [line.text for line in lines] == [
        "Nothing could be measured: lab: BIRD did not start; install bird2."
    ]


def test_style_says_nothing_that_words_do_not():
    record = with_failures()
    assert styled(record, "unreachable") == {Style.BAD}
    assert styled(record, "wrong-path") == {Style.BAD}
    assert styled(record, "inconclusive") == {Style.DOUBT}
    assert styled(record, "unsupported") == {Style.FAINT}
    assert Style.BAD in styled(record, "worse")
    assert "10.4 (10.3 to 10.8)" in text_of(record)


def test_figures_of_a_wrong_path_are_marked_and_in_no_ratio():
    paths = (Path.POD_TO_POD,)
    whole = samples.record(modes=(Mode.BGP, Mode.IPIP), probes=("tcp",), paths=paths)
    off = [
        off_its_path(result, "went through eth0") if result.cell.mode is Mode.BGP else result
        for result in whole.results
    ]
    lines = text_of(samples.record(modes=(Mode.BGP, Mode.IPIP), results=off), 100).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("bgp "))
    assert lines[start].split() == ["bgp", "wrong-path", "[1]"]
    assert lines[start + 1].startswith("  not counted  1")
    assert lines[start + 2].startswith("ipip ")
    assert not any("of bgp" in line for line in lines)


def test_a_remark_stands_below_the_table_and_is_referred_to():
    record = samples.record(probes=("tcp",), paths=(Path.POD_TO_POD,))
    told = [
        dataclasses.replace(result, remarks=("the sender's core is full", "its rate collapses"))
        if result.cell.mode is Mode.IPIP
        else result
        for result in record.results
    ]
    text = text_of(samples.record(results=told), 100)
    (line,) = (line for line in text.splitlines() if line.startswith("ipip "))
    assert line.endswith("[1] [2]")
    assert "  [1] the sender's core is full\n  [2] its rate collapses" in text
