"""Why a path is dead: the diagnosis in words, the facts that show it, what to do, and what was not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_calico_perf.model import Mode
from pytest_calico_perf.report.markup import element, grid, text
from pytest_calico_perf.report.page.commands import commands_of
from pytest_calico_perf.report.words import listed, mode_words


def diagnosis(found: Mapping[str, Any], share: int) -> str:
    """A diagnosis as `Diagnosis.to_json` wrote it; nothing where there is none.

    Args:
        found: It. Read from a file it may hold anything, so nothing is relied on.
        share: How many characters of a command's output are shown.
    """
    if not found:
        return ""
    parts = [element("h4", "Diagnosis"), element("p", element("b", text(found.get("sentence", ""))))]
    parts += [_finding(each) for each in _mappings(found.get("findings"))]
    parts.append(_labelled("What to do", found.get("remedy")))
    if works := [_mode(word) for word in _list(found.get("works"))]:
        parts.append(_labelled("Works as things are", listed(works)))
    parts.append(
        _labelled(
            "What was noticed first",
            ": ".join(str(found[key]) for key in ("symptom", "said") if found.get(key)),
        )
    )
    checks = [
        (
            text(each.get("link", "")),
            text(each.get("where", "")),
            text(each.get("state", "")),
            text(each.get("says", "")),
        )
        for each in _mappings(found.get("checks"))
    ]
    if checks:
        table = grid(("link", "looked at", "state", "what was seen"), checks)
        parts.append(
            element("details", element("summary", f"Every link that was looked at ({len(checks)})"), table)
        )
    if unseen := _list(found.get("not_seen")):
        items = [element("li", text(each)) for each in unseen]
        parts.append(element("p", element("b", "Could not be looked at:")) + element("ul", *items))
    parts.append(commands_of(found.get("commands"), share))
    return element("div", *parts, class_="dead")


def _finding(found: Mapping[str, Any]) -> str:
    facts = [element("li", text(fact)) for fact in _list(found.get("facts"))]
    return "".join(
        (
            element("p", element("b", text(found.get("title", ""))), " ", text(found.get("broken", ""))),
            element("ul", *facts) if facts else "",
            element("p", text(found.get("meaning", ""))) if found.get("meaning") else "",
        )
    )


def _labelled(label: str, words: object) -> str:
    return element("p", element("b", f"{label}:"), " ", text(words)) if words else ""


def _mode(word: object) -> str:
    known = str(word)
    return mode_words(Mode(known)) if known in list(Mode) else known


def _list(found: object) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else []


def _mappings(found: object) -> list[Mapping[str, Any]]:
    return [each for each in _list(found) if isinstance(each, Mapping)]
