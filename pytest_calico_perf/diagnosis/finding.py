"""What a diagnosis says, as types: the chain's links, the faults of the catalogue, the report of one path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_calico_perf.model import Mode, Path, Ran


class Link(StrEnum):
    """The links of the chain between client and server, in the order they are looked at."""

    SERVER = "server"  # does anybody listen: if not, the network is not to blame
    POD = "pod"  # address, route and link inside the pods; their veths and /32 routes on the nodes
    UNDERLAY = "underlay"  # does one node reach the other at all
    POOL = "pool"  # pool, blocks and their affinity
    BGP = "bgp"  # daemons, sessions, mesh, AS numbers
    ROUTE = "route"  # the block's route on both nodes
    NEXT_HOP = "next-hop"  # its gateway, neighbour and forwarding entries
    TUNNEL = "tunnel"  # the tunnel's device on both nodes
    FABRIC = "fabric"  # what the network between the nodes does to such packets
    FILTER = "filter"  # rp_filter, forwarding, policies on both nodes
    MTU = "mtu"
    OFFLOAD = "offload"


class State(StrEnum):
    """What came of looking at a link."""

    OK = "ok"
    BROKEN = "broken"
    NOT_SEEN = "not-seen"  # nobody could look; says why


@dataclass(frozen=True)
class Fault:
    """One entry of the catalogue: something that breaks paths, in words for people. Pure data.

    Attributes:
        key: Its name in reports and tests: `bgp-port-blocked`; only [a-z0-9-].
        link: The link of the chain it breaks.
        title: What is broken, in a few words.
        shows: How it is told from everything else: the facts that name it.
        meaning: What it means, in a sentence or two.
        remedy: What to do.
        works: Which modes work all the same, in words (`vxlan, ipip: they wrap pod addresses`); or empty.
    """

    key: str
    link: Link
    title: str
    shows: str
    meaning: str
    remedy: str
    works: str = ""


@dataclass(frozen=True)
class Check:
    """One look at a link.

    Attributes:
        link: Which link.
        where: The node or pod looked at; empty for the cluster.
        state: What came of it.
        says: The fact seen, a sentence without a full stop; for `not-seen` why nobody could look.
    """

    link: Link
    where: str
    state: State
    says: str


@dataclass(frozen=True)
class Finding:
    """A fault found on this very path.

    Attributes:
        fault: The catalogue's entry.
        broken: What is broken, with this cluster's names and addresses; a sentence without a full stop.
        facts: What shows it, a sentence each.
        remedy: What to do, with names; the entry's where empty.
    """

    fault: Fault
    broken: str
    facts: tuple[str, ...]
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All that is known about why a path does not carry payload.

    Attributes:
        path: Which path.
        mode: In which mode; None for host-to-host.
        symptom: The first step of the reachability check that failed.
        said: What that step's tool said.
        findings: The faults found, in the order of the chain: the first is the first broken link. Empty when
            everything looked at is whole; then `checks` and `not_seen` say what was looked at.
        checks: Every look, in the order of the chain.
        works: Modes that would work on this path as things are, as far as was seen.
        commands: Every command run for it, with its output.
    """

    path: Path
    mode: Mode | None
    symptom: str
    said: str
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    works: tuple[Mode, ...]
    commands: tuple[Ran, ...]

    @property
    def sentence(self) -> str:
        """What is broken, in one sentence without a full stop."""
        if not self.findings:
            whole = "every link that could be looked at is whole"
            return f"{self.said}; {whole}" if self.said else whole
        return "; besides, ".join(finding.broken for finding in self.findings)

    @property
    def remedy(self) -> str:
        """What to do about the first broken link."""
        if not self.findings:
            return "look at what could not be seen from here, and at the network between the nodes"
        return self.findings[0].remedy or self.findings[0].fault.remedy

    @property
    def not_seen(self) -> tuple[str, ...]:
        """What could not be looked at, and why."""
        return tuple(
            f"{check.link} of {check.where}: {check.says}" if check.where else f"{check.link}: {check.says}"
            for check in self.checks
            if check.state is State.NOT_SEEN
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-able; what `CellResult.diagnosis` holds and reports show."""
        return {
            "path": str(self.path),
            "mode": str(self.mode) if self.mode else None,
            "symptom": self.symptom,
            "said": self.said,
            "sentence": self.sentence,
            "remedy": self.remedy,
            "works": [str(mode) for mode in self.works],
            "findings": [_finding(finding) for finding in self.findings],
            "checks": [
                {"link": str(c.link), "where": c.where, "state": str(c.state), "says": c.says}
                for c in self.checks
            ],
            "not_seen": list(self.not_seen),
            "commands": [
                {
                    "endpoint": ran.endpoint,
                    "argv": list(ran.argv),
                    "exit_code": ran.exit_code,
                    "seconds": ran.seconds,
                    "output": ran.output,
                    "times": ran.times,
                }
                for ran in self.commands
            ],
        }


def _finding(finding: Finding) -> Mapping[str, Any]:
    fault = finding.fault
    return {
        "fault": fault.key,
        "link": str(fault.link),
        "title": fault.title,
        "broken": finding.broken,
        "facts": list(finding.facts),
        "meaning": fault.meaning,
        "remedy": finding.remedy or fault.remedy,
    }
