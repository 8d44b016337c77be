"""Facts instead of figures: what a probe such as `link` found out once, and any nested details, as words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.model import CellResult, Outcome, Unit
from pytest_calico_perf.units import format_value

_LONGEST_LIST = 12  # of a list, so many items are shown
# Names of the record that are no words yet; the offloads in full as `ethtool -k` has them.
_WORDS = {
    "tso": "TCP segmentation",
    "gso": "generic segmentation",
    "gro": "generic receive",
    "tx": "TX",
    "rx": "RX",
    "mtu": "MTU",
    "offloads": "offload",
}


@dataclass(frozen=True)
class FactsTable:
    """Facts as rows, the places they are true of as columns.

    Attributes:
        probe: Its name.
        meaning: What it looks at, in words.
        columns: The places: nodes, or a path.
        rows: Name of a fact, in words, and its value at every place; empty where it has none.
        failures: Results that are not ok, with their reasons.
    """

    probe: str
    meaning: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    failures: tuple[CellResult, ...] = ()


def facts_table(results: Sequence[CellResult], meaning: str) -> FactsTable:
    """The facts of all results of one probe side by side."""
    columns: dict[str, dict[str, str]] = {}
    for result in results:
        for place, facts in _places(result):
            columns.setdefault(place, {}).update(flatten(facts))
    names = dict.fromkeys(name for facts in columns.values() for name in facts)
    return FactsTable(
        probe=results[0].cell.probe,
        meaning=meaning,
        columns=tuple(columns),
        rows=tuple(
            (in_words(name), tuple(facts.get(name, "") for facts in columns.values())) for name in names
        ),
        failures=tuple(result for result in results if result.outcome is not Outcome.OK),
    )


def _places(result: CellResult) -> list[tuple[str, Mapping[str, Any]]]:
    """Details by place when they are told apart (one mapping per node), else all of the path."""
    details = result.details
    if details and all(isinstance(value, Mapping) for value in details.values()):
        return list(details.items())
    return [(str(result.cell.path), details)] if details else []


def flatten(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested facts as one level of words: `{"offloads": {"tso": True}}` -> `{"offloads.tso": "on"}`.

    Of a list of things each is told by its name, or else its number.
    """
    flat: dict[str, str] = {}
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value, start=1):
                flat.update(flatten(item, f"{name}.{item.get('name', number)}."))
        else:
            flat[name] = _fact(name, value)
    return flat


def in_words(name: str) -> str:
    """A name out of `flatten` as words, its group last: `offloads.tx-checksum` -> `TX checksum offload`."""
    words = [word for part in reversed(name.split(".")) for word in re.split(r"[_-]", part)]
    return " ".join(_WORDS.get(word, word) for word in words)


def _fact(name: str, value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        # ethtool's words for an offload, everybody's for the rest.
        yes, no = ("on", "off") if "offload" in name else ("yes", "no")
        return yes if value else no
    if isinstance(value, int | float) and name.endswith("speed"):
        return format_value(float(value), Unit.BIT_PER_SECOND)
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(_fact(name, item) for item in value[:_LONGEST_LIST])
        return shown if len(value) <= _LONGEST_LIST else f"{shown}, ... ({len(value)} in all)"
    return str(value)
