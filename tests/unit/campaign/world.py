"""A scripted world for the campaign, since no real one fails to order.

Reachability and evidence run their own commands against it; that they mean what they say is tested in
`network/`, on real namespaces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.cluster.inspection import Blind, Inspector
from pytest_calico_perf.errors import Unsupported
from pytest_calico_perf.model import Better, Cell, Encapsulation, EndpointKind, Measurement, Mode, Path, Unit
from pytest_calico_perf.plan import Block, Plan
from pytest_calico_perf.precision import Stopped
from pytest_calico_perf.reachability import BULK_BYTES

POD = Path.POD_TO_POD
BGP, IPIP, VXLAN = (Cell("tcp", POD, mode) for mode in (Mode.BGP, Mode.IPIP, Mode.VXLAN))
HOST = Cell("tcp", Path.HOST_TO_HOST, None)
TUNNELS = {Encapsulation.IPIP: "tunl0", Encapsulation.VXLAN: "vxlan.calico"}
MTU = {"tunl0": 1480, "vxlan.calico": 1450}


@dataclass
class World:
    """A cluster in memory. Everything anybody asks of it passes `step`, in one order.

    Attributes:
        script: Cell -> what its next runs give: a number, or a problem to raise.
        unsupported: Modes that cannot exist here.
        silent: Modes whose pings get no answer.
        routeless: Modes to whose pods nodes have no route, though packets arrive.
        refused: Cell -> the problem that opening its probe meets.
        routes: Mode -> device its packets leave by; by default as the mode says.
        sent: Packets the tunnels have sent.
        interrupt_at: At which step Ctrl-C is pressed.
        serial: Whether it carries one mode at a time.
        shared: Whether others send through its tunnels.
        stuck: Mode -> the problem that turning to it meets.
        at: The mode it carries, if it is serial.
        generation: How often it was turned; pods of one generation are gone in the next.
    """

    script: dict[Cell, list[Any]] = field(default_factory=dict)
    unsupported: set[Mode] = field(default_factory=set)
    silent: set[Mode] = field(default_factory=set)
    routeless: set[Mode] = field(default_factory=set)
    refused: dict[Cell, Exception] = field(default_factory=dict)
    routes: dict[Mode, str] = field(default_factory=dict)
    sent: dict[Encapsulation, int] = field(default_factory=lambda: dict.fromkeys(TUNNELS, 0))
    interrupt_at: int = -1
    serial: bool = False
    shared: bool = False
    stuck: dict[Mode, Exception] = field(default_factory=dict)
    at: Mode | None = None
    generation: int = 0
    log: list[tuple[Any, ...]] = field(default_factory=list)
    given: list[tuple[Cell, float]] = field(default_factory=list)
    open_now: set[Cell] = field(default_factory=set)

    def step(self, *what: Any) -> None:
        self.log.append(what)
        if len(self.log) == self.interrupt_at:
            raise KeyboardInterrupt

    def logged(self, word: str) -> list[Any]:
        return [what[1] for what in self.log if what[0] == word]

    # -- Cluster -------------------------------------------------------------------------------

    def turn_to(self, mode: Mode) -> None:
        self.step("turn", mode)
        self.at = None
        if mode in self.stuck:
            raise self.stuck[mode]
        self.generation += 1
        self.at = mode

    def pair(self, path: Path, mode: Mode | None) -> EndpointPair:
        self.step("pair", (path, mode))
        if self.serial and mode is not None:
            assert self.at is mode, f"{mode} was asked for while the cluster carries {self.at}"
        if mode in self.unsupported:
            raise Unsupported(f"this kernel has no {mode} device", where="lab")
        born = self.generation if mode else -1
        return EndpointPair(path, mode, Place(self, "client", mode, born), Place(self, "server", mode, born))

    def host(self, node: str) -> Place:
        return Place(self, node, None)

    modes = tuple(Mode)

    def expected_encapsulation(self, pair: EndpointPair) -> Encapsulation | None:
        if pair.mode is Mode.CURRENT:
            return None
        return Encapsulation.NONE if pair.mode is None else pair.mode.tunnel

    def tunnel_devices(self) -> Mapping[Encapsulation, str]:
        return TUNNELS

    def tunnel_packets(self, node: str) -> Mapping[Encapsulation, int]:
        self.step("counters", node)
        return dict(self.sent)

    def facts(self) -> Mapping[str, Any]:
        return {}

    def inspector(self) -> Inspector:
        return Blind("it is a scripted world")


@dataclass
class Place:
    """An endpoint whose address tells the mode, so that a route can be answered for it."""

    world: World
    name: str
    mode: Mode | None
    born: int = -1
    kind = EndpointKind.POD
    scratch = "/nowhere"

    @property
    def node(self) -> str:
        return f"{self.name}-node" if "node" not in self.name else self.name

    @property
    def address(self) -> str:
        third = list(Mode).index(self.mode) + 1 if self.mode else 0
        return f"198.18.{third}.{1 if self.name.startswith('client') else 2}"

    own_address = address

    def run(self, argv, *, limit: float) -> CommandResult:
        self.world.step(argv[0], (self.name, self.mode))
        assert self.born in (-1, self.world.generation), f"{self.name} is a pod of an earlier visit"
        out, errors, code = "", "", 0
        if argv[0] == "ping":
            out, code = ("0 received", 1) if self.mode in self.world.silent else ("1 received", 0)
        elif argv[0] == "iperf3":
            out = json.dumps({"end": {"sum_received": {"bytes": BULK_BYTES}}})
        elif argv[:5] == ["ip", "-j", "route", "get", "fibmatch"]:
            third = int(argv[-1].split(".")[2])
            mode = list(Mode)[third - 1] if third else None
            if mode in self.world.routeless:
                errors, code = "RTNETLINK answers: Network is unreachable", 2
            usual = TUNNELS.get(mode.tunnel, "eth0") if mode else "eth0"
            device = self.world.routes.get(mode, usual)
            out = json.dumps([{"dst": "block", "dev": device, "protocol": "bird"}])
        elif "link" in argv:
            out = json.dumps([{"ifname": argv[-1], "mtu": MTU.get(argv[-1], 1500)}])
        return CommandResult(tuple(argv), self.name, code, out, errors, 0.001)

    def start(self, argv, *, limit: float) -> Place:
        return self

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        pass

    running = False

    def finish(self, *, deadline: float) -> CommandResult:
        return CommandResult((), self.name, 0, "", "", 0.001)

    def stop(self) -> None:
        pass

    def allocate_port(self) -> int:
        return 5201

    def __enter__(self):
        return self

    def __exit__(self, *exc: object) -> None:
        pass


@dataclass(frozen=True)
class Scripted:
    """A probe that gives what the world's script says, else 1, 2, 3, ...; and sends ten packets a run."""

    world: World = field(compare=False)
    name: str = "tcp"
    once: bool = False
    unit: Unit = Unit.BIT_PER_SECOND
    better: Better = Better.HIGHER
    tools: tuple[str, ...] = ()
    seconds: float = 1.0

    def suits(self, path: Path) -> bool:
        return True

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Callable[[], Measurement]]:
        cell = Cell(self.name, pair.path, pair.mode)
        self.world.step("open", cell)
        assert pair.client.born in (-1, self.world.generation), (
            "the probe was opened between pods that are gone"
        )
        if cell in self.world.refused:
            raise self.world.refused[cell]
        self.world.open_now.add(cell)
        try:
            yield lambda: self._measure(cell)
        finally:
            self.world.open_now.discard(cell)

    def _measure(self, cell: Cell) -> Measurement:
        self.world.step("run", cell)
        script = self.world.script.get(cell, [])
        value = script.pop(0) if script else float(len(self.world.given) + 1)
        if isinstance(value, BaseException):
            raise value
        if cell.mode and cell.mode.tunnel in TUNNELS:
            self.world.sent[cell.mode.tunnel] += 10
        self.world.given.append((cell, value))
        return Measurement(value, 1.0, {"value": value})


