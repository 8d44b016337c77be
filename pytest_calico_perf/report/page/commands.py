"""The commands that were run, with where and what they printed: so that anybody can repeat them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import join
from typing import Any

from pytest_calico_perf.model import Ran, RunRecord
from pytest_calico_perf.report.markup import element, preformatted, text
from pytest_calico_perf.units import format_duration

# What all outputs of a page may take together, in characters: a run of a hundred cells stays below 2 MB.
_OUTPUT = 300_000
_MOST, _LEAST = 4000, 200  # of one command
_LONGEST_COMMAND = 1000


def output_share(record: RunRecord) -> int:
    """How many characters of each command's output are shown, so that the page stays small enough to mail."""
    count = sum(len(result.commands) + len(result.diagnosis.get("commands", ())) for result in record.results)
    return max(_LEAST, min(_MOST, _OUTPUT // max(1, count)))


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
