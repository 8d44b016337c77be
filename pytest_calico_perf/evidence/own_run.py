"""What the tunnels of both nodes counted around one run of a cell's own: no other contender ran meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pytest_calico_perf.cluster.base import Cluster, EndpointPair
from pytest_calico_perf.evidence.look import Evidence, Side
from pytest_calico_perf.evidence.traffic import Moved
from pytest_calico_perf.model import Encapsulation

Sent = Callable[[Encapsulation], int]
"""How many packets a tunnel of a node sent meanwhile."""

# Packets that the kernel sends through a device of its own accord (IPv6 router solicitations, MLD reports):
# fewer than this many say nothing about a run, not even where nobody else uses the tunnel.
STRAY = 8


@dataclass(frozen=True)
class Counters:
    """Packets each tunnel has sent since it came up, at one moment.

    Attributes:
        client: On the client's node.
        server: On the server's node.
    """

    client: Mapping[Encapsulation, int]
    server: Mapping[Encapsulation, int]


@dataclass(frozen=True)
class OwnRun:
    """A run of a cell's probe between two readings.

    Attributes:
        before: Read right before it.
        after: Read right after it.
        moved: What it sent at least.
        shared: Whether others may have sent through the tunnels meanwhile.
    """

    before: Counters
    after: Counters
    moved: Moved
    shared: bool

    def client_sent(self, tunnel: Encapsulation) -> int:
        """Packets that this tunnel of the client's node sent meanwhile."""
        return _sent(self.before.client, self.after.client, tunnel)

    def server_sent(self, tunnel: Encapsulation) -> int:
        """Packets that this tunnel of the server's node sent meanwhile."""
        return _sent(self.before.server, self.after.server, tunnel)

    def leaked(self, sent: int, count: int) -> bool | None:
        """Whether a run that should not use a tunnel went through it; None when nobody can know.

        Args:
            sent: Packets that the tunnel sent meanwhile.
            count: Packets that the run sent this way at least: had it used the tunnel, that counted them all.
        """
        if sent < count:
            return False
        return True if not self.shared and sent >= STRAY else None


def plain_ways(look: Evidence, own: OwnRun) -> Iterator[tuple[Side, Side, Sent, int]]:
    """From where to where the run must have gone unencapsulated, what tunnels sent there, and it at least.

    A packet that is to go through one tunnel and is counted there went there: another one is not looked at.
    Nor is a server's node whose replies may go to the tunnel's address of the client's.
    """
    if look.expected is Encapsulation.NONE:
        yield look.client, look.server, own.client_sent, own.moved.forward
        if look.expected_back is Encapsulation.NONE:
            yield look.server, look.client, own.server_sent, own.moved.backward


def read(cluster: Cluster, pair: EndpointPair) -> Counters:
    """The counters of both nodes now.

    Raises:
        ToolProblem: A node lacks `ip`, or what it tells cannot be read.
        ClusterProblem: A node cannot be talked to.
    """
    client = dict(cluster.tunnel_packets(pair.client.node))
    same_node = pair.server.node == pair.client.node
    return Counters(client, client if same_node else dict(cluster.tunnel_packets(pair.server.node)))


def _sent(
    before: Mapping[Encapsulation, int], after: Mapping[Encapsulation, int], tunnel: Encapsulation
) -> int:
    return after.get(tunnel, 0) - before.get(tunnel, 0)
