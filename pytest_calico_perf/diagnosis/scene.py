"""Everything that one look from both ends gives: the two nodes, their pods, and what Calico intends.

Nothing is decided here. What could not be seen is a `Look` without value. `survey` fills it in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_calico_perf.cluster.base import Cluster, Endpoint, EndpointPair
from pytest_calico_perf.cluster.inspection import BlockState, Look, NodeState, PoolState, SessionState
from pytest_calico_perf.diagnosis import kernel
from pytest_calico_perf.diagnosis.kernel import Device, KernelRoute, Neighbour
from pytest_calico_perf.diagnosis.notes import At
from pytest_calico_perf.model import Encapsulation, Mode

# What an inspector says of route writers when it can see that they are none or two.
_NO_WRITER = re.compile(r"\bnobody\b|\bat once\b")


@dataclass(frozen=True)
class Way:
    """What a kernel would do with packets to an address.

    Attributes:
        route: The route it would use; None when it refuses.
        refusal: Its words then: `RTNETLINK answers: Network is unreachable`.
    """

    route: KernelRoute | None
    refusal: str = ""

    @property
    def is_none(self) -> bool:
        """Whether it has no route at all, as opposed to one that refuses."""
        return self.route is None and "Network is unreachable" in self.refusal


@dataclass(frozen=True)
class View:
    """What the kernel of a node, or of a pod's network namespace, knows."""

    devices: Look[dict[str, Device]]
    routes: Look[tuple[KernelRoute, ...]]
    neighbours: Look[tuple[Neighbour, ...]]

    def neighbour(self, address: str, device: str) -> Neighbour | None:
        """The entry of an address on a device."""
        entries = self.neighbours.value or ()
        return next((each for each in entries if (each.address, each.device) == (address, device)), None)


@dataclass(frozen=True)
class NodeView(View):
    """The same of a node, and what else it knows.

    Attributes:
        forwarding: Hardware address -> node behind vxlan.calico.
        to_end: Its way to the other side's endpoint.
        to_node: Its way to the other side's node.
        sessions: Its BGP sessions.
        daemons: Which of its daemons run.
        sysctls: `net/ipv4/ip_forward` -> value.
    """

    forwarding: Look[dict[str, str]]
    to_end: Look[Way]
    to_node: Look[Way]
    sessions: Look[tuple[SessionState, ...]]
    daemons: Look[Mapping[str, bool]]
    sysctls: Look[dict[str, str]]


@dataclass(frozen=True)
class Side:
    """One end of the path.

    Attributes:
        endpoint: The pod, or the node itself.
        host: Its node's endpoint; None when no command can be run there.
        node: Name of its node.
        node_address: The node's address; empty when not known.
        state: The node as Calico knows it.
        view: Its node.
        pod: The pod; None for a host.
        veth: The pod's device on the node; empty when not known.
        asks_from: The address its packets carry, where it is not its own: a host asks through a tunnel from
            the address of the tunnel's end.
    """

    endpoint: Endpoint
    host: Endpoint | None
    node: str
    node_address: str
    state: NodeState | None
    view: NodeView
    pod: View | None
    veth: str = ""
    asks_from: str = ""

    @property
    def name(self) -> str:
        """The endpoint's."""
        return self.endpoint.name

    @property
    def address(self) -> str:
        """What the other side answers to: the endpoint's own, mostly."""
        return self.asks_from or self.endpoint.own_address

    @property
    def uplink(self) -> str:
        """The node's device towards the other node; empty when not known."""
        way = self.view.to_node.value
        return way.route.device if way and way.route else ""

    def tunnel_address(self, encapsulation: Encapsulation, device: str) -> str:
        """Address of its tunnel's end, as the device has it, else as Calico knows it; empty for none."""
        there = (self.view.devices.value or {}).get(device)
        if there and there.addresses:
            return there.addresses[0]
        return self.state.tunnels.get(encapsulation, "") if self.state else ""


