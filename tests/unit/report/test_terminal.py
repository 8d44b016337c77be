"""The comparison as plain text."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_calico_perf.model import Cell, Mode, Outcome, Path
from pytest_calico_perf.report.table import comparison
from pytest_calico_perf.report.terminal import one_line, render
from tests.unit.report import samples

HOSTILE = "<script>alert('x')</script>\n\x1b[31mred\x1b[0m \"quoted\" \r\n" + "long " * 400


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
    kept = []
    for result in results:
        key = (result.cell.probe, result.cell.path, result.cell.mode)
        if key in reasons:
            kept.append(samples.failed(*key, reasons[key], f"why {key[0]} {key[2]} failed"))
        elif key in judged:
            outcome, reason = judged[key]
            kept.append(dataclasses.replace(result, outcome=outcome, reason=reason))
        elif key != missing:
            kept.append(result)
    return samples.record(results=kept)


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
    assert (
        f"  of bgp   {ipip.to_base.value:.3f} ({ipip.to_base.low:.3f} to {ipip.to_base.high:.3f}) worse"
        in text
    )
    assert f"ipip       {ipip.summary.median / 1e9:.1f} (" in text
    assert text.count("host-to-host (control): ") == 1
    assert "  reverse  " in text


def test_every_outcome_is_told_with_its_reason():
    text = text_of(with_failures())
    for words in (
        "unreachable [1]",
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
