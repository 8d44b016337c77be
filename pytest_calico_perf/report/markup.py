"""HTML made of elements, so that nothing reaches a page unescaped by accident."""

from __future__ import annotations

from html import escape

_LONGEST_TEXT = 2000


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
    line = " ".join(str(value).split())
    return escape(line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}...")
