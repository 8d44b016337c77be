"""Lines of a terminal made of spans, so that colour is added at the very end, and only where there is any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from types import MappingProxyType
from typing import Protocol

_LONGEST_TEXT = 600
_GAP = "  "


class Style(StrEnum):
    """How a reader should take a span. Words alone say the same: a log has no colour."""

    PLAIN = "plain"
    STRONG = "strong"
    GOOD = "good"
    DOUBT = "doubt"
    BAD = "bad"
    FAINT = "faint"


# In the words of pytest's TerminalWriter, which knows of --color, NO_COLOR and whether this is a terminal.
_MARKUP: Mapping[Style, Mapping[str, bool]] = MappingProxyType(
    {
        Style.PLAIN: {},
        Style.STRONG: {"bold": True},
        Style.GOOD: {"green": True},
        Style.DOUBT: {"yellow": True},
        Style.BAD: {"red": True, "bold": True},
        Style.FAINT: {"light": True},
    }
)


@dataclass(frozen=True)
class Span:
    """A piece of a line in one style."""

    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True)
class Line:
    """A line, or a part of one that stands in a column."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, text: str, style: Style = Style.PLAIN) -> Line:
        """All of it in one style."""
        return cls((Span(text, style),))

    @property
    def text(self) -> str:
        """What it says, without style."""
        return "".join(span.text for span in self.spans)

    def __len__(self) -> int:
        return sum(len(span.text) for span in self.spans)

    def __add__(self, other: Line) -> Line:
        return Line((*self.spans, *other.spans))


class Writer(Protocol):
    """What a terminal must know; pytest's reporter does."""

    def write(self, content: str, **markup: bool) -> None:
        """Write a piece of a line, marked up where the terminal knows how."""

    def line(self, msg: str, **kw: bool) -> None:
        """Write a line."""


def write(writer: Writer, lines: Iterable[Line]) -> None:
    """Write lines to a terminal, a pipe or a file; with colour where the writer says there is any."""
    for line in lines:
        for span in line.spans:
            writer.write(span.text, **_MARKUP[span.style])
        writer.line("")


def one_line(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text` without what would move the cursor: control characters go, white space becomes one blank."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= longest else f"{line[:longest]}..."


def wrap(spans: Iterable[Span] | str, width: int, lead: str = "") -> list[Line]:
    """A paragraph as lines of at most `width` columns, where its words allow it.

    Args:
        spans: The paragraph; white space between words becomes one blank, within and between spans.
        width: Columns.
        lead: What stands before the first line; the others are indented as far.
    """
    told = (Span(spans),) if isinstance(spans, str) else tuple(spans)
    lines: list[list[Span]] = [[Span(lead)] if lead else []]
    used = len(lead)
    for word, style in _words(told):
        room = width - len(lead)
        pieces = [word[start : start + room] for start in range(0, len(word), room)]  # of an endless word
        for piece in pieces:
            begins = used == len(lead)
            if not begins and used + 1 + len(piece) > width:
                lines.append([Span(" " * len(lead))] if lead else [])
                used, begins = len(lead), True
            lines[-1].append(Span(piece if begins else f" {piece}", style))
            used += len(piece) + (not begins)
    return [_joined(line) for line in lines]


def grid(columns: Sequence[Sequence[Line]]) -> list[Line]:
    """Columns side by side, padded to their width, with a rule under the first line."""
    widths = [widest(column) for column in columns]
    rows = [list(row) for row in zip_longest(*columns, fillvalue=Line())]
    rows.insert(1, [Line.of("-" * width, Style.FAINT) for width in widths])
    return [_row(row, widths) for row in rows]


def widest(lines: Iterable[Line | str]) -> int:
    """Length of the longest line; 0 without any."""
    return max((len(line) for line in lines), default=0)


def _row(cells: Sequence[Line], widths: Sequence[int]) -> Line:
    last = max((index for index, cell in enumerate(cells) if len(cell)), default=-1)
    spans: list[Span] = []
    for index, (cell, width) in enumerate(zip(cells[: last + 1], widths, strict=False)):
        padding = "" if index == last else " " * (width - len(cell)) + _GAP
        spans += [*cell.spans, Span(padding)]
    return _joined(spans)


def _words(spans: Iterable[Span]) -> Iterator[tuple[str, Style]]:
    """The words of a paragraph; a number and its percent sign are one."""
    for span in spans:
        for word in span.text.replace(" %", "\N{NO-BREAK SPACE}%").split(" "):
            if word:
                yield word.replace("\N{NO-BREAK SPACE}", " "), span.style


def _joined(spans: Iterable[Span]) -> Line:
    """Neighbours of one style as one span."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].style is span.style:
            found[-1] = Span(found[-1].text + span.text, span.style)
        elif span.text:
            found.append(span)
    return Line(tuple(found))
