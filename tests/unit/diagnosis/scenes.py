"""Two nodes with a pod each, as the lab's iproute2 told of them, and what a test changes about them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, EndpointPair
from pytest_calico_perf.cluster.inspection import (
    Blind,
    BlockState,
    Inspector,
    Look,
    NodeState,
    PoolState,
    SessionState,
)
from pytest_calico_perf.diagnosis.kernel import Device, Neighbour, routes
from pytest_calico_perf.diagnosis.scene import NodeView, Scene, Side, View, Way
from pytest_calico_perf.errors import ClusterProblem
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path

MACS = {"node1": "66:f9:37:c3:7e:94", "node2": "66:2d:bf:44:a6:8b"}
TUNNELS = {Encapsulation.IPIP: "tunl0", Encapsulation.VXLAN: "vxlan.calico"}
NODES = {"node1": "198.18.0.2", "node2": "198.18.0.3"}
PODS = {"node1": "198.19.12.1", "node2": "198.19.12.65"}
ENDS = {"node1": "198.19.12.0", "node2": "198.19.12.64"}
BLOCKS = {"node1": "198.19.12.0/26", "node2": "198.19.12.64/26"}
VETHS = {"node1": "cali6fae9f239ab", "node2": "cali128e4a66ad5"}
OTHER = {"node1": "node2", "node2": "node1"}


def seen(value: Any) -> Look[Any]:
    return Look(value, "a test")


@dataclass
class Silent:
    """An endpoint that cannot be talked to."""

    name: str = "node1"
    node: str = "node1"
    kind: EndpointKind = EndpointKind.HOST
    address: str = "198.18.0.2"
    scratch: str = "/nowhere"
    asked: list[Sequence[str]] = field(default_factory=list)

    @property
    def own_address(self) -> str:
        return self.address

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        self.asked.append(argv)
        raise ClusterProblem("the connection broke", where=self.name)

    def start(self, argv: Sequence[str], *, limit: float) -> Any:
        raise ClusterProblem("the connection broke", where=self.name)

    def write_file(self, path: str, text: str) -> None:
        raise ClusterProblem("the connection broke", where=self.name)

    def allocate_port(self) -> int:
        return 20000


@dataclass
class Telling(Silent):
    """An endpoint whose commands print what they are told to; by the command's first word."""

    says: Mapping[str, tuple[int, str, str]] = field(default_factory=dict)

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        self.asked.append(argv)
        code, out, err = self.says.get(argv[0], (127, "", "not found"))
        return CommandResult(tuple(argv), self.name, code, out, err, 0.01)


@dataclass
class World:
    """A cluster as far as a diagnosis asks for one."""

    client: Endpoint
    server: Endpoint
    hosts: Mapping[str, Endpoint] = field(default_factory=dict)
    inspecting: Inspector = field(default_factory=lambda: Blind("nobody may look"))
    modes: tuple[Mode, ...] = ()
    serial: bool = True
    shared: bool = False
    name: str = "world"
    wraps: Encapsulation | None = Encapsulation.VXLAN

    def host(self, node: str) -> Endpoint:
        if node not in self.hosts:
            raise ClusterProblem(f"no host endpoint on {node}")
        return self.hosts[node]

    def pair(self, path: Path, mode: Mode | None) -> EndpointPair:
        return EndpointPair(path, mode, self.client, self.server)

    def expected_encapsulation(self, pair: EndpointPair) -> Encapsulation | None:
        return self.wraps

    def tunnel_devices(self) -> Mapping[Encapsulation, str]:
        return TUNNELS

    def tunnel_packets(self, node: str) -> Mapping[Encapsulation, int]:
        return {}

    def inspector(self) -> Inspector:
        return self.inspecting

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...


def pods() -> tuple[Silent, Silent]:
    one, two = (
        Silent(f"pod vxlan-{node}-1", node, EndpointKind.POD, PODS[node]) for node in ("node1", "node2")
    )
    return one, two


def node_devices(node: str) -> dict[str, Device]:
    return {
        device.name: device
        for device in (
            Device("eth0", 2, True, 1500, mac=f"3e:21:5d:f5:bf:0{node[-1]}", kind="veth", addresses=(NODES[node],)),
            Device("tunl0", 4, True, 1480, kind="veth", addresses=(f"198.19.4.{0 if node == 'node1' else 64}",)),
            Device(
                "vxlan.calico", 5, True, 1450, mac=MACS[node], kind="vxlan", addresses=(ENDS[node],), vni=4096, port=4789
            ),
            Device(VETHS[node], 8, True, 1450, kind="veth"),
        )
    }  # fmt: skip


