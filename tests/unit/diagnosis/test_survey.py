"""Looking around: where a host asks from, and neighbours the kernel forgets while they are looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, EndpointPair
from pytest_calico_perf.diagnosis.looks import Looks
from pytest_calico_perf.diagnosis.scene import Scene, legs
from pytest_calico_perf.diagnosis.survey import look_around
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path
from tests.unit.diagnosis.scenes import BLOCKS, ENDS, NODES, OTHER, PODS, Silent, World

GATEWAY = "169.254.1.1"


@dataclass
class Kernel(Silent):
    """An endpoint with a kernel; `neighbours` are its tables, one after the other, the last for good."""

    answers: int = 0
    neighbours: list[list[dict[str, object]]] = field(default_factory=lambda: [[]])

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        self.asked.append(tuple(argv))
        return CommandResult(tuple(argv), self.name, 0, self._says(tuple(argv)), "", 0.01)

    def _says(self, argv: tuple[str, ...]) -> str:
        if argv[0] == "ping":
            return f"3 packets transmitted, {self.answers} received"
        if argv[0] == "ip" and "fibmatch" in argv:
            return json.dumps([self._route(argv[-1])])
        if argv[0] == "ip" and "addr" in argv:
            there = {"vxlan.calico": ENDS, "eth0": NODES if self.kind is EndpointKind.HOST else PODS}
            return json.dumps([self._device(*each) for each in enumerate(there.items())])
        if argv[0] == "ip" and "neigh" in argv:
            return json.dumps(self.neighbours.pop(0) if len(self.neighbours) > 1 else self.neighbours[0])
        return "[]"

    def _route(self, address: str) -> dict[str, object]:
        if address in NODES.values():
            return {"dst": "198.18.0.0/24", "dev": "eth0"}
        other = OTHER[self.node]
        return {"dst": BLOCKS[other], "gateway": ENDS[other], "dev": "vxlan.calico"}

    def _device(self, index: int, device: tuple[str, dict[str, str]]) -> dict[str, object]:
        name, addresses = device
        told = [{"family": "inet", "local": addresses[self.node]}]
        return {
            "ifname": name,
            "ifindex": index + 2,
            "mtu": 1450,
            "flags": ["UP", "LOWER_UP"],
            "addr_info": told,
        }


def host(node: str, **more: object) -> Kernel:
    return Kernel(node, node, EndpointKind.HOST, NODES[node], **more)  # type: ignore[arg-type]


def pod(node: str, **more: object) -> Kernel:
    return Kernel(f"pod {node}", node, EndpointKind.POD, PODS[node], **more)  # type: ignore[arg-type]


def around(
    path: Path, client: Endpoint, server: Endpoint, wraps: Encapsulation = Encapsulation.VXLAN
) -> Scene:
    hosts = {node: host(node) for node in NODES} | {
        e.node: e for e in (client, server) if e.kind is EndpointKind.HOST
    }
    world = World(client, server, hosts, wraps=wraps)
    return look_around(world, EndpointPair(path, Mode.VXLAN, client, server), Looks(20))  # type: ignore[arg-type]


def test_a_host_asks_through_a_tunnel_from_the_tunnels_end_and_so_the_way_back_is_to_that():
    found = around(Path.HOST_TO_POD, host("node1"), pod("node2"))
    assert found.client.asks_from == found.client.address == ENDS["node1"]
    assert found.server.view.to_end.value.route.gateway == ENDS["node1"]
    assert [(leg.source.node, leg.target.address) for leg in legs(found)] == [
        ("node1", PODS["node2"]),
        ("node2", ENDS["node1"]),
    ]


@pytest.mark.parametrize(
    "look",
    [
        lambda: around(Path.HOST_TO_POD, host("node1"), pod("node2"), Encapsulation.NONE),
        lambda: around(Path.HOST_TO_POD, host("node1", answers=3), pod("node2")),
        lambda: around(Path.POD_TO_POD, pod("node1"), pod("node2")),
        lambda: around(Path.POD_TO_HOST, pod("node1"), host("node2")),
    ],
    ids=["wrapped by nothing", "alive", "pods", "host answers"],
)
def test_elsewhere_everybody_asks_from_its_own_address(look: Callable[[], Scene]):
    found = look()
    assert found.client.asks_from == found.server.asks_from == ""
    assert found.client.address == found.client.endpoint.own_address


def entry(state: str) -> dict[str, object]:
    return {"dst": GATEWAY, "dev": "eth0", "state": [state]}


@pytest.mark.parametrize(
    ("tables", "dead"),
    [
        ([[entry("FAILED")], [entry("INCOMPLETE")]], True),
        ([[entry("INCOMPLETE")], []], True),
        ([[entry("FAILED")], [entry("REACHABLE") | {"lladdr": "ee:ee:ee:ee:ee:ee"}]], False),
    ],
    ids=["still dead", "forgotten", "answers now"],
)
def test_a_neighbour_that_did_not_answer_is_asked_again_and_not_forgotten(tables, dead):
    found = around(Path.POD_TO_POD, pod("node1", neighbours=tables), pod("node2"))
    (gateway,) = found.client.pod.neighbours.value
    assert gateway.dead is dead
