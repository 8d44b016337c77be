"""The words of the project as types: modes, paths, units, outcomes, cells and their results.

Nothing here does I/O or imports another room. Values are SI: bit/s, seconds, counts; formatting
belongs to `units.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})

LOOK_PROBE = "reachability"
"""What stands as the probe of a path that was looked at and not measured (`--calico-diagnose`)."""


class Encapsulation(StrEnum):
    """What is wrapped around a pod's packet between two nodes."""

    NONE = "none"
    IPIP = "ipip"
    VXLAN = "vxlan"


class Mode(StrEnum):
    """How Calico carries a pod's packet to another node. Names as in docs/architecture.md."""

    BGP = "bgp"
    IPIP = "ipip"
    IPIP_CROSS_SUBNET = "ipip-cross-subnet"
    VXLAN = "vxlan"
    VXLAN_CROSS_SUBNET = "vxlan-cross-subnet"
    CURRENT = "current"  # whatever the cluster has; nothing is changed

    @property
    def tunnel(self) -> Encapsulation:
        """The encapsulation this mode uses when it uses one (`current` does not say: NONE)."""
        family = self.value.split("-", maxsplit=1)[0]
        return (
            Encapsulation(family)
            if family in (Encapsulation.IPIP, Encapsulation.VXLAN)
            else Encapsulation.NONE
        )

    @property
    def cross_subnet(self) -> bool:
        """Whether nodes of one subnet talk without encapsulation."""
        return self.value.endswith("-cross-subnet")


class Provision(StrEnum):
    """How a real cluster is brought into a mode."""

    POOLS = "pools"  # a pool of our own per mode, side by side
    SWITCH = "switch"  # the cluster's own pool, one mode after the other


class EndpointKind(StrEnum):
    """A place a command can run."""

    HOST = "host"
    POD = "pod"


class Path(StrEnum):
    """From endpoint kind to endpoint kind; between two nodes unless it says same node."""

    HOST_TO_HOST = "host-to-host"
    HOST_TO_POD = "host-to-pod"
    POD_TO_HOST = "pod-to-host"
    POD_TO_POD = "pod-to-pod"
    POD_TO_POD_SAME_NODE = "pod-to-pod-same-node"
    POD_TO_SERVICE = "pod-to-service"  # a pod of another node behind a ClusterIP

    @property
    def client(self) -> EndpointKind:
        """Kind of the endpoint that asks."""
        return EndpointKind(self.value.split("-to-")[0])

    @property
    def server(self) -> EndpointKind:
        """Kind of the endpoint that answers: behind a Service, a pod."""
        word = self.value.split("-to-")[1].removesuffix("-same-node")
        return EndpointKind.POD if self.via_service else EndpointKind(word)

    @property
    def via_service(self) -> bool:
        """Whether the client asks a ClusterIP instead of the server itself."""
        return self is Path.POD_TO_SERVICE

    @property
    def same_node(self) -> bool:
        """Whether both ends live on one node."""
        return self.value.endswith("-same-node")

    @property
    def has_mode(self) -> bool:
        """Hosts have no mode: host-to-host is the control every other path is held against."""
        return self is not Path.HOST_TO_HOST


class Unit(StrEnum):
    """Units of samples. Always the SI base, never a multiple."""

    BIT_PER_SECOND = "bit/s"
    SECOND = "s"
    REQUEST_PER_SECOND = "requests/s"
    CONNECTION_PER_SECOND = "connections/s"


class Better(StrEnum):
    """Which direction of a value is good."""

    HIGHER = "higher"
    LOWER = "lower"


class Outcome(StrEnum):
    """How a cell ended. A failure is never a number, and never 0."""

    OK = "ok"
    SLOW = "slow"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    WRONG_PATH = "wrong-path"  # measured, but not on the path asked for: its value counts nowhere
    TOOL_ERROR = "tool-error"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, order=True)
class Cell:
    """(mode, path, probe): one test item, one row of the report.

    `mode` is None exactly for host-to-host, which no mode touches.
    """

    probe: str
    path: Path
    mode: Mode | None

    def __post_init__(self) -> None:
        if self.path.has_mode is (self.mode is None):
            raise ValueError(f"{self.path} {'needs a mode' if self.path.has_mode else 'has no mode'}")

    @property
    def id(self) -> str:
        """Identifier within a probe: `pod-to-pod-bgp`, `host-to-host`; only [a-z-]."""
        return f"{self.path}-{self.mode}" if self.mode else str(self.path)

    def __str__(self) -> str:
        return f"{self.probe} {self.path} {self.mode}" if self.mode else f"{self.probe} {self.path}"


@dataclass(frozen=True)
class Measurement:
    """What one run of a probe gave.

    Attributes:
        value: The sample, in the probe's unit; finite and positive. None only for a probe that is taken
            once and whose fact is unknown (a virtual NIC without a speed).
        seconds: Time the tool spent measuring (wall clock of the client command), in seconds.
        details: Everything else the tool said, JSON-able, SI units, keys in snake_case.
    """

    value: float | None
    seconds: float
    details: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True)
class Summary:
    """Samples in three numbers and how far to trust them.

    Attributes:
        median: Median of the samples.
        low: Lower end of the interval for the median; None when there are too few samples for one.
        high: Upper end of that interval.
        confidence: Its coverage, e.g. 0.95; with fewer than six samples less than 0.95 can be had.
        n: Number of samples.
    """

    median: float
    low: float | None
    high: float | None
    confidence: float | None
    n: int


