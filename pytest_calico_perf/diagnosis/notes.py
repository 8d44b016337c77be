"""What is written down while the chain is walked: checks, and findings with where they stop packets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pytest_calico_perf.diagnosis.faults import FAULTS
from pytest_calico_perf.diagnosis.finding import Check, Finding, Link, State

_ORDER = {link: number for number, link in enumerate(Link)}


class At(IntEnum):
    """Where on a question's way to the server, and on its answer's way back, packets end."""

    CLIENT = 0
    CLIENT_NODE = 1
    FABRIC = 2
    SERVER_NODE = 3
    SERVER = 4
    SERVER_NODE_BACK = 5
    FABRIC_BACK = 6
    CLIENT_NODE_BACK = 7
    CLIENT_BACK = 8
    NOWHERE = 9


@dataclass(frozen=True)
class Found:
    """A finding and where it stops packets first."""

    finding: Finding
    at: At
    where: str


class Notes:
    """Collects; nothing is decided here but the order."""

    def __init__(self) -> None:
        self._checks: list[Check] = []
        self._found: list[Found] = []

    def ok(self, link: Link, where: str, says: str) -> None:
        """Note a look at something whole."""
        self._add(Check(link, where, State.OK, says))

    def unseen(self, link: Link, where: str, why: str) -> None:
        """Note that nobody could look."""
        self._add(Check(link, where, State.NOT_SEEN, why))

    def find(
        self, key: str, where: str, broken: str, *facts: str, at: At = At.NOWHERE, remedy: str = ""
    ) -> None:
        """Note a fault of the catalogue; one already found at the same place only adds its facts.

        Args:
            key: The fault.
            where: The node or pod that is to blame; empty for the cluster.
            broken: What is broken, with names.
            facts: What shows it.
            at: Where packets end because of it; NOWHERE when all would arrive anyway.
            remedy: What to do, with names.
        """
        fault = FAULTS[key]
        for number, old in enumerate(self._found):
            if old.finding.fault is fault and old.where == where:
                more = tuple(fact for fact in facts if fact not in old.finding.facts)
                merged = Finding(fault, old.finding.broken, old.finding.facts + more, old.finding.remedy)
                self._found[number] = Found(merged, min(old.at, at), where)
                return
        self._found.append(Found(Finding(fault, broken, facts, remedy), at, where))
        self._add(Check(fault.link, where, State.BROKEN, broken))

    def drop(self, key: str, where: str) -> tuple[str, ...]:
        """Take a finding back, since another one explains it; what it said, and its facts."""
        for found in self._found:
            if found.finding.fault.key == key and found.where == where:
                self._found.remove(found)
                return (found.finding.broken, *found.finding.facts)
        return ()

    def has(self, *keys: str, where: str | None = None) -> bool:
        """Whether one of these faults was found (there)."""
        return any(found.finding.fault.key in keys and where in (None, found.where) for found in self._found)

    @property
    def earliest(self) -> At:
        """The first place at which a fault found so far stops packets."""
        return min((found.at for found in self._found), default=At.NOWHERE)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """In the order of the chain."""
        ordered = sorted(self._found, key=lambda found: (_ORDER[found.finding.fault.link], found.at))
        return tuple(found.finding for found in ordered)

    @property
    def checks(self) -> tuple[Check, ...]:
        """In the order of the chain."""
        return tuple(sorted(self._checks, key=lambda check: _ORDER[check.link]))

    def _add(self, check: Check) -> None:
        if check not in self._checks:
            self._checks.append(check)
