"""What several parts of the page show alike: outcomes by sign and word, values, ratios, ids."""

from __future__ import annotations

from pytest_calico_perf.model import Better, Cell, Mode, Outcome, Path, Ratio, Summary
from pytest_calico_perf.report.markup import element, text
from pytest_calico_perf.report.table import Verdict, verdict
from pytest_calico_perf.report.words import (
    MODE_MEANINGS,
    OUTCOME_MEANINGS,
    PATH_MEANINGS,
    SIGNS,
    mode_words,
    ratio_numbers,
)
from pytest_calico_perf.units import Scale

_UP, _DOWN = "\N{BLACK UP-POINTING TRIANGLE}", "\N{BLACK DOWN-POINTING TRIANGLE}"


def cell_id(key: str, cell: Cell) -> str:
    """Where the page tells all about a cell."""
    name = f"{cell.probe}-{cell.id}"
    return f"{key}cell-{''.join(c if c.isascii() and c.isalnum() else '-' for c in name.lower())}"


def hidden(words: str) -> str:
    """Said by a screen reader and not shown."""
    return element("span", text(words), class_="said")


def scrolling(table: str, name: str) -> str:
    """A wide table scrolls by itself, also by keyboard, so that the page never does."""
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=name)


def sign(outcome: Outcome) -> str:
    """An outcome's sign alone, where its word stands elsewhere in the row."""
    return element("span", SIGNS[outcome], class_=f"sign {outcome}", aria_hidden="true")


def outcome_mark(outcome: Outcome) -> str:
    """An outcome by sign, word and colour; its meaning as a tooltip."""
    return element(
        "span",
        sign(outcome),
        " ",
        text(outcome),
        class_=f"outcome {outcome}",
        title=OUTCOME_MEANINGS[outcome],
    )


def mode_name(mode: Mode | None) -> str:
    """A mode with its colour and its meaning as a tooltip; hosts where there is none."""
    meaning = MODE_MEANINGS[mode] if mode else PATH_MEANINGS[Path.HOST_TO_HOST]
    key = element("span", class_="key", style=f"background:var(--{mode or 'host'})")
    return element("span", key, text(mode_words(mode)), title=meaning)


def path_name(path: Path) -> str:
    """A path with its meaning as a tooltip."""
    return element("span", text(path), title=PATH_MEANINGS[path])


def value(scale: Scale, summary: Summary) -> str:
    """Median and interval; the unit stands in the table's head, and is said here."""
    shown = element("span", scale.number(summary.median), class_="value") + " " + hidden(scale.symbol)
    if summary.low is None or summary.high is None:
        return shown
    ends = f"({scale.number(summary.low)} to {scale.number(summary.high)})"
    return f"{shown} {element('span', ends, class_='interval')}"


def ratio_line(ratio: Ratio, of: str, better: Better | None = None) -> str:
    """`0.66 (0.65 to 0.68) of BGP`; with `better`, also whether that is better or worse."""
    number, *ends = ratio_numbers(ratio)
    parts = [element("b", text(number))]
    if ends:
        parts.append(" " + element("span", text(f"({ends[0]} to {ends[1]})"), class_="interval"))
    if of:
        parts.append(" " + text(f"of {of}"))
    says = verdict(ratio, better) if better else Verdict.UNDECIDED
    if says is not Verdict.UNDECIDED:
        arrow = element("span", _UP if says is Verdict.BETTER else _DOWN, aria_hidden="true")
        parts.append(" " + element("span", arrow, " ", says, class_=f"chip {says}"))
    return element("div", "".join(parts), class_="ratio")