@dataclass(frozen=True)
class Ratio:
    """One contender divided by another, round by round: exp(mean(log(b/a))) and its interval.

    Attributes:
        value: Geometric mean of the paired ratios.
        low: Lower end of the 95 % interval (Student's t on the logarithms); None with one round.
        high: Upper end.
        n: Number of pairs.
    """

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Verdict:
    """What one rule says about a cell.

    Attributes:
        rule: As a person wrote or knows it: `min: 4 Gbit/s`, `bgp >= ipip * 1.0`, `baseline last-week.json`.
        source: Where it is from: `prod.yaml:41: thresholds.tcp.min`, `--calico-expect`, a test with a marker.
        outcome: `ok`, `slow`, `regressed` or `inconclusive`; `unsupported` where it cannot be judged (a cell
            without a control).
        message: Value, interval, limit and rounds; where it is open, how many rounds would probably decide.
        compares: Whether it is a comparison: all of a run share the chance of a false alarm.
    """

    rule: str
    source: str
    outcome: Outcome
    message: str
    compares: bool = False


@dataclass(frozen=True)
class Ran:
    """A command that was run for a cell, and what it left: what a sceptic needs to repeat it by hand.

    Attributes:
        endpoint: Name of the endpoint it ran at.
        argv: The command as run there, without the backend's wrapping.
        exit_code: Its exit status; None for a server that was stopped.
        seconds: Wall-clock time of the run shown, in seconds.
        output: What it printed, stdout before stderr; cut in the middle where it is longer than kept.
        times: How often this very command was run for the cell; `output` is of the last.
    """

    endpoint: str
    argv: tuple[str, ...]
    exit_code: int | None
    seconds: float
    output: str
    times: int = 1


@dataclass(frozen=True)
class PastValue:
    """What a cell had in an earlier run that it was held against.

    Attributes:
        label: When that was, for people: `2026-11-23 14:40 UTC`; sorts by time.
        summary: Its samples in three numbers, in the cell's unit.
    """

    label: str
    summary: Summary


@dataclass(frozen=True)
class CellResult:
    """All that is known about a cell when its block is over.

    Attributes:
        cell: Which cell.
        outcome: How it ended.
        unit: Unit of the samples.
        better: Which direction of them is good.
        samples: One value per round that gave one, in order of time.
        rounds: For each sample the number of its round, so that cells of a block can be paired.
        reason: For every outcome but `ok`: what happened, where, what to do. Empty for `ok`.
        details: The runs' details in one: medians of numbers, the rest where all runs agree.
        runs: The details of every run that gave a sample, in the order of `samples`.
        evidence: What proves the path: addresses, routes, MTU, tunnel counters.
        control: Samples of the block's host-to-host control, same rounds; empty where there is none.
        verdicts: What the rules that apply to it say; empty where there are none, or nothing to judge.
        diagnosis: Why its path is dead or crippled (`diagnosis.Diagnosis.to_json`); empty where it is not.
        remarks: What explains, or casts doubt on, its figures, a sentence each: a rate that collapses inside
            a run, a CPU-bound end. They change no outcome.
        wrong_samples: What was measured on a path that was not the mode's; for `wrong-path` only. Shown
            struck through, kept out of every comparison and baseline.
        commands: The commands run for it on each endpoint, bounded.
        past: What it had in the earlier runs of a baseline, in order of time.
    """

    cell: Cell
    outcome: Outcome
    unit: Unit
    better: Better
    samples: tuple[float, ...] = ()
    rounds: tuple[int, ...] = ()
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    runs: tuple[Mapping[str, Any], ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    control: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    verdicts: tuple[Verdict, ...] = ()
    diagnosis: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    remarks: tuple[str, ...] = ()
    wrong_samples: tuple[float, ...] = ()
    commands: tuple[Ran, ...] = ()
    past: tuple[PastValue, ...] = ()

    @property
    def by_round(self) -> dict[int, float]:
        """Round number -> sample."""
        return dict(zip(self.rounds, self.samples, strict=True))


@dataclass(frozen=True)
class RunRecord:
    """A whole run as the reports see it.

    Attributes:
        cluster: The cluster's facts, JSON-able.
        profile: Name, rounds, probes and paths of the profile, JSON-able.
        modes: The modes compared, in the user's order: the first is what ratios divide by.
        results: Every cell that has one, in the order of the plan.
        started: Start of the run, ISO 8601 with zone.
        wall_seconds: Time since then, in seconds.
        measuring_seconds: Of these, time in which a probe's tool was measuring.
        interrupted: Whether it was cut short (Ctrl-C, SIGTERM, --maxfail).
        problem: What kept it from measuring at all (the cluster did not come up); empty if nothing did.
        command: The command line that started it, argument by argument: what repeats this very run.
        software: Versions of what measured: this plugin, Python, pytest.
    """

    cluster: Mapping[str, Any]
    profile: Mapping[str, Any]
    modes: tuple[Mode, ...]
    results: tuple[CellResult, ...]
    started: str
    wall_seconds: float
    measuring_seconds: float
    interrupted: bool = False
    problem: str = ""
    command: tuple[str, ...] = ()
    software: Mapping[str, str] = field(default_factory=lambda: NOTHING)
