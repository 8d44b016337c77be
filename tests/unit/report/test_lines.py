"""Lines made of spans: they keep to their width, lose no word, and are coloured only where there is colour."""

from __future__ import annotations

import io

import pytest
from _pytest._io import TerminalWriter
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.report.lines import Line, Span, Style, grid, one_line, wrap, write

spans = st.lists(
    st.builds(Span, st.text(st.sampled_from("abc %"), max_size=40), st.sampled_from(Style)), max_size=6
)


@given(told=spans, width=st.integers(20, 60), lead=st.sampled_from(["", "  [1] "]))
def test_a_paragraph_keeps_to_its_width_and_loses_no_word_or_style(told, width, lead):
    lines = wrap(told, width, lead)
    assert all(len(line) == len(line.text) <= width for line in lines)
    styles = [(letter, span.style) for span in told for letter in span.text if letter != " "]
    shown = [
        (letter, span.style)
        for line in lines
        for span in line.spans
        for letter in span.text
        if letter not in " []1"
    ]
    assert shown == styles


def test_a_number_and_its_percent_sign_stay_together():
    assert [line.text for line in wrap("with 95 % confidence", 8)] == ["with", "95 %", "confiden", "ce"]


def test_a_lead_is_hung():
    assert [line.text for line in wrap("one two three", 14, "  [1] ")] == ["  [1] one two", "      three"]


def test_columns_are_padded_ruled_and_end_without_blanks():
    columns = [
        [Line(), Line.of("a")],
        [Line.of("head"), Line.of("x", Style.BAD) + Line.of("y")],
        [Line(), Line()],
    ]
    assert [line.text for line in grid(columns)] == ["   head", "-  ----", "a  xy"]
    assert any(span == Span("x", Style.BAD) for line in grid(columns) for span in line.spans)


@pytest.mark.parametrize("colour", [True, False], ids=["terminal", "pipe"])
def test_colour_is_the_writers_business(colour):
    stream = io.StringIO()
    writer = TerminalWriter(stream)
    writer.hasmarkup = colour
    write(writer, [Line.of("worse ", Style.BAD) + Line.of("than"), Line()])
    expected = "\x1b[31m\x1b[1mworse \x1b[0mthan\n\n" if colour else "worse than\n\n"
    assert stream.getvalue() == expected


def test_nothing_moves_the_cursor():
    assert one_line("a\x1b[2J\r\n\tb\N{LINE SEPARATOR}c") == "a [2J b c"
    assert one_line("x" * 700) == "x" * 600 + "..."