@dataclass
class Listener:
    """An observer that can be interrupted like everything else."""

    world: World

    def turning(self, mode: Mode) -> None:
        self.world.step("turning", mode)

    def block_started(self, plan: Plan, block: Block) -> None:
        self.world.step("block_started", block.name)

    def round_started(self, block: Block, number: int) -> None:
        self.world.step("round_started", number)

    def run_done(self, block: Block, number: int, cell: Cell, value: float | None) -> None:
        self.world.step("run_done", (number, cell, value))

    def round_done(self, block: Block, number: int) -> None:
        self.world.step("round_done", number)

    def block_stopped(self, block: Block, stopped: Sequence[Stopped]) -> None:
        self.world.step("block_stopped", [each.text for each in stopped])

    def block_done(self, block: Block) -> None:
        self.world.step("block_done", block.name)


@dataclass(frozen=True)
class Rounds:
    by_name: Mapping[str, Scripted]
    count: int
    warm_up_rounds: int
    precision: float | None = None

    def rounds_of(self, probe: Scripted) -> int:
        return self.count


def campaign_on(
    world: World,
    *cells: Cell,
    rounds: int = 4,
    warm_up: int = 0,
    precision: float | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
    **probe: Any,
) -> Campaign:
    names = dict.fromkeys(cell.probe for cell in cells)
    schedule = Rounds({name: Scripted(world, name, **probe) for name in names}, rounds, warm_up, precision)
    return Campaign(Plan.of(cells, schedule), world, Listener(world), **more)
