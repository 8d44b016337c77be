"""The run as a digest in Markdown: for a comment on a pull request, or the summary page of a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path as FilePath
from shlex import join

from pytest_calico_perf.errors import RecordProblem
from pytest_calico_perf.model import LOOK_PROBE, CellResult, Outcome, Path, RunRecord
from pytest_calico_perf.report.doctor import in_a_line
from pytest_calico_perf.report.headline import headline
from pytest_calico_perf.report.ratios import ratio_text
from pytest_calico_perf.report.saving import save
from pytest_calico_perf.report.table import (
    NOTHING_MEASURED,
    Entry,
    ProbeTable,
    Verdict,
    comparison,
    notes,
    only_looked_at,
    verdict,
)
from pytest_calico_perf.units import Scale, format_count, format_duration

# GitHub takes 65536 characters in a comment and 1 MiB in a job's summary. What is longer than this is cut,
# and says so.
MOST_BYTES = 60_000
JOB_SUMMARY = "GITHUB_STEP_SUMMARY"

_LONGEST_TEXT = 600
_LONGEST_COMMAND = 4_000
_MOST_FAILURES = 50
_MOST_NOTES = 20
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$&@#])")
_BAD = (Outcome.REGRESSED, Outcome.SLOW, Outcome.UNREACHABLE, Outcome.WRONG_PATH, Outcome.TOOL_ERROR)
_PART = "\N{ZERO WIDTH NON-JOINER}"
_CUT = "\n\nThe rest does not fit here; the report has it.\n"


def render(record: RunRecord, command: Iterable[str]) -> str:
    """The digest: what came of it in one sentence, a table per probe, every failure, and how to repeat it.

    Everything that comes from outside is escaped, so that no reason or node name becomes markup, a link or a
    mention. It is at most `MOST_BYTES` long; what does not fit is left out from the end, which is said.

    Args:
        record: The run.
        command: The arguments that pytest was called with.
    """
    repeat = _repeat(command, any(result.samples for result in record.results))
    parts = [
        *_failures(record),
        *(_table(table) for table in comparison(record) if isinstance(table, ProbeTable)),
    ]
    room = MOST_BYTES - len(repeat.encode()) - len(_CUT.encode())
    text = "\n".join(_head(record)).encode()[:room].decode(errors="ignore")
    for part in parts:
        longer = f"{text}\n\n{part}"
        if len(longer.encode()) > room:
            return f"{text}{_CUT}\n{repeat}"
        text = longer
    return f"{text}\n\n{repeat}"


def sentence(record: RunRecord) -> str:
    """How many cells failed, and how: 2 of 9 cells failed: 1 regressed, 1 unreachable."""
    if record.problem and not record.results:
        return f"{NOTHING_MEASURED}."
    outcomes = [result.outcome for result in record.results]
    if not outcomes:
        return "No cell was measured."
    bad = _counted(outcomes, _BAD)
    other = _counted(outcomes, (Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED))
    failed = sum(outcome in _BAD for outcome in outcomes)
    cells = format_count(len(outcomes), "cell")
    every = "The cell was" if len(outcomes) == 1 else f"All {cells} were"
    if failed:
        said = f"{failed} of {cells} failed: {bad}"
    elif other:
        said = f"None of {cells} failed"
    elif not any(result.samples for result in record.results):
        said = f"{every} looked at; none is dead"
    else:
        judged = sum(bool(result.verdicts) for result in record.results)
        said = f"{every} measured{f'; {judged} judged, all ok' if judged else ''}"
    return f"{said}{f'; {other}' if other else ''}{'; the run was cut short' if record.interrupted else ''}."


def write(text: str, path: FilePath) -> None:
    """Write the digest.

    Raises:
        RecordProblem: It could not be written there; says where it was saved instead.
    """
    save(text, path, "the digest")


def append(text: str, path: FilePath) -> None:
    """Add the digest to a job's summary, which other steps write to as well.

    Raises:
        RecordProblem: It cannot be written there.
    """
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise RecordProblem(
            f"the digest could not be written: {error.strerror or error}",
            where=str(path),
            remedy="name another file, or make room on the disk",
        ) from error


def escape(value: object) -> str:
    """`value` as text of a Markdown page, on one line: nothing in it is markup, a link or a mention."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    if len(line) > _LONGEST_TEXT:
        line = f"{line[:_LONGEST_TEXT]}..."
    # A backslash is no escape in an HTML tag that is already open, so what opens one is an entity.
    # What is no letter parts a mention, an issue's number or an address; a backslash does not.
    special = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": f"@{_PART}", "#": f"#{_PART}"}
    text = _SPECIAL.sub(lambda found: special.get(found[1], f"\\{found[1]}"), line)
    return text.replace("://", f":{_PART}//").replace("www.", f"www{_PART}.")


