"""Ready means proven: every route is there, and a packet went through every path both ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.cluster.base import Endpoint, EndpointPair
from pytest_calico_perf.cluster.lab.bird import bare_gateway
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import DEVICE, UPLINK, Node, Pool, Topology
from pytest_calico_perf.errors import NotReady
from pytest_calico_perf.model import Encapsulation, Mode
from pytest_calico_perf.parsing import blaming, json_objects

_LIMIT = 10.0
_PAUSE = 0.05


@dataclass(frozen=True)
class ExpectedRoute:
    """A route a node must have to a block of a peer's.

    Attributes:
        node: Whose route.
        mode: Whose pool the block is of.
        destination: The block.
        gateway: Next hop.
        device: Where packets leave.
    """

    node: str
    mode: Mode
    destination: str
    gateway: str
    device: str

    def __str__(self) -> str:
        return f"{self.destination} via {self.gateway} dev {self.device}"


def expected_routes(topology: Topology) -> tuple[ExpectedRoute, ...]:
    """Every route from every node to every other node's blocks, as the modes demand.

    To a VXLAN block the gateway is the peer's tunnel address (felix/dataplane/linux/vxlan_mgr.go), to any
    other the peer itself, through `tunl0` where IPIP wraps (`calico_kernel_programming` in
    node/filesystem/etc/calico/confd/templates/bird_ipam.cfg.template).
    """
    return tuple(
        _expected_route(topology, node, peer, pool)
        for node in topology.nodes
        for peer in topology.peers(node)
        for pool in topology.pools
    )


def _expected_route(topology: Topology, node: Node, peer: Node, pool: Pool) -> ExpectedRoute:
    match topology.encapsulation(pool, node, peer):
        case Encapsulation.VXLAN:
            gateway, device = peer.tunnels[Encapsulation.VXLAN], DEVICE[Encapsulation.VXLAN]
        case Encapsulation.IPIP:
            gateway, device = peer.address, DEVICE[Encapsulation.IPIP]
        case Encapsulation.NONE:
            gateway, device = bare_gateway(node, peer), UPLINK
    return ExpectedRoute(node.name, pool.mode, str(peer.blocks[pool.name]), str(gateway), device)


def shown_routes(text: str, node: str) -> list[Mapping[str, Any]]:
    """What `ip -j route show` printed on a node; nothing at all where there is no route.

    Raises:
        ToolProblem: It is no JSON.
    """
    with blaming(node):
        return json_objects(text, "ip") if text.strip() else []


def absent(expected: Iterable[ExpectedRoute], routes: Iterable[Mapping[str, Any]]) -> list[ExpectedRoute]:
    """Those of `expected` that are not among `routes`, as `ip -j route show` prints them."""
    shown = ((route.get("dst"), route.get("gateway"), route.get("dev")) for route in routes)
    present = {hop for hop in shown if all(isinstance(part, str) for part in hop)}
    return [route for route in expected if (route.destination, route.gateway, route.device) not in present]


class Readiness:
    """Waits for a lab, until a moment of `time.monotonic()`."""

    def __init__(self, sandbox: Sandbox, executor: Executor, *, until: float) -> None:
        self._sandbox = sandbox
        self._executor = executor
        self._until = until

    def await_routes(self, topology: Topology, session_state: Callable[[str], str]) -> None:
        """Wait for every expected route on every node.

        Args:
            topology: The plan.
            session_state: What a node's BIRD says of its sessions, for the message.

        Raises:
            NotReady: The deadline passed; names the first route that is missing, and the sessions' state.
        """
        pending: dict[str, list[ExpectedRoute]] = {node.name: [] for node in topology.nodes}
        for route in expected_routes(topology):
            pending[route.node].append(route)
        while pending := self._still_absent(pending):
            if time.monotonic() >= self._until:
                node, routes = next(iter(pending.items()))
                raise NotReady(
                    f"route {routes[0]} of pool {routes[0].mode} is missing ({len(routes)} are);"
                    f" BIRD says: {session_state(node)}",
                    where=node,
                    remedy="raise ready-within in the cluster file if the machine is slow",
                )
            time.sleep(_PAUSE)

    def _still_absent(self, pending: dict[str, list[ExpectedRoute]]) -> dict[str, list[ExpectedRoute]]:
        answers = self._executor.map(self._routes, pending)
        left = {
            node: absent(routes, answer)
            for (node, routes), answer in zip(pending.items(), answers, strict=True)
        }
        return {node: routes for node, routes in left.items() if routes}

    def _routes(self, node: str) -> list[Mapping[str, Any]]:
        result = self._sandbox.run(node, ["ip", "-j", "route", "show"], limit=_LIMIT).check()
        return shown_routes(result.stdout, node)

    def await_packets(self, pairs: Sequence[EndpointPair]) -> None:
        """Wait until an echo came back on every path, asked for from either end.

        Raises:
            NotReady: The deadline passed; names the first path without an echo.
        """
        pending = [(pair, *ends) for pair in pairs for ends in _directions(pair)]
        while True:
            answers = self._executor.map(lambda leg: _echo(leg[1], leg[2]), pending)
            pending = [leg for leg, answered in zip(pending, answers, strict=True) if not answered]
            if not pending:
                return
            if time.monotonic() >= self._until:
                pair, source, target = pending[0]
                raise NotReady(
                    f"no echo from {target.name} ({target.address}), path {pair.path}, mode {pair.mode}",
                    where=source.name,
                    remedy="raise ready-within in the cluster file if the machine is slow",
                )
            time.sleep(_PAUSE)


def _directions(pair: EndpointPair) -> tuple[tuple[Endpoint, Endpoint], tuple[Endpoint, Endpoint]]:
    return (pair.client, pair.server), (pair.server, pair.client)


def _echo(source: Endpoint, target: Endpoint) -> bool:
    result = source.run(["ping", "-n", "-c", "1", "-W", "1", target.address], limit=5)
    return result.exit_code == 0 and "1 received" in result.stdout
