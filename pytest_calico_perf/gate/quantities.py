"""What of a probe can be limited: its sample, and those details that every run tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pytest_calico_perf.model import Better, CellResult, Summary, Unit
from pytest_calico_perf.probes import PROBES
from pytest_calico_perf.units import format_percent, parse_fraction, parse_value, scale_for

SAMPLE_KEYS: Mapping[Better, str] = {Better.HIGHER: "min", Better.LOWER: "max"}


class Plain(Enum):
    """Dimensions that are no unit of a sample."""

    FRACTION = "fraction"
    COUNT = "count"


@dataclass(frozen=True)
class Quantity:
    """One thing that every run of a probe tells.

    Attributes:
        key: As it is written in a threshold: `min`, `p99`, `loss`.
        unit: Unit of its values, which are SI.
        better: Whether a threshold of it is a least or a greatest.
        field: Where a run's details have it; empty for the sample.
        adds_up: Whether the rounds together are meant (packets lost), and not the usual one of them.
    """

    key: str
    unit: Unit | Plain
    better: Better
    field: tuple[str, ...] = ()
    adds_up: bool = False

    def values(self, result: CellResult) -> tuple[float, ...]:
        """One value per round that told one."""
        if not self.field:
            return result.samples
        found = (_lookup(run, self.field) for run in result.runs)
        return tuple(value for value in found if value is not None)

    def parse(self, written: object) -> float:
        """A limit as a person writes it, in SI.

        Raises:
            ValueError: It is not a quantity of this dimension, or one that cannot be; says why.
        """
        if self.unit is Plain.COUNT:
            if isinstance(written, bool) or not isinstance(written, int) or written < 0:
                raise ValueError(f"{written!r} is not a whole number, 0 or more")
            return float(written)
        if self.unit is Plain.FRACTION:
            value = parse_fraction(_text(written))
            if value > 1:
                raise ValueError(f"{written!r} is more than all")
            return value
        value = parse_value(_text(written), self.unit)
        if value == 0:
            raise ValueError(f"{written!r} limits nothing that can be")
        return value

    def text(self, summary: Summary) -> str:
        """Median (or mean) and interval with their unit: `3.61 (3.55 to 3.70) Gbit/s`."""
        if isinstance(self.unit, Unit):
            scale = scale_for([summary], self.unit)
            return f"{scale.summary(summary)} {scale.symbol}"
        number = format_percent if self.unit is Plain.FRACTION else _count
        if summary.low is None or summary.high is None:
            return number(summary.median)
        return f"{number(summary.median)} ({number(summary.low)} to {number(summary.high)})"


def quantities(probe: str) -> dict[str, Quantity]:
    """What can be limited of a probe, by key. Nothing of one that states facts instead of taking samples."""
    kind: Any = PROBES[probe]
    if kind.once:
        return {}
    key = SAMPLE_KEYS[kind.better]
    sample = Quantity(key, kind.unit, kind.better)
    return {key: sample, **{each.key: each for each in _DETAILS.get(probe, ())}}


def _of(key: str, unit: Unit | Plain, better: Better = Better.LOWER, *field: str) -> Quantity:
    return Quantity(key, unit, better, field or (key,))


_LOSS = Quantity("loss", Plain.FRACTION, Better.LOWER, ("loss",), adds_up=True)
_TCP = (
    Quantity("retransmits", Plain.COUNT, Better.LOWER, ("retransmits",), adds_up=True),
    _of("reverse", Unit.BIT_PER_SECOND, Better.HIGHER, "reverse", "goodput"),
)
_HTTP = tuple(_of(key, Unit.SECOND) for key in ("p50", "p90", "p99"))
_DETAILS: Mapping[str, tuple[Quantity, ...]] = {
    "ping": (
        _of("p90", Unit.SECOND),
        _of("p99", Unit.SECOND),
        _of("jitter", Unit.SECOND),
        _LOSS,
    ),
    "tcp": _TCP,
    "tcp-parallel": _TCP,
    "udp": (_LOSS, _of("jitter", Unit.SECOND)),
    "http": _HTTP,
    "http-keepalive": _HTTP,
    "connect": _HTTP,
}


def _lookup(run: Mapping[str, Any], field: tuple[str, ...]) -> float | None:
    value: Any = run
    for name in field:
        value = value.get(name) if isinstance(value, Mapping) else None
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _text(written: object) -> str:
    # A bare number is read as one, so that the message can say that its unit is missing.
    return written if isinstance(written, str) else str(written)


def _count(value: float) -> str:
    return f"{value:g}"