def _counted(outcomes: Iterable[Outcome], kinds: Iterable[Outcome]) -> str:
    known = list(outcomes)
    return ", ".join(f"{known.count(kind)} {kind}" for kind in kinds if kind in known)


def _head(record: RunRecord) -> Iterator[str]:
    yield "### Calico performance"
    yield ""
    yield f"**{escape(headline(record).sentence)}**"
    yield ""
    if not only_looked_at(record):  # of looks the headline counts the paths
        yield escape(sentence(record))
        yield ""
    yield (
        f"Cluster {escape(record.cluster.get('name', '?'))}, modes {escape(', '.join(record.modes))}, profile"
        f" {escape(record.profile.get('name', '?'))}; {escape(record.started)},"
        f" took {format_duration(record.wall_seconds)}."
    )
    told = [note for note in notes(record) if note]
    for note in told[:_MOST_NOTES]:
        yield f"- {escape(note)}"
    if len(told) > _MOST_NOTES:
        yield f"- and {len(told) - _MOST_NOTES} notes more"


def _failures(record: RunRecord) -> Iterator[str]:
    told = [result for result in record.results if result.outcome is not Outcome.OK]
    if not told:
        return
    # What fails the build before what does not.
    told.sort(key=lambda result: result.outcome not in _BAD)
    lines = ["| cell | outcome | reason |", "|---|---|---|"]
    # A dead path is dead for every probe: it is told once.
    groups: dict[object, list[CellResult]] = {}
    for result in told:
        cell = result.cell
        groups.setdefault((cell.path, cell.mode) if result.diagnosis else cell, []).append(result)
    rows = list(groups.values())
    lines += [
        f"| {escape(_cells(group))} | {escape(group[0].outcome)} | {escape(in_a_line(group[0]))} |"
        for group in rows[:_MOST_FAILURES]
    ]
    if len(rows) > _MOST_FAILURES:
        lines.append(f"| and {len(rows) - _MOST_FAILURES} more | | |")
    yield "\n".join(lines)


def _cells(results: Sequence[CellResult]) -> str:
    """`tcp pod-to-pod bgp`, or of several probes `pod-to-pod bgp (ping, tcp)`."""
    cell = results[0].cell
    ends = f"{cell.path} {cell.mode}" if cell.mode else str(cell.path)
    if len(results) == 1:
        return ends if cell.probe == LOOK_PROBE else str(cell)
    return f"{ends} ({', '.join(result.cell.probe for result in results)})"


def _table(table: ProbeTable) -> str:
    scale = table.scale
    # Where there is no figure, there is no unit.
    figures = table.summaries or any(entry.struck for entry in table.entries)
    title = ", ".join(filter(None, (table.meaning, table.direction if figures else "", table.rounds)))
    lines = [f"**{escape(table.probe)}**{f': {escape(title)}' if title else ''}"]
    if table.host:
        lines += ["", f"{Path.HOST_TO_HOST}: {_entry(table.host, table, scale)}"]
    if table.paths:
        lines += ["", f"| | {' | '.join(table.paths)} |", f"|---|{'---|' * len(table.paths)}"]
        if table.controls:
            values = (
                scale.summary(each.summary) if each.summary else "not measured" for each in table.controls
            )
            lines.append(f"| {Path.HOST_TO_HOST} | {' | '.join(map(escape, values))} |")
        lines += [
            f"| {escape(row.mode)} | {' | '.join(_entry(entry, table, scale) for entry in row.entries)} |"
            for row in table.rows
        ]
    return "\n".join(lines)


def _entry(entry: Entry | None, table: ProbeTable, scale: Scale) -> str:
    """Value with its interval, and below it the ratios; the lines of one cell of a table."""
    if entry is None:
        return "not measured"
    lines = [escape(scale.summary(entry.summary))] if entry.summary else []
    if entry.failed or not lines:
        lines.append(f"**{escape(entry.result.outcome)}**")
    if entry.struck:
        lines.append(f"not counted: ~~{escape(scale.summary(entry.struck))}~~")
    if entry.to_base:
        says = verdict(entry.to_base, table.better)
        word = "" if says is Verdict.UNDECIDED else f" {says}"
        lines.append(escape(f"{ratio_text(entry.to_base)} of {table.base}{word}"))
    if entry.to_host:
        lines.append(escape(f"{ratio_text(entry.to_host)} of host"))
    return "<br>".join(lines)


def _repeat(command: Iterable[str], measured: bool) -> str:
    """How to get the same again; in a fence longer than any within, where nothing is markup."""
    text = " ".join(join(["pytest", *command]).split())
    if len(text) > _LONGEST_COMMAND:
        text = f"{text[:_LONGEST_COMMAND]}..."
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    said = "Values are medians of the rounds with their intervals. " if measured else ""
    return f"{said}Repeat it with\n\n{fence}text\n{text}\n{fence}\n"
