"""One written demand (`min: 4 Gbit/s`, `ratio-to: {ipip: 1.0}`) as a rule; the same in files and marks."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from pytest_calico_perf.errors import did_you_mean
from pytest_calico_perf.gate.quantities import SAMPLE_KEYS, quantities
from pytest_calico_perf.gate.rules import Limit, RatioTo
from pytest_calico_perf.model import Better, Mode
from pytest_calico_perf.probes import PROBES, probe_names
from pytest_calico_perf.units import parse_fraction

TO_HOST = "ratio-to-host"
TO_MODE = "ratio-to"
_RATIOS = (TO_HOST, TO_MODE)


class Misfit(ValueError):
    """A demand that cannot be; `field` is what it stands in, below the demand's own key."""

    def __init__(self, message: str, *field: str) -> None:
        super().__init__(message)
        self.field = field


def keys_of(probe: str | None) -> tuple[str, ...]:
    """What can be demanded of a probe; of any probe (None): what means the same for all that have it."""
    if probe is not None:
        known = tuple(quantities(probe))
        return (*known, *_RATIOS) if known else ()
    found = (key for name in probe_names() for key in quantities(name))
    return tuple(key for key in dict.fromkeys(found) if key not in SAMPLE_KEYS.values() and _one_meaning(key))


def all_keys() -> frozenset[str]:
    """Every key that any probe has."""
    return frozenset(_RATIOS) | {key for name in probe_names() for key in quantities(name)}


def unknown(key: str, probe: str | None) -> str:
    """Why a key cannot be used there: its own reason where it has one, else the nearest, and all known."""
    known = keys_of(probe)
    kind = f"the probe {probe}" if probe else "every probe"
    if probe and not known:
        return f"{probe} states facts, which are no samples: there is nothing to demand of it"
    if key in SAMPLE_KEYS.values():
        if probe is None:
            return f"{key} has another unit for each probe: name the probe"
        better = direction(probe)
        return f"{probe} is better when {better}: its limit is {SAMPLE_KEYS[better]}"
    if key in _RATIOS and probe is None:
        return (
            f"{key} is a least for some probes and a greatest for others: name the probe, or write it under "
            "expect, such as 'bgp >= host * 0.85'"
        )
    return f"unknown demand on {kind}{did_you_mean(key, known)} (known: {', '.join(known)})"


def direction(probe: str) -> Better:
    """Which direction of a probe's samples is good."""
    better: Better = PROBES[probe].better  # type: ignore[attr-defined]
    return better


def rules(key: str, written: object, probe: str, source: str) -> Iterator[tuple[str, Limit | RatioTo | None]]:
    """The rules that a demand on a probe makes, by what they are about: of two about the same one is kept.

    Args:
        key: One of `keys_of(probe)`.
        written: Its value; None takes back what was demanded elsewhere.
        probe: Of which probe.
        source: Where it was written.

    Raises:
        Misfit: It is no such value; says why.
    """
    if key == TO_MODE:
        for mode, ratio in _ratios_to(written).items():
            about = f"{TO_MODE} {mode}"
            try:
                yield about, _ratio(about, ratio, mode, probe, source)
            except ValueError as error:
                raise Misfit(str(error), mode) from None
    elif key == TO_HOST:
        try:
            yield key, _ratio(key, written, None, probe, source)
        except ValueError as error:
            raise Misfit(str(error)) from None
    elif written is None:
        yield key, None
    else:
        quantity = quantities(probe)[key]
        try:
            limit = quantity.parse(written)
        except ValueError as error:
            raise Misfit(str(error)) from None
        yield key, Limit(quantity, limit, f"{key}: {written}", source)


def _ratio(key: str, written: object, base: Mode | None, probe: str, source: str) -> RatioTo | None:
    if written is None:
        return None
    return RatioTo(base, ratio(written), direction(probe), f"{key}: {written}", source)


def ratio(written: object) -> float:
    """A ratio as written: `0.85`, or `85 %`.

    Raises:
        ValueError: It is none, or not positive and finite.
    """
    value = math.nan
    if isinstance(written, str) and "%" in written:
        value = parse_fraction(written)
    elif isinstance(written, int | float) and not isinstance(written, bool):
        try:
            value = float(written)
        except OverflowError:
            value = math.inf
    if not 0 < value < math.inf:
        shown = repr(written) if len(str(written)[:41]) <= 40 else "this"
        raise ValueError(f"{shown} is not a ratio: write a number above 0 such as 0.9, or 90 %")
    return value


def _ratios_to(written: object) -> Mapping[Mode, object]:
    """Mode -> ratio; a mode alone stands for `{mode: 1.0}`."""
    if isinstance(written, str):
        return {_mode(written): 1.0}
    if not isinstance(written, Mapping) or not written:
        raise Misfit("write a mode, such as bgp, or modes with their ratios, such as {ipip: 1.0}")
    return {_mode(name, name): value for name, value in written.items()}


def _mode(name: object, *field: str) -> Mode:
    known: Collection[str] = tuple(Mode)
    if not isinstance(name, str) or name not in known:
        hint = f"; of hosts, write {TO_HOST}" if str(name) in ("host", "host-to-host") else ""
        guess = did_you_mean(str(name), known)
        raise Misfit(f"{str(name)[:40]!r} is not a mode{guess}{hint} (known: {', '.join(known)})", *field)
    return Mode(name)


def _one_meaning(key: str) -> bool:
    """Whether a key has one unit and one direction wherever it is known."""
    meanings = {
        (found[key].unit, found[key].better) for found in map(quantities, probe_names()) if key in found
    }
    return len(meanings) == 1
