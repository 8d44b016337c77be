"""The commands that were run, with where and what they printed: so that anybody can repeat them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import join
from typing import Any

from pytest_calico_perf.model import Cell, CellResult, Mode, Path, Ran, RunRecord
from pytest_calico_perf.report.markup import element, preformatted, text
from pytest_calico_perf.units import format_duration

# What all outputs of a page may take together, in characters: a run of a hundred cells stays below 2 MB.
_OUTPUT = 250_000
_MOST, _LEAST = 4000, 100  # of one command
_LONGEST_COMMAND = 400


def output_share(record: RunRecord) -> int:
    """How many characters of each command's output are shown, so that the page stays small enough to mail."""
    elsewhere = told_first(record)
    count = sum(len(result.commands) for result in record.results)
    for result in record.results:
        looked = result.diagnosis.get("commands")
        if isinstance(looked, list | tuple) and result.cell not in elsewhere:
            count += len(looked)
    return max(_LEAST, min(_MOST, _OUTPUT // max(1, count)))


def told_first(record: RunRecord) -> dict[Cell, Cell]:
    """Cells whose path in this mode was diagnosed once for all of its probes -> the first of them."""
    first: dict[tuple[Path, Mode | None], CellResult] = {}
    found = {}
    for result in record.results:
        if not result.diagnosis:
            continue
        known = first.setdefault((result.cell.path, result.cell.mode), result)
        if known is not result and known.diagnosis == result.diagnosis:
            found[result.cell] = known.cell
    return found


def commands(ran: Sequence[Ran], share: int) -> str:
    """All commands of a cell, to unfold; nothing where none is known."""
    if not ran:
        return ""
    title = f"Commands and what they printed ({len(ran)})"
    return element("details", element("summary", title), *(_command(each, share) for each in ran))


def commands_of(found: object, share: int) -> str:
    """The same of commands as a diagnosis holds them, as JSON; what is no command is left out."""
    known = (
        [_read(each) for each in found if isinstance(each, Mapping)]
        if isinstance(found, list | tuple)
        else []
    )
    return commands(known, share)


def _command(ran: Ran, share: int) -> str:
    words = [f"on {ran.endpoint}", "stopped by us" if ran.exit_code is None else f"exit code {ran.exit_code}"]
    words.append(f"took {format_duration(ran.seconds)}")
    if ran.times > 1:
        words.append(f"run {ran.times} times, this is the last")
    output = ran.output.strip()
    line = join(ran.argv)
    shown = [element("code", f"$ {preformatted(line, _LONGEST_COMMAND)}", class_="argv")]
    if output:
        shown.append("\n" + preformatted(output, share))
    return element("p", text("; ".join(words)), class_="muted") + element("pre", *shown)


def _read(found: Mapping[str, Any]) -> Ran:
    code, seconds, times = (found.get(key) for key in ("exit_code", "seconds", "times"))
    argv = found.get("argv")
    return Ran(
        endpoint=str(found.get("endpoint", "")),
        argv=tuple(map(str, argv)) if isinstance(argv, list | tuple) else (),
        exit_code=code if isinstance(code, int) else None,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        output=str(found.get("output", "")),
        times=times if isinstance(times, int) else 1,
    )
