"""A page of its own around blocks of HTML: self-contained, static, and without a request to anybody."""

from __future__ import annotations

from pytest_calico_perf.report.markup import element, text

# Nothing may be loaded or run, whatever a block holds; what is drawn is inline.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = (
    "body{margin:0 auto;max-width:75rem;padding:1rem;font-family:system-ui,sans-serif}"
    "@media print{body{max-width:none;padding:0}}@page{size:A4;margin:12mm}"
)


def standalone(title: str, *blocks: str, heading: str = "") -> str:
    """A whole HTML document.

    Args:
        title: What it is about; plain text.
        blocks: Its parts, which are markup already and bring their own styles.
        heading: What stands above them, plain text; the title where empty.
    """
    head = element(
        "head",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        element("title", text(title)),
        element("style", _STYLE),
    )
    # Within the blocks' class, for their colours.
    top = element("div", element("h1", text(heading or title)), class_="calico-perf")
    body = element("body", element("main", top, *blocks))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"
