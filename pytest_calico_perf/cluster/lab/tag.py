"""The mark by which a lab's processes are told from everybody else's.

Every process a lab starts carries one environment variable, as munet's do (LabNConsulting/munet,
`cleanup.py`): leftovers are found by our own mark and never by a name that others may use too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

VARIABLE = "CALICO_PERF_LAB"

_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class LabTag:
    """Whose a process is.

    Attributes:
        run_id: The lab it belongs to.
        owner: Process id of the Python process that started the lab.
        owner_started: When that process started, in clock ticks since boot: a process id alone comes again.
    """

    run_id: str
    owner: int
    owner_started: int

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run_id):
            raise ValueError(f"run id {self.run_id!r}: 1 to 64 letters, digits, dots, dashes and underscores")

    @classmethod
    def of_this_process(cls, run_id: str) -> Self:
        """The tag for a lab that the calling process owns."""
        started = started_at(os.getpid())
        if started is None:
            raise RuntimeError("/proc does not show this very process")
        return cls(run_id, os.getpid(), started)

    @classmethod
    def of_process(cls, pid: int) -> Self | None:
        """The tag a process carries; None if it has none, is gone, or is another user's."""
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return None
        for entry in environment.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == VARIABLE.encode():
                return cls._parse(value.decode(errors="replace"))
        return None

    @classmethod
    def _parse(cls, text: str) -> Self | None:
        run_id, *numbers = text.split(":")
        try:
            owner, started = map(int, numbers)
            return cls(run_id, owner, started)
        except ValueError:
            return None

    @property
    def value(self) -> str:
        """What the environment variable holds."""
        return f"{self.run_id}:{self.owner}:{self.owner_started}"

    @property
    def owner_alive(self) -> bool:
        """Whether the very process that started the lab still runs."""
        return started_at(self.owner) == self.owner_started


def started_at(pid: int) -> int | None:
    """When a process started, in ticks since boot (proc_pid_stat(5), field 22); None if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name, field 2, may hold blanks and brackets: count from its last bracket.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in "ZX" else int(started)
