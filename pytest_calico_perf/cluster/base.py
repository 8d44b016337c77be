"""What the rest of the house may ask of a cluster: two protocols and what they hand out.

A backend (`lab/`, later `kubernetes/`) implements them; probes and campaign see nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pytest_calico_perf.cluster.inspection import Inspector
from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path


@dataclass(frozen=True)
class CommandResult:
    """What a finished command left. A failing command is a result, not an exception.

    Attributes:
        argv: The command as asked for, without the backend's wrapping.
        endpoint: Name of the endpoint it ran at.
        exit_code: Its exit status; 128 + n when signal n ended it.
        stdout: All it wrote there.
        stderr: All it wrote there.
        seconds: Wall-clock time it took, in seconds.
        timed_out: Whether its limit ended it.
    """

    argv: tuple[str, ...]
    endpoint: str
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False

    def check(self) -> Self:
        """Return self if the command succeeded.

        Raises:
            ToolProblem: It failed or ran out of time; the message quotes its last words.
        """
        if self.timed_out:
            raise ToolProblem(f"{self.argv[0]} ran out of its time limit", where=self.endpoint)
        if self.exit_code == 127:
            raise ToolProblem(
                f"{self.argv[0]} is not installed there",
                where=self.endpoint,
                remedy=f"install {self.argv[0]}",
            )
        if self.exit_code != 0:
            raise ToolProblem(
                f"{self.argv[0]} ended with status {self.exit_code}: {self.last_words}", where=self.endpoint
            )
        return self

    @property
    def last_words(self) -> str:
        """The last line a person would look at: of stderr, else of stdout."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1][:300] if lines else "(it printed nothing)"


class RunningCommand(Protocol):
    """A command in the background: a server. Use as a context manager; leaving it stops the command."""

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        """Wait until the command has printed `text` on stdout or stderr.

        Raises:
            ToolProblem: It ended before, or `deadline` seconds passed.
        """

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""

    def finish(self, *, deadline: float) -> CommandResult:
        """Wait up to `deadline` seconds for its end, stop it if it has none, and return what it left."""

    def stop(self) -> None:
        """End it now. Idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Endpoint(Protocol):
    """A place a command can run: a host (node) or a pod. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """For people: `node1`, `pod bgp-node2-1`."""

    @property
    def kind(self) -> EndpointKind:
        """Host or pod."""

    @property
    def node(self) -> str:
        """Name of the node it lives on."""

    @property
    def address(self) -> str:
        """The IPv4 address clients ask for, dotted: its own, or that of the Service it stands behind."""

    @property
    def own_address(self) -> str:
        """Its own IPv4 address: what its servers listen at and what routes are judged by."""

    @property
    def scratch(self) -> str:
        """A private writable folder there, absolute; gone with the cluster."""

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        """Run `argv` to its end; the far side itself ends it after `limit` seconds.

        Raises:
            ClusterProblem: The endpoint cannot be talked to at all.
        """

    def start(self, argv: Sequence[str], *, limit: float) -> RunningCommand:
        """Start `argv` in the background; the far side itself ends it after `limit` seconds."""

    def write_file(self, path: str, text: str) -> None:
        """Write a small text file there."""

    def allocate_port(self) -> int:
        """A TCP and UDP port nothing of ours uses there; another one at each call."""


@dataclass(frozen=True)
class EndpointPair:
    """The two ends of a path in a mode."""

    path: Path
    mode: Mode | None
    client: Endpoint
    server: Endpoint


class Cluster(Protocol):
    """Where we measure. Use as a context manager: entering provisions, leaving restores."""

    @property
    def name(self) -> str:
        """Its name in reports: the cluster file's."""

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes it was asked for, in the user's order."""

    @property
    def serial(self) -> bool:
        """Whether it carries one mode at a time: `turn_to` must then be called before a mode is measured."""

    @property
    def shared(self) -> bool:
        """Whether others send through its tunnels, too: that a tunnel's counter moves then proves less."""

    def turn_to(self, mode: Mode) -> None:
        """Carry this mode, and no other, from now on; pods asked for afterwards are new.

        Does nothing where modes live side by side. Turning to the mode it has does nothing either.

        Raises:
            ClusterProblem: It could not; which mode it has now nobody knows.
            Unsupported: It cannot have that mode; it is as it was.
        """

    def facts(self) -> Mapping[str, Any]:
        """What it is, JSON-able: kind, nodes with kernel and CPU, subnets, pools, MTUs, tool versions."""

    def pair(self, path: Path, mode: Mode | None) -> EndpointPair:
        """The two ends of a path.

        Raises:
            Unsupported: This cluster cannot have that path in that mode; the message says why.
        """

    def host(self, node: str) -> Endpoint:
        """The host endpoint of a node."""

    def expected_encapsulation(self, pair: EndpointPair) -> Encapsulation | None:
        """What must be on the wire from client to server; None when nobody can know (`current`)."""

    def tunnel_devices(self) -> Mapping[Encapsulation, str]:
        """Device name per encapsulation as it appears in a node's routes, e.g. {IPIP: "tunl0"}."""

    def tunnel_packets(self, node: str) -> Mapping[Encapsulation, int]:
        """Packets each tunnel of the node has sent since it came up."""

    def inspector(self) -> Inspector:
        """Who answers what a diagnosis asks about Calico's own state."""

    def keep(self) -> None:
        """Do not restore when left: it outlives this process."""

    def how_to_enter(self) -> list[str]:
        """Lines that say how to enter each endpoint, and how to take all of it down."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
