"""HTML made of elements, so that nothing reaches a page unescaped by accident."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

_LONGEST_TEXT = 2000
_CUT = re.compile(r"\n\[\.\.\. (\d{1,15}) characters left out \.\.\.\]\n", re.ASCII)


def element(name: str, *content: str, **attributes: str | float) -> str:
    """One element around `content`, which is markup already: of `text()` or of another `element()`.

    Attribute values are escaped here; `class_` stands for class, `data_column_type` for data-column-type.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(content)}</{name}>"


def text(value: object) -> str:
    """`value` as text of a page: escaped, on one line, and no longer than a reader can bear."""
    line = " ".join(_visible(str(value)).split())
    return escape(line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}...")


def preformatted(value: str, most: int) -> str:
    """What a tool printed, line by line: escaped, and cut in the middle where it is longer than `most`.

    What was cut when it was recorded (`cluster/recording.py`) is cut in the same place, so that it says once
    how much is missing in all.
    """
    lines = "\n".join(_visible(line.rstrip()) for line in value.expandtabs(4).splitlines())
    if len(lines) > most:
        if cut := _CUT.search(lines):
            before, after, gone = lines[: cut.start()], lines[cut.end() :], int(cut[1])
        else:
            half = len(lines) // 2
            before, after, gone = lines[:half], lines[half:], 0
        head, tail = before[: most * 2 // 3], after[max(0, len(after) - most + most * 2 // 3) :]
        gone += len(before) - len(head) + len(after) - len(tail)
        lines = f"{head}\n[... {gone} characters left out ...]\n{tail}"
    return escape(lines, quote=False)  # JSON is full of quotes, which mean nothing between tags


def grid(
    heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", class_: str = "facts"
) -> str:
    """A table whose first column names its rows; cells are markup already.

    Args:
        heads: Column heads; the first may be empty.
        rows: Their cells, the row's head first.
        caption: What a screen reader says of it, and a reader sees above it.
        class_: Its class in the style.
    """
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in cells))
        for first, *cells in rows
    ]
    # An empty head is no header: assistive technology would announce a column without a name.
    head = [element("th", title, scope="col") if title else element("td") for title in heads]
    return element(
        "table",
        element("caption", caption) if caption else "",
        element("thead", element("tr", *head)) if any(heads) else "",
        element("tbody", *body),
        class_=class_,
    )


def _visible(line: str) -> str:
    """Without control characters, and without those that turn the direction of what follows."""
    return "".join(c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in line)