def node_routes(node: str, *lines: Mapping[str, Any]) -> Any:
    """Of a node whose pool is carried in VXLAN; `lines` come in front."""
    other = OTHER[node]
    return routes(
        json.dumps(
            [
                *lines,
                {"dst": "default", "gateway": "198.18.0.1", "dev": "eth0"},
                {"dst": "198.18.0.0/24", "dev": "eth0", "protocol": "kernel", "scope": "link"},
                {"type": "blackhole", "dst": BLOCKS[node], "protocol": "80"},
                {"dst": PODS[node], "dev": VETHS[node], "protocol": "80", "scope": "link"},
                {"dst": BLOCKS[other], "gateway": ENDS[other], "dev": "vxlan.calico", "flags": ["onlink"]},
            ]
        )
    )


def way(dst: str, gateway: str = "", dev: str = "eth0", **more: str) -> Way:
    (route,) = routes(json.dumps([{"dst": dst, "gateway": gateway, "dev": dev, **more}]))
    return Way(route)


def side(node: str, endpoint: Endpoint) -> Side:
    """A side that is whole, in mode vxlan."""
    other = OTHER[node]
    view = NodeView(
        devices=seen(node_devices(node)),
        routes=seen(node_routes(node)),
        neighbours=seen((Neighbour(ENDS[other], "vxlan.calico", MACS[other], "PERMANENT"),)),
        forwarding=seen({MACS[other]: NODES[other]}),
        to_end=seen(way(BLOCKS[other], ENDS[other], "vxlan.calico")),
        to_node=seen(way("198.18.0.0/24")),
        sessions=seen((SessionState(NODES[other], other, True, "Established"),)),
        daemons=seen({"bird": True, "felix": True}),
        sysctls=seen({"net/ipv4/ip_forward": "1"}),
    )
    eth0 = Device("eth0", 2, True, 1450, kind="veth", addresses=(PODS[node],), peer_index=8)
    gateway = [
        {"dst": "default", "gateway": "169.254.1.1", "dev": "eth0"},
        {"dst": "169.254.1.1", "dev": "eth0"},
    ]
    pod = View(seen({"eth0": eth0}), seen(routes(json.dumps(gateway))), seen(()))
    state = NodeState(node, NODES[node], tunnels={Encapsulation.VXLAN: ENDS[node]}, vxlan_mac=MACS[node])
    return Side(endpoint, Silent(node, node), node, NODES[node], state, view, pod, VETHS[node])


def scene(mode: Mode = Mode.VXLAN, wraps: Encapsulation = Encapsulation.VXLAN) -> Scene:
    """A whole path between two pods, whose pings nobody answers."""
    one, two = pods()
    world = World(one, two, wraps=wraps)
    return Scene(
        cluster=world,  # type: ignore[arg-type]
        pair=EndpointPair(Path.POD_TO_POD, mode, one, two),
        client=side("node1", one),
        server=side("node2", two),
        forward=wraps,
        backward=wraps,
        tunnels=TUNNELS,
        nodes=seen(tuple(NodeState(node, address) for node, address in NODES.items())),
        pools=seen((PoolState("vxlan", "198.19.12.0/22", Mode.VXLAN),)),
        blocks=seen(tuple(BlockState(block, node) for node, block in BLOCKS.items())),
        mesh=seen(True),
        pinged=seen((0, 3)),
        nodes_pinged=seen((3, 3)),
        writers={},
    )


def bare() -> Scene:
    """The same in mode bgp: nothing is wrapped, and BIRD writes the routes."""
    found = scene(Mode.BGP, Encapsulation.NONE)
    return replace(
        found,
        client=looking(found.client, to_end=seen(way(BLOCKS["node2"], NODES["node2"], protocol="bird"))),
        server=looking(found.server, to_end=seen(way(BLOCKS["node1"], NODES["node1"], protocol="bird"))),
        pools=seen((PoolState("bgp", "198.19.12.0/22", Mode.BGP),)),
    )


def looking(one: Side, **views: Look[Any]) -> Side:
    """A side whose node shows something else."""
    return replace(one, view=replace(one.view, **views))


def inside(one: Side, **views: Look[Any]) -> Side:
    """A side whose pod shows something else."""
    assert one.pod
    return replace(one, pod=replace(one.pod, **views))