@dataclass(frozen=True)
class Scene:
    """Both sides of a path, and what is meant to be between them.

    Attributes:
        cluster: Where.
        pair: The path.
        client: The side that asks.
        server: The side that answers.
        forward: What is to wrap packets from client to server; None when nobody can know.
        backward: What is to wrap the answers.
        tunnels: Encapsulation -> name of its device.
        nodes: Every node as Calico knows it.
        pools: Every pool.
        blocks: Every block.
        mesh: Whether the full mesh is on.
        pinged: Answered and sent pings from client to server, before anything was looked at.
        nodes_pinged: The same from the client's node to the server's.
        writers: Encapsulation -> who is meant to write its routes.
    """

    cluster: Cluster
    pair: EndpointPair
    client: Side
    server: Side
    forward: Encapsulation | None
    backward: Encapsulation | None
    tunnels: Mapping[Encapsulation, str]
    nodes: Look[tuple[NodeState, ...]]
    pools: Look[tuple[PoolState, ...]]
    blocks: Look[tuple[BlockState, ...]]
    mesh: Look[bool]
    pinged: Look[tuple[int, int]]
    nodes_pinged: Look[tuple[int, int]]
    writers: Mapping[Encapsulation, Look[str]] = field(default_factory=dict)

    @property
    def same_node(self) -> bool:
        """Whether both ends live on one node."""
        return self.client.node == self.server.node

    def other(self, side: Side) -> Side:
        """The opposite one."""
        return self.server if side is self.client else self.client

    def pool_of(self, address: str) -> PoolState | None:
        """The smallest pool that holds an address."""
        holding = [pool for pool in self.pools.value or () if kernel.address_in(address, pool.range)]
        return max(holding, key=lambda pool: int(pool.range.partition("/")[2] or 0), default=None)

    def block_of(self, address: str) -> BlockState | None:
        """The block that holds an address."""
        holding = [block for block in self.blocks.value or () if kernel.address_in(address, block.range)]
        return holding[0] if holding else None

    @property
    def alive(self) -> bool:
        """Whether a ping came back."""
        return self.pinged.value is not None and self.pinged.value[0] > 0

    def written_as(self, side: Side, wraps: Encapsulation | None) -> str:
        """Who writes a route to the pod of a side: `bird` or `felix`, as told, else as in Calico up to 3.32.

        It goes by the pool's encapsulation, also where a CrossSubnet pool wraps nothing (felix/calc and
        confd's `calico_kernel_programming` both look at the pool).
        """
        return self.writer(self._tunnel(side, wraps))

    def nobody_writes(self, side: Side, wraps: Encapsulation | None) -> str:
        """Why nobody, or more than one, writes a route to the pod of a side; empty where one does."""
        look = self.writers.get(self._tunnel(side, wraps))
        if look is None or look.value in ("bird", "felix"):
            return ""
        return look.value or (look.why_not if _NO_WRITER.search(look.why_not) else "")

    def _tunnel(self, side: Side, wraps: Encapsulation | None) -> Encapsulation:
        """The encapsulation of the pool that the pod of a side is in."""
        mode = self.pair.mode
        if mode in (None, Mode.CURRENT):
            pool = self.pool_of(side.address)
            mode = pool.mode if pool else None
        return wraps or Encapsulation.NONE if mode in (None, Mode.CURRENT) else mode.tunnel

    def writer(self, tunnel: Encapsulation) -> str:
        """Who writes the routes of pools with this encapsulation."""
        if tunnel is Encapsulation.VXLAN:
            return "felix"
        told = self.writers.get(tunnel)
        return (told.value if told else None) or "bird"

    @property
    def router_peers(self) -> bool:
        """Whether a router that is no node has a session with one of the two nodes: then it knows pods."""
        return any(
            session.established and not session.peer_node
            for side in (self.client, self.server)
            for session in side.view.sessions.value or ()
        )

    @property
    def routed(self) -> bool:
        """Whether a router stands between the nodes: each is behind a gateway for the other."""
        ways = (self.client.view.to_node.value, self.server.view.to_node.value)
        return not self.same_node and any(way and way.route and way.route.gateway for way in ways)


@dataclass(frozen=True)
class Leg:
    """One direction: packets from a node to a pod of the other, or to the end of its tunnel.

    Attributes:
        source: The side whose node routes.
        target: The side whose address is asked for.
        wraps: What is meant to wrap them; None when nobody can know.
        at: Where packets end when the source's node does not know the way.
        far: Where they end when the target's node does not take them.
    """

    source: Side
    target: Side
    wraps: Encapsulation | None
    at: At
    far: At

    @property
    def block(self) -> str:
        """For sentences: whose block the route is to."""
        return f"{self.target.node}'s block with {self.target.address}"


def legs(scene: Scene) -> tuple[Leg, ...]:
    """The directions that need a block's route."""
    if scene.same_node:
        return ()
    both = (
        Leg(scene.client, scene.server, scene.forward, At.CLIENT_NODE, At.SERVER_NODE),
        Leg(scene.server, scene.client, scene.backward, At.SERVER_NODE_BACK, At.CLIENT_NODE_BACK),
    )
    return tuple(leg for leg in both if leg.target.pod is not None or leg.target.asks_from)
