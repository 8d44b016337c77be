"""Values to text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.model import Ratio, Summary, Unit
from pytest_calico_perf.stats import summarize
from pytest_calico_perf.units import (
    Scale,
    format_column,
    format_duration,
    format_percent,
    format_ratio,
    format_value,
    parse_duration,
    parse_fraction,
    parse_rate,
    scale_for,
)

BIT, SECOND = Unit.BIT_PER_SECOND, Unit.SECOND


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (9.412e9, BIT, "9.41 Gbit/s"),
        (17.23e9, BIT, "17.2 Gbit/s"),
        (191.28e6, BIT, "191 Mbit/s"),
        (999.6e6, BIT, "1.00 Gbit/s"),
        (999.4e6, BIT, "999 Mbit/s"),
        (850.0, BIT, "850 bit/s"),
        (2.5e15, BIT, "2500 Tbit/s"),
        (12.34e-6, SECOND, "12.3 us"),
        (0.297e-3, SECOND, "297 us"),
        (61e-3, SECOND, "61.0 ms"),
        (1.5, SECOND, "1.50 s"),
        (3e-9, SECOND, "3.00 ns"),
        (4e-12, SECOND, "0.00400 ns"),
        (0.0, SECOND, "0 s"),
        (0.0, BIT, "0 bit/s"),
        (12_345.0, Unit.REQUEST_PER_SECOND, "12.3 kreq/s"),
        (870.0, Unit.CONNECTION_PER_SECOND, "870 conn/s"),
        (None, BIT, "-"),
    ],
)
def test_three_significant_digits_with_the_prefix_that_suits(value, unit, text):
    assert format_value(value, unit) == text


def test_a_column_has_one_prefix():
    assert format_column([9.41e9, 191.2e6, None], BIT) == ("9.41 Gbit/s", "0.191 Gbit/s", "-")
    assert format_column([0.297e-3, 1.2e-3], SECOND) == ("0.297 ms", "1.20 ms")
    assert format_column([], BIT) == ()
    assert format_column([None], BIT) == ("-",)


def test_an_interval_gets_the_digits_it_needs_to_show():
    shaped = summarize([191.28e6, 190.97e6, 191.20e6, 191.08e6, 191.27e6, 191.24e6])
    assert scale_for([shaped], BIT).summary(shaped) == "191.2 (191.0 to 191.3)"
    noisy = Summary(10e9, 9e9, 11e9, 0.95, 10)
    assert scale_for([noisy], BIT).summary(noisy) == "10.0 (9.00 to 11.0)"
    assert scale_for([noisy, shaped], BIT).summary(shaped) == "0.1912 (0.1910 to 0.1913)"
    constant = summarize([5.0, 5.0, 5.0])
    assert scale_for([constant], SECOND).summary(constant) == "5.00 (5.00 to 5.00)"
    single = summarize([5.0])
    assert scale_for([single], SECOND).summary(single) == "5.00"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Ratio(0.9861, 0.9809, 0.9912, 10), "0.986 (0.981 to 0.991)"),
        (Ratio(1.0, None, None, 1), "1.000"),
        (Ratio(0.0456, 0.00001, 12.34, 2), "0.0456 (<0.001 to 12.3)"),
        (Ratio(5.0, 0.5, 8e13, 2), "5.000 (0.500 to >1000)"),
    ],
)
def test_ratios(ratio, text):
    assert format_ratio(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250 ms"),
        (4.21, "4.2 s"),
        (9.96, "10 s"),
        (38.2, "38 s"),
        (59.7, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (90_000, "25 h 00 min"),
        (0, "0 s"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_percent():
    assert format_percent(0.001) == "0.1 %"
    assert format_percent(0.934) == "93.4 %"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_rate, "200 Mbit/s", 200e6),
        (parse_rate, " 1.5Gbit/s ", 1.5e9),
        (parse_rate, "64 kbit/s", 64e3),
        (parse_rate, "1e9 bit/s", 1e9),
        (parse_rate, "0 bit/s", 0.0),
        (parse_duration, "1.5 ms", 0.0015),
        (parse_duration, "12 us", 12e-6),
        (parse_duration, "12 \N{MICRO SIGN}s", 12e-6),
        (parse_duration, "12 \N{GREEK SMALL LETTER MU}s", 12e-6),
        (parse_duration, "2 min", 120.0),
        (parse_duration, "1 h", 3600.0),
        (parse_fraction, "0.1 %", 0.001),
        (parse_fraction, "5%", 0.05),
    ],
)
def test_parsing(parse, text, value):
    assert parse(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_rate, "1.5 ms", "is a duration, and a rate is needed here, such as '200 Mbit/s'"),
        (parse_duration, "200 Mbit/s", "is a rate, and a duration is needed"),
        (parse_fraction, "3 s", "is a duration, and a fraction is needed"),
        (parse_rate, "200", "has no unit"),
        (parse_rate, "200 Mbps", "unknown unit 'Mbps'.*bit/s, kbit/s, Mbit/s"),
        (parse_rate, "200 mbit/s", "unknown unit 'mbit/s'"),
        (parse_rate, "200 MB/s", "unknown unit"),
        (parse_rate, "-5 Mbit/s", "is not a rate: write a number and a unit"),
        (parse_rate, "fast", "is not a rate"),
        (parse_rate, "", "is not a rate"),
        (parse_duration, "nan s", "is not a duration"),
        (parse_duration, "1e400 s", "too large"),
        (parse_duration, "1 s 2 s", "is not a duration"),
        (parse_duration, "\N{ARABIC-INDIC DIGIT FIVE} s", "is not a duration"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(parse, text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@given(st.floats(1e-9, 1e15), st.sampled_from(list(Unit)))
def test_no_value_needs_an_exponent_and_three_digits_stay_true(value, unit):
    text, symbol = format_value(value, unit).split(" ")
    assert "e" not in text
    scale = Scale.of([value], unit)
    assert symbol == scale.symbol
    assert float(text) * scale.factor == pytest.approx(value, rel=0.0051)


@given(st.floats(1.0, 9e14))
def test_what_we_write_we_read(value):
    assert parse_rate(format_value(value, BIT)) == pytest.approx(value, rel=0.0051)


@given(st.floats(1e-8, 1e3))
def test_durations_too(value):
    assert parse_duration(format_value(value, SECOND)) == pytest.approx(value, rel=0.0051)
