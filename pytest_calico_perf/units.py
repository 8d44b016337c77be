"""Values to text and back, at the edge only: inside, everything is bit/s, seconds and counts.

Prefixes are SI (1 Gbit/s = 10^9 bit/s). Text is ASCII, so that it survives any log, mail and terminal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pytest_calico_perf.model import Ratio, Summary, Unit

# What a value without one is shown as.
NO_VALUE = "-"

_RATE_PREFIXES = {1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k", 1.0: ""}
_TIME_PREFIXES = {1.0: "", 1e-3: "m", 1e-6: "u", 1e-9: "n"}
_SYMBOLS = {
    Unit.BIT_PER_SECOND: "bit/s",
    Unit.SECOND: "s",
    Unit.REQUEST_PER_SECOND: "req/s",
    Unit.CONNECTION_PER_SECOND: "conn/s",
}

_RATES = {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "Tbit/s": 1e12}
_DURATIONS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
# The micro sign and the Greek letter look the same, and keyboards have the one or the other.
_SPELLINGS = {"\N{MICRO SIGN}s": "us", "\N{GREEK SMALL LETTER MU}s": "us"}
_FRACTIONS = {"%": 0.01}
_REQUESTS = {"requests/s": 1.0, "req/s": 1.0, "kreq/s": 1e3, "Mreq/s": 1e6}
_CONNECTIONS = {"connections/s": 1.0, "conn/s": 1.0, "kconn/s": 1e3, "Mconn/s": 1e6}
_DIMENSIONS: Mapping[str, tuple[Mapping[str, float], str]] = {
    "a rate": (_RATES, "200 Mbit/s"),
    "a duration": (_DURATIONS, "1.5 ms"),
    "a fraction": (_FRACTIONS, "0.1 %"),
    "a rate of requests": (_REQUESTS, "20 kreq/s"),
    "a rate of connections": (_CONNECTIONS, "9000 conn/s"),
}
_UNITS = {
    Unit.BIT_PER_SECOND: "a rate",
    Unit.SECOND: "a duration",
    Unit.REQUEST_PER_SECOND: "a rate of requests",
    Unit.CONNECTION_PER_SECOND: "a rate of connections",
}
_QUANTITY = re.compile(r"\s*(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>\S*)\s*")


@dataclass(frozen=True)
class Scale:
    """One prefix and one precision for values that are read side by side.

    Attributes:
        factor: A value is divided by it before it is shown.
        symbol: Unit with its prefix: `Gbit/s`, `us`, `kreq/s`.
        digits: Significant digits.
    """

    factor: float
    symbol: str
    digits: int = 3

    @classmethod
    def of(cls, values: Iterable[float], unit: Unit, digits: int = 3) -> Scale:
        """The scale that suits the largest of `values` (SI, in `unit`)."""
        prefixes = _TIME_PREFIXES if unit is Unit.SECOND else _RATE_PREFIXES
        # As it will be shown: 999.9 Mbit/s rounds to 1000, which is written 1.00 Gbit/s.
        largest = max((_round(abs(value), digits) for value in values), default=0.0)
        fitting = [factor for factor in prefixes if largest >= factor]
        smallest = 1.0 if largest == 0 else min(prefixes)
        factor = max(fitting, default=smallest)
        return cls(factor, prefixes[factor] + _SYMBOLS[unit], digits)

    def number(self, value: float | None) -> str:
        """`value` (SI) in this scale, without the symbol."""
        return NO_VALUE if value is None else _plain(value / self.factor, self.digits)

    def text(self, value: float | None) -> str:
        """`value` (SI) in this scale, with the symbol."""
        return NO_VALUE if value is None else f"{self.number(value)} {self.symbol}"

    def summary(self, summary: Summary) -> str:
        """Median and interval: `9.41 (9.38 to 9.44)`; the median alone when there is no interval."""
        return _with_interval(self.number, summary.median, summary.low, summary.high)


def scale_for(summaries: Iterable[Summary], unit: Unit) -> Scale:
    """The scale in which `summaries` are comparable: three digits, more where an interval needs them to show.

    On a shaped link samples differ by a tenth of a percent; three digits would print `191 (191 to 191)`.
    """
    known = tuple(summaries)
    values = [
        value
        for summary in known
        for value in (summary.median, summary.low, summary.high)
        if value is not None
    ]
    scale = Scale.of(values, unit)
    for digits in (4, 5):
        if all(_shows_width(scale, summary) for summary in known):
            break
        scale = Scale.of(values, unit, digits)
    return scale


def _shows_width(scale: Scale, summary: Summary) -> bool:
    if summary.low is None or summary.high is None or summary.low == summary.high:
        return True
    return scale.number(summary.low) != scale.number(summary.high)


def format_value(value: float | None, unit: Unit) -> str:
    """One value (SI) with the prefix that suits it: `9.41 Gbit/s`, `12.3 us`, `12.3 kreq/s`."""
    return Scale.of(() if value is None else (value,), unit).text(value)


def format_column(values: Iterable[float | None], unit: Unit) -> tuple[str, ...]:
    """Values (SI) that stand in one column: all with the same prefix, that of the largest."""
    column = tuple(values)
    scale = Scale.of((value for value in column if value is not None), unit)
    return tuple(scale.text(value) for value in column)


def format_ratio(ratio: Ratio) -> str:
    """`0.986 (0.981 to 0.991)`: value and 95 % interval; the value alone when there is no interval."""
    return _with_interval(_ratio_number, ratio.value, ratio.low, ratio.high)


def format_duration(seconds: float) -> str:
    """A stretch of time as people say it: `4.2 s`, `38 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return format_value(seconds, Unit.SECOND)
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_percent(fraction: float) -> str:
    """A fraction in percent, three significant digits: `0.1 %`, `93.4 %`."""
    return f"{fraction * 100:.3g} %"


def format_count(number: int, thing: str) -> str:
    """How many of a thing, in words: `1 round`, `6 rounds`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def parse_rate(text: str) -> float:
    """A rate such as `200 Mbit/s` in bit/s.

    Raises:
        ValueError: It is not a number with one of the units bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s; says why.
    """
    return _parse(text, "a rate")


def parse_duration(text: str) -> float:
    """A duration such as `1.5 ms` in seconds.

    Raises:
        ValueError: It is not a number with one of the units ns, us, ms, s, min, h; says why.
    """
    return _parse(text, "a duration")


def parse_fraction(text: str) -> float:
    """A share such as `0.1 %` as a fraction (0.001).

    Raises:
        ValueError: It is not a number with a percent sign; says why.
    """
    return _parse(text, "a fraction")


def parse_value(text: str, unit: Unit) -> float:
    """A value as people write it (`4 Gbit/s`, `1.5 ms`, `20 kreq/s`) in the SI base that `unit` is.

    Raises:
        ValueError: It is not a number with a prefix of that unit; says why.
    """
    return _parse(text, _UNITS[unit])


def _parse(text: str, wanted: str) -> float:
    units, example = _DIMENSIONS[wanted]
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {wanted}: write a number and a unit, such as '{example}'")
    symbol = _SPELLINGS.get(match["unit"], match["unit"])
    if not symbol:
        raise ValueError(f"{text!r} has no unit: write {wanted} with one, such as '{example}'")
    if symbol in units:
        value = float(match["number"]) * units[symbol]
        if not math.isfinite(value):
            raise ValueError(f"{text!r} is too large to be {wanted}")
        return value
    for dimension, (others, _) in _DIMENSIONS.items():
        if symbol in others:
            raise ValueError(f"{text!r} is {dimension}, and {wanted} is needed here, such as '{example}'")
    # Mbps may mean bits or bytes (tc takes it for bytes), and mbit/s is a millibit: no guessing.
    raise ValueError(
        f"{text!r} has an unknown unit {symbol!r}: {wanted} is written with one of {', '.join(units)},"
        f" such as '{example}'"
    )


def _with_interval(
    number: Callable[[float], str], value: float, low: float | None, high: float | None
) -> str:
    if low is None or high is None:
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


def _ratio_number(value: float) -> str:
    if value < 0.001:
        return "<0.001"
    if value >= 999.5:
        return ">1000"
    # Below 0.1 three decimals would be two digits or fewer; above 10 they would pretend.
    return f"{value:.3f}" if 0.1 <= value < 10 else _plain(value, 3)


def _round(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _plain(value: float, digits: int) -> str:
    """`value` with `digits` significant digits and never an exponent."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(_round(value, digits))))
    return f"{value:.{max(0, digits - 1 - magnitude)}f}"
