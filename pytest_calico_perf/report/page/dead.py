"""Why a path is dead: the diagnosis in words, the facts that show it, what to do, and what was not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_calico_perf.model import Mode
from pytest_calico_perf.reachability import Symptom
from pytest_calico_perf.report.markup import element, grid, text
from pytest_calico_perf.report.page.commands import commands_of
from pytest_calico_perf.report.words import listed, mode_words

# The steps of the reachability check as people call them (reachability.py, Symptom).
_SYMPTOMS: Mapping[str, str] = {
    Symptom.SMALL_PING: "a small ping",
    Symptom.FULL_SIZE_PING: "a ping of full size",
    Symptom.TCP_HANDSHAKE: "a TCP handshake",
    Symptom.TCP_BULK: "much data by TCP",
    Symptom.TCP_BULK_REVERSE: "much data by TCP, back from the server",
}


def diagnosis(found: Mapping[str, Any], share: int, told_at: str = "") -> str:
    """A diagnosis as `Diagnosis.to_json` wrote it; nothing where there is none.

    Args:
        found: It. Read from a file it may hold anything, so nothing is relied on.
        share: How many characters of a command's output are shown.
        told_at: Id of the cell that shows the very same looks and commands; empty where they are shown here.
    """
    if not found:
        return ""
    parts = [element("h4", "Diagnosis"), element("p", element("b", text(found.get("sentence", ""))))]
    findings = _mappings(found.get("findings"))
    # Of one alone the sentence has told what is broken.
    parts += [_finding(each, alone=len(findings) == 1) for each in findings]
    parts.append(_labelled("What to do", found.get("remedy")))
    if works := [_mode(word) for word in _list(found.get("works"))]:
        parts.append(_labelled("Would work, as far as was seen", listed(works)))
    parts.append(
        _labelled(
            "What was noticed first",
            _noticed(_symptom(found.get("symptom")), str(found.get("said") or "")),
        )
    )
    unseen = [element("li", text(each)) for each in _list(found.get("not_seen"))]
    missed = element("p", element("b", "Could not be looked at:")) + element("ul", *unseen) if unseen else ""
    if told_at:
        title = "Every link that was looked at, and the commands: the same as in the path's first cell"
        link = element("p", element("a", title, href=f"#{told_at}"))
        return element("div", *parts, missed, link, class_="dead")
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
    parts.append(missed)
    parts.append(commands_of(found.get("commands"), share))
    return element("div", *parts, class_="dead")


def _finding(found: Mapping[str, Any], *, alone: bool) -> str:
    facts = [element("li", text(fact)) for fact in _list(found.get("facts"))]
    title, broken = text(found.get("title", "")), text(found.get("broken", ""))
    return "".join(
        (
            element("p", title) if alone else element("p", element("b", title), " ", broken),
            element("ul", *facts) if facts else "",
            element("p", text(found.get("meaning", ""))) if found.get("meaning") else "",
        )
    )


def _labelled(label: str, words: object) -> str:
    return element("p", element("b", f"{label}:"), " ", text(words)) if words else ""


def _noticed(symptom: str, said: str) -> str:
    """`a small ping: no reply`; what was said alone where it names the step itself."""
    return said if said.startswith(symptom) else ": ".join(filter(None, (symptom, said)))


def _symptom(found: object) -> str:
    key = str(found or "")
    return _SYMPTOMS.get(key, key)


def _mode(word: object) -> str:
    known = str(word)
    return mode_words(Mode(known)) if known in list(Mode) else known


def _list(found: object) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else []


def _mappings(found: object) -> list[Mapping[str, Any]]:
    return [each for each in _list(found) if isinstance(each, Mapping)]
