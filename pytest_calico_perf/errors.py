"""Everything that can go wrong, in one tree.

    CalicoPerfError                what happened, where, and what to do about it
    ├── UsageProblem               bad input; ends the run (exit 4) before anything is touched
    │   ├── SettingProblem         an option, environment variable or ini value
    │   └── ClusterFileProblem     a cluster file: names file, line and field
    ├── ClusterProblem             the cluster could not be brought up, used or taken down
    │   ├── RequirementMissing     this machine lacks something; names it and the package that has it
    │   ├── NotReady               it did not become ready before its deadline
    │   ├── ApiProblem             the Kubernetes API refused, failed or could not be reached
    │   ├── HostProblem            a host could not be logged in to, or the connection to it broke
    │   └── NotRestored            something of ours could not be removed, or something of theirs not put back
    ├── CellProblem                ends one cell and no other
    │   ├── Unreachable            no packet, or no payload, gets from client to server
    │   ├── WrongPath              packets arrive, but not by the way of the mode
    │   ├── ToolProblem            a tool is missing, died, timed out or printed what cannot be true
    │   └── Unsupported            cannot exist here; skipped with its reason
    └── RecordProblem              results could not be written

Library code raises these; `plugin.py`, `hooks.py` and `fixtures.py` turn them into what pytest understands.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What a misspelt word was probably meant to be, for the end of a sentence; empty if nothing is close."""
    close = difflib.get_close_matches(word, [str(each) for each in known], n=1)
    return f", did you mean {close[0]!r}?" if close else ""


class CalicoPerfError(Exception):
    """Root of the tree.

    Args:
        what: What happened, a sentence without a full stop.
        where: The endpoint, file, option or cell it happened at.
        remedy: What the reader can do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        joint = " " if self.what.endswith("?") else "; "
        return f"{place}{self.what}{joint}{self.remedy}" if self.remedy else f"{place}{self.what}"


class UsageProblem(CalicoPerfError):
    """Bad input. Raised before anything is created, so the run ends with pytest's usage error."""


class SettingProblem(UsageProblem):
    """A setting has a value that cannot be used; `where` names the option, variable or ini key."""


class ClusterFileProblem(UsageProblem):
    """A cluster file is missing or malformed; `where` is `file:line: field`."""


class ClusterProblem(CalicoPerfError):
    """The cluster could not be brought up, used or taken down."""


class RequirementMissing(ClusterProblem):
    """This machine lacks a program or a kernel feature; the remedy names the Debian package."""


class NotReady(ClusterProblem):
    """The cluster, or a path in it, did not become ready before its deadline."""


class ApiProblem(ClusterProblem):
    """The Kubernetes API refused, failed or could not be reached.

    Attributes:
        status: The HTTP status it answered with; None when it did not answer.
    """

    def __init__(self, what: str, *, status: int | None = None, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.status = status


class HostProblem(ClusterProblem):
    """A host could not be logged in to over SSH, or the connection to it broke."""


class NotRestored(ClusterProblem):
    """Something of ours could not be removed, or something of theirs not put back; says which and how to."""


class CellProblem(CalicoPerfError):
    """Ends one cell with an outcome of its own; the other cells go on."""


class Unreachable(CellProblem):
    """No packet, or no payload, gets from client to server.

    Attributes:
        symptom: The first step that failed, a `reachability.Symptom`; empty where it was not that check.
        diagnosis: Why, once somebody looked (`diagnosis.Diagnosis.to_json`); empty before.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        remedy: str = "",
        symptom: str = "",
        diagnosis: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.symptom = symptom
        self.diagnosis = diagnosis


class WrongPath(CellProblem):
    """Packets arrive, but not by the way of the mode: what was measured is of something else."""


class ToolProblem(CellProblem):
    """A tool is missing, died, ran out of time, or printed something that cannot be true."""


class Unsupported(CellProblem):
    """The cell cannot exist here (a kernel without the device, a mode the cluster lacks)."""


class RecordProblem(CalicoPerfError):
    """Results could not be written."""
