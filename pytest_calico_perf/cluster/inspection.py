"""What a diagnosis may ask a cluster about Calico's own state: pools, blocks, sessions, daemons, policies.

What the kernel knows (routes, neighbours, counters, filters) is asked of the nodes themselves, by commands
at `Cluster.host`; here is what Calico believes and intends. Every answer may be "could not look", with its
reason: a diagnosis says what it did not see instead of guessing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from pytest_calico_perf.model import Encapsulation, Mode

T = TypeVar("T")


@dataclass(frozen=True)
class Look(Generic[T]):
    """An answer and where it is from.

    Attributes:
        value: What was seen; None when nobody could look.
        source: Where: `birdc show protocols on node1`, `CalicoNodeStatus`, `IPPools of projectcalico.org/v3`.
        why_not: Why nobody could look, a sentence without a full stop; empty when somebody could.
    """

    value: T | None
    source: str
    why_not: str = ""


@dataclass(frozen=True)
class NodeState:
    """A node as Calico knows it.

    Attributes:
        name: Its name.
        address: The IPv4 address Calico uses for it, dotted.
        subnet: The prefix that address is in, by which CrossSubnet decides; empty when not known.
        as_number: Its own AS number; None when it has the cluster's, or nobody knows.
        tunnels: Address of each tunnel device it has.
        vxlan_mac: Hardware address of its vxlan.calico; empty when not known.
    """

    name: str
    address: str
    subnet: str = ""
    as_number: int | None = None
    tunnels: Mapping[Encapsulation, str] = field(default_factory=lambda: MappingProxyType({}))
    vxlan_mac: str = ""


@dataclass(frozen=True)
class PoolState:
    """An IP pool.

    Attributes:
        name: Its name.
        range: Its prefix.
        mode: How packets to it travel.
        disabled: Whether new pods get no address from it.
    """

    name: str
    range: str
    mode: Mode
    disabled: bool = False


@dataclass(frozen=True)
class BlockState:
    """A block of addresses.

    Attributes:
        range: Its prefix.
        node: The node it belongs to; empty when to none.
    """

    range: str
    node: str


@dataclass(frozen=True)
class SessionState:
    """A BGP session as one of its ends sees it.

    Attributes:
        peer: Address of the other end.
        peer_node: Name of the node that has it; empty for a router, or when not known.
        established: Whether it is up.
        state: BIRD's word: `Established`, `Active`, `Connect`, `OpenSent`, `Idle`, `down`.
        info: What BIRD says besides: `Socket: Connection refused`, `Received: Bad peer AS`.
    """

    peer: str
    peer_node: str
    established: bool
    state: str
    info: str = ""


class Inspector(Protocol):
    """Answers about Calico's own state, each as fresh as it is asked. Never raises for what it cannot see."""

    def nodes(self) -> Look[tuple[NodeState, ...]]:
        """Every node of the cluster."""

    def pools(self) -> Look[tuple[PoolState, ...]]:
        """Every IP pool."""

    def blocks(self) -> Look[tuple[BlockState, ...]]:
        """Every block that belongs to a node."""

    def mesh(self) -> Look[bool]:
        """Whether every node is meant to have a session with every other one (nodeToNodeMeshEnabled)."""

    def sessions(self, node: str) -> Look[tuple[SessionState, ...]]:
        """The BGP sessions of a node; an empty tuple means that it is configured for none."""

    def daemons(self, node: str) -> Look[Mapping[str, bool]]:
        """Daemon -> whether it runs there; of `bird` and `felix` those that should run there."""

    def route_writer(self, encapsulation: Encapsulation) -> Look[str]:
        """Who is meant to write the routes to remote blocks so carried: `bird` or `felix`."""

    def policies(self, node: str, address: str) -> Look[tuple[str, ...]]:
        """Names of the network policies that apply to the pod with this address on this node."""


@dataclass(frozen=True)
class Blind:
    """An inspector of a cluster into which nobody can look.

    Attributes:
        why_not: The reason, a sentence without a full stop.
    """

    why_not: str

    def _answer(self) -> Look[Any]:
        return Look(None, "", self.why_not)

    def nodes(self) -> Look[tuple[NodeState, ...]]:
        return self._answer()

    def pools(self) -> Look[tuple[PoolState, ...]]:
        return self._answer()

    def blocks(self) -> Look[tuple[BlockState, ...]]:
        return self._answer()

    def mesh(self) -> Look[bool]:
        return self._answer()

    def sessions(self, node: str) -> Look[tuple[SessionState, ...]]:  # noqa: ARG002
        return self._answer()

    def daemons(self, node: str) -> Look[Mapping[str, bool]]:  # noqa: ARG002
        return self._answer()

    def route_writer(self, encapsulation: Encapsulation) -> Look[str]:  # noqa: ARG002
        return self._answer()

    def policies(self, node: str, address: str) -> Look[tuple[str, ...]]:  # noqa: ARG002
        return self._answer()
