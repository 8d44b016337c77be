"""The top of the page: what came of the run in one sentence, and what must be known before any figure."""

from __future__ import annotations

from pytest_calico_perf.model import RunRecord
from pytest_calico_perf.report.headline import Headline, Tone, headline
from pytest_calico_perf.report.markup import element, text
from pytest_calico_perf.report.page.parts import hidden
from pytest_calico_perf.report.table import NOTHING_MEASURED, notes, tally
from pytest_calico_perf.report.words import listed, mode_words
from pytest_calico_perf.units import format_duration, format_percent

_SIGNS = {
    Tone.GOOD: "\N{CHECK MARK}",
    Tone.PLAIN: "\N{BULLET}",
    Tone.DOUBT: "?",
    Tone.BAD: "\N{MULTIPLICATION X}",
}
_SAID = {Tone.GOOD: "good:", Tone.PLAIN: "", Tone.DOUBT: "in doubt:", Tone.BAD: "bad:"}


def top(record: RunRecord, *, titled: bool) -> str:
    """Title where it is `titled`, sentence of verdict, circumstances."""
    title = f"Calico modes on {record.cluster.get('name') or 'a cluster without a name'}"
    found = headline(record)
    counted = tally(record)
    return element(
        "header",
        element("h2", text(title)) if titled else "",
        _sentence(found),
        element("p", " &middot; ".join(text(word) for word in _circumstances(record)), class_="muted"),
        element("p", text(f"Verdicts: {counted}"), class_="muted") if counted else "",
        element("p", element("b", f"{NOTHING_MEASURED}:"), " ", text(record.problem), class_="alarm")
        if record.problem
        else "",
        element("ul", *(element("li", text(note)) for note in said), class_="notes")
        if (said := notes(record))
        else "",
    )


def _sentence(found: Headline) -> str:
    """Clause by clause, each a sentence on its own line with a sign."""
    lines = []
    for clause in found.clauses:
        words = f"{clause.text[0].upper()}{clause.text[1:].rstrip('.')}."
        quiet = " quiet" if clause.quiet else ""
        mark = element("span", _SIGNS[clause.tone], class_="sign", aria_hidden="true")
        said = hidden(_SAID[clause.tone]) + " " if _SAID[clause.tone] else ""
        lines.append(element("span", mark, " ", said, text(words), class_=f"clause {clause.tone}{quiet}"))
    return element("p", " ".join(lines), class_=f"headline {found.tone}")


def _circumstances(record: RunRecord) -> list[str]:
    words = [
        listed(mode_words(mode) for mode in record.modes),
        f"profile {record.profile.get('name') or 'without a name'}",
        f"started {record.started.replace('T', ' ')}",
        f"took {format_duration(record.wall_seconds)}",
    ]
    if record.wall_seconds > 0 and record.measuring_seconds > 0:
        words.append(f"{format_percent(record.measuring_seconds / record.wall_seconds)} of it measuring")
    return [word for word in words if word]
