"""A diagnosis as text for a terminal: what is broken, what shows it, what to do, what was not seen.

It reads `diagnosis.Diagnosis.to_json`, as `CellResult.diagnosis` holds it, also where that is from a file.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_calico_perf.model import CellResult, Mode, Outcome, Path, RunRecord
from pytest_calico_perf.parsing import lookup, mappings, one_line

_NARROWEST = 40
_LONGEST = 600
_MOST = 12  # facts of a finding, and looks that could not be taken, that are shown
_INDENT = "  "


def examined(result: CellResult, width: int) -> list[str]:
    """What came of looking at a pair: one line where it is whole, else everything there is to say.

    Args:
        result: As `examination.Examination.result` returns it.
        width: Columns of the terminal.
    """
    name = _name(result)
    if result.outcome is Outcome.OK:
        return _wrap(f"{name}: ok ({', '.join(_proof(result.evidence))})", width, hanging=_INDENT)
    if result.diagnosis:
        lines = _wrap(f"{name}: {result.outcome}: {_sentence(result.diagnosis)}", width, hanging=_INDENT)
        return [*lines, *details(result.diagnosis, width)]
    return _wrap(f"{name}: {result.outcome}: {one_line(result.reason, _LONGEST)}", width, hanging=_INDENT)


def details(diagnosis: Mapping[str, Any], width: int) -> list[str]:
    """All a person needs besides the sentence, indented: symptom, facts, meaning, remedy, what works."""
    lines: list[str] = []
    for label, text in _told(diagnosis):
        lines += _wrap(f"{label}: {text}", width, lead=_INDENT, hanging=_INDENT * 3)
    return lines


def in_short(results: Iterable[CellResult], width: int) -> list[str]:
    """The dead paths of a run, each once whatever its probes: what to do, and what would work.

    What is broken stands below the tables already (`footnote`). Begins with an empty line; nothing where no
    path is dead.
    """
    lines: list[str] = []
    seen: set[tuple[Path, Mode | None]] = set()
    for result in results:
        key = (result.cell.path, result.cell.mode)
        if not result.diagnosis or key in seen:
            continue
        if not seen:
            lines.append("")
        seen.add(key)
        lines += _wrap(f"{_name(result)}: {result.outcome}", width, hanging=_INDENT)
        lines += _wrap(f"do: {_remedy(result.diagnosis)}", width, lead=_INDENT, hanging=_INDENT * 2)
        if works := _words(result.diagnosis.get("works")):
            text = f"would work, as far as was seen: {', '.join(works)}"
            lines += _wrap(text, width, lead=_INDENT, hanging=_INDENT * 2)
    return lines


def footnote(result: CellResult) -> str:
    """Why a cell failed, as short as a note below a table: of a dead path what was seen, and what is broken.

    Facts and remedy of a diagnosis stand in the test's failure, and in `in_short`.
    """
    if not result.diagnosis:
        return result.reason
    seen, sentence = _text(result.diagnosis.get("said")), _sentence(result.diagnosis)
    return sentence if not seen or sentence.startswith(seen) else f"{seen}; {sentence}"


def in_a_line(result: CellResult) -> str:
    """The same with what to do and what would work, where nothing else tells it."""
    if not result.diagnosis:
        return result.reason
    told = f"{footnote(result)}; {_remedy(result.diagnosis)}"
    works = _words(result.diagnosis.get("works"))
    return f"{told}; would work, as far as was seen: {', '.join(works)}" if works else told


def tally(results: Sequence[CellResult]) -> str:
    """How many of the pairs carry payload: `4 of 6 paths carry payload; dead: pod-to-pod bgp`."""
    whole = sum(result.outcome is Outcome.OK for result in results)
    paths = f"path{'' if len(results) == 1 else 's'} carr{'ies' if whole == 1 else 'y'}"
    said = f"{whole} of {len(results)} {paths} payload"
    for outcome in Outcome:
        names = [_name(result) for result in results if result.outcome is outcome]
        if names and outcome is not Outcome.OK:
            said += f"; {outcome}: {', '.join(names)}"
    return said


def closing(record: RunRecord, notes: Iterable[str], width: int) -> list[str]:
    """What ends a diagnosis: what kept it from being one, what the cluster wants said, and the tally."""
    said = [record.problem, *notes, tally(record.results) if record.results else ""]
    return [line for text in said if text for line in _wrap(one_line(text, _LONGEST), width)]


def _name(result: CellResult) -> str:
    cell = result.cell
    return f"{cell.path} {cell.mode}" if cell.mode else str(cell.path)


def _proof(evidence: Mapping[str, Any]) -> Iterator[str]:
    """What shows that a path is whole: the largest packet, and the routes both ways."""
    path_mtu = evidence.get("path_mtu")
    yield f"path MTU {path_mtu}" if isinstance(path_mtu, int) else "path MTU not checked"
    forward, backward = (_route(evidence.get(way)) for way in ("forward", "backward"))
    if forward:
        yield f"route {forward}"
    if backward and backward != forward:
        yield f"back {backward}"
    for step, why in sorted(_mapping(lookup(evidence, "reachability", "not_checked")).items()):
        if step != "full-size ping":
            yield one_line(f"{step} not checked: {why}", _LONGEST)


def _route(route: object) -> str:
    device, gateway, writer = (lookup(route, key) for key in ("device", "gateway", "protocol"))
    if not device:
        return ""
    via = f" via {gateway}" if gateway else ""
    by = f" proto {writer}" if writer else ""
    return one_line(f"dev {device}{via}{by}", _LONGEST)


def _told(diagnosis: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if said := _text(diagnosis.get("said")):
        yield "seen", said
    findings = mappings(diagnosis.get("findings"))
    for finding in findings:
        if len(findings) > 1:  # of one alone the sentence has told it already
            yield "broken", _text(finding.get("broken"))
        yield from (("fact", fact) for fact in _some(_words(finding.get("facts"))))
        if meaning := _text(finding.get("meaning")):
            yield "it means", meaning
        if remedy := _text(finding.get("remedy")):
            yield "do", remedy
    if not findings:
        yield "do", _remedy(diagnosis)
    if works := _words(diagnosis.get("works")):
        yield "would work, as far as was seen", ", ".join(works)
    yield from (("not seen", each) for each in _some(_words(diagnosis.get("not_seen"))))


def _sentence(diagnosis: Mapping[str, Any]) -> str:
    return _text(diagnosis.get("sentence")) or "nobody could look why"


def _remedy(diagnosis: Mapping[str, Any]) -> str:
    return _text(diagnosis.get("remedy")) or "look at both nodes, and at the network between them"


def _some(words: Sequence[str]) -> list[str]:
    more = len(words) - _MOST
    return [*words[:_MOST], f"and {more} more"] if more > 0 else list(words)


def _words(value: object) -> list[str]:
    return [_text(each) for each in value if _text(each)] if isinstance(value, list | tuple) else []


def _text(value: object) -> str:
    return one_line(value, _LONGEST) if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _wrap(text: str, width: int, *, lead: str = "", hanging: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        max(width, _NARROWEST),
        initial_indent=lead,
        subsequent_indent=hanging,
        break_on_hyphens=False,
    )
