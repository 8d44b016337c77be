"""A running lab with one of its paths: where a fault is built in, and what it is built with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network

from pytest_calico_perf.cluster.base import Endpoint, EndpointPair
from pytest_calico_perf.cluster.lab.builder import apply, bird_config, control_socket, reconfigure_bird
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.readiness import Readiness
from pytest_calico_perf.cluster.lab.topology import DEVICE, FABRIC, UPLINK, Node, Pod, Pool
from pytest_calico_perf.errors import NotReady
from pytest_calico_perf.model import Encapsulation

DEADLINE = 20.0
"""Seconds until a fault must have taken effect, and until it must be over once it is undone."""

_LIMIT = 10.0
_PAUSE = 0.05


@dataclass(frozen=True)
class Site:
    """Where a fault goes.

    Attributes:
        cluster: The lab.
        pair: The path that is to break.
    """

    cluster: LabCluster
    pair: EndpointPair

    @property
    def client(self) -> Node:
        return self.cluster.topology.node(self.pair.client.node)

    @property
    def server(self) -> Node:
        return self.cluster.topology.node(self.pair.server.node)

    @property
    def bystander(self) -> Node:
        """A node that is neither the client's nor the server's."""
        ends = (self.client.name, self.server.name)
        return next(node for node in self.cluster.topology.nodes if node.name not in ends)

    @property
    def pool(self) -> Pool:
        assert self.pair.mode
        return self.cluster.topology.pool(self.pair.mode)

    @property
    def encapsulation(self) -> Encapsulation:
        """What wraps the path's packets."""
        return self.cluster.topology.encapsulation(self.pool, self.client, self.server)

    @property
    def tunnel(self) -> str:
        """The path's tunnel device."""
        return DEVICE[self.encapsulation]

    @property
    def way_out(self) -> str:
        """Device by which the path's packets leave a node."""
        return DEVICE.get(self.encapsulation, UPLINK)

    def block(self, node: Node) -> IPv4Network:
        """The node's block of the path's pool."""
        return node.blocks[self.pool.name]

    @property
    def client_pod(self) -> Pod:
        return self._pod(self.pair.client)

    @property
    def server_pod(self) -> Pod:
        return self._pod(self.pair.server)

    def _pod(self, endpoint: Endpoint) -> Pod:
        pods = self.cluster.topology.node(endpoint.node).pods
        return next(pod for pod in pods if str(pod.address) == endpoint.own_address)

    def other(self, node: Node) -> Node:
        """The node at the other end of the path."""
        return self.server if node.name == self.client.name else self.client

    # -- what it is built with -------------------------------------------------------------------

    def run(self, namespace: str, *argv: str, stdin: str | None = None) -> None:
        """Run a command that changes a namespace and must succeed."""
        apply(self.cluster.sandbox, namespace, argv, stdin)

    def ask(self, namespace: str, *argv: str) -> str:
        """What a command prints that must succeed."""
        return self.cluster.sandbox.run(namespace, argv, limit=_LIMIT).check().stdout

    def route(self, node: Node, *words: str) -> None:
        """`ip route` there."""
        self.run(node.name, "ip", "route", *words)

    def birdc(self, node: Node, *words: str) -> str:
        """What the node's BIRD answers."""
        return self.ask(node.name, "birdc", "-s", control_socket(self.cluster.sandbox, node.name), *words)

    @contextmanager
    def table(self, namespace: str, name: str, chains: str) -> Iterator[None]:
        """An nftables table in a namespace, for as long as it is wanted; `name` has the family first."""
        self.run(namespace, "nft", "--file", "-", stdin=f"table {name} {{\n{chains}}}\n")
        try:
            yield
        finally:
            self.run(namespace, "nft", "delete", "table", *name.split())

    @contextmanager
    def dropped_in_fabric(self, name: str, *matches: str, nodes: Sequence[Node] = ()) -> Iterator[None]:
        """The fabric drops what these nodes (default: all) send into it and one of the matches fits.

        In the fabric's namespace, as packets come out of the cable: nothing on a node tells of it.
        """
        rules = "".join(f"    {match} counter drop\n" for match in matches)
        chains = "".join(
            f"  chain {node.name} {{\n"
            f'    type filter hook ingress device "{node.name}" priority 0\n{rules}  }}\n'
            for node in nodes or self.cluster.topology.nodes
        )
        with self.table(FABRIC, f"netdev drops_{name}", chains):
            yield

    @contextmanager
    def bird_told(self, node: Node, change: Callable[[str], str]) -> Iterator[None]:
        """The node's BIRD has a changed configuration."""
        sandbox = self.cluster.sandbox
        # Without the line that says where it logs, which is written anew each time.
        before = self.ask(node.name, "cat", bird_config(sandbox, node.name)).partition("\n")[2]
        after = change(before)
        assert after != before, "the configuration has another form than this fault knows"
        reconfigure_bird(sandbox, node.name, after)
        try:
            yield
        finally:
            reconfigure_bird(sandbox, node.name, before)

    def restart_sessions(self, *nodes: Node) -> None:
        """Begin the sessions between these nodes and all others anew, on both of their ends.

        What a session taught is forgotten with it. Left to itself a silent peer's routes stay for the hold
        time and then for that of a graceful restart, some minutes each.
        """
        for node in self.cluster.topology.nodes:
            socket = control_socket(self.cluster.sandbox, node.name)
            for peer in self.cluster.topology.peers(node):
                if node in nodes or peer in nodes:
                    argv = ["birdc", "-s", socket, "restart", f"mesh_{peer.name}"]
                    self.cluster.sandbox.run(node.name, argv, limit=_LIMIT)  # no matter if BIRD is dead

    # -- waiting ---------------------------------------------------------------------------------

    def await_(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until it is so.

        Raises:
            NotReady: It is not within `DEADLINE`.
        """
        until = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > until:
                raise NotReady(f"{what} does not happen", where=self.cluster.name)
            time.sleep(_PAUSE)

    def has_route(self, node: Node) -> bool:
        """Whether the node has a route to the other one's block."""
        return bool(self.ask(node.name, "ip", "route", "show", str(self.block(self.other(node)))).strip())

    def await_no_route(self, *nodes: Node) -> None:
        for node in nodes:
            self.await_(f"the loss of {node.name}'s route", lambda node=node: not self.has_route(node))

    def sessions_are_up(self) -> bool:
        """Whether every session of the mesh is."""
        inspector = self.cluster.inspector()
        looks = [inspector.sessions(node.name).value for node in self.cluster.topology.nodes]
        return all(look and all(session.established for session in look) for look in looks)

    def await_health(self) -> None:
        """Wait until the control plane is as it was: every session, every route.

        Raises:
            NotReady: It is not within `DEADLINE`.
        """
        self.await_("the recovery of the BGP sessions", self.sessions_are_up)
        with ThreadPoolExecutor(len(self.cluster.topology.nodes)) as executor:
            readiness = Readiness(self.cluster.sandbox, executor, until=time.monotonic() + DEADLINE)
            readiness.await_routes(self.cluster.topology, lambda node: "")
