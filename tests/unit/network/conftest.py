"""Two nodes in two subnets with a router between them, a pod on each: real namespaces, real tools.

    pod1 -- node1 -- router -- node2 -- pod2
            .11/24   .1 .1     .12/24

Un-encapsulated by default, with the router knowing the pods' blocks; `encapsulate` lays VXLAN over it. Faults are
injected by the tests. Nothing of the lab is used, so that what judges a cluster is not tested with itself.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, Self

import pytest

from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.cluster.inspection import Blind, Inspector
from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path

ADDRESSES = {
    "node1": "198.18.201.11",
    "node2": "198.18.202.12",
    "pod1": "198.19.201.2",
    "pod2": "198.19.202.2",
}
ROUTER = {"node1": "198.18.201.1", "node2": "198.18.202.1"}
BLOCKS = {"node1": "198.19.201.0/26", "node2": "198.19.202.0/26"}
VXLAN = "vxlan.calico"


def sh(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20).stdout


@dataclass
class Running:
    """A background command whose output goes to a file."""

    process: subprocess.Popen[str]
    output: File
    endpoint: str

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        end = time.monotonic() + deadline
        while text not in self.output.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise ToolProblem(f"never said {text!r}: {self.output.read_text()}", where=self.endpoint)
            time.sleep(0.005)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def finish(self, *, deadline: float) -> CommandResult:
        raise NotImplementedError

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


@dataclass
class NetnsEndpoint:
    """An endpoint that is a namespace. `without` names programs it is to lack."""

    name: str
    node: str
    kind: EndpointKind
    address: str
    netns: str
    scratch: str
    without: set[str] = field(default_factory=set)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    _ports: Iterator[int] = field(default_factory=lambda: itertools.count(5301))

    @property
    def own_address(self) -> str:
        return self.address

    def _wrapped(self, argv: Sequence[str], limit: float) -> list[str]:
        program = f"/nonexistent/{argv[0]}" if argv[0] in self.without else argv[0]
        return ["ip", "netns", "exec", self.netns, "timeout", "-k", "1", str(limit), program, *argv[1:]]

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        self.commands.append(tuple(argv))
        begun = time.monotonic()
        done = subprocess.run(
            self._wrapped(argv, limit), capture_output=True, text=True, timeout=limit + 5, check=False
        )
        return CommandResult(
            argv=tuple(argv),
            endpoint=self.name,
            exit_code=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
            seconds=time.monotonic() - begun,
            timed_out=done.returncode == 124,
        )

    def start(self, argv: Sequence[str], *, limit: float) -> Running:
        output = File(tempfile.mkstemp(dir=self.scratch)[1])
        with output.open("w") as sink:
            process = subprocess.Popen(
                self._wrapped(argv, limit), stdout=sink, stderr=subprocess.STDOUT, text=True
            )
        return Running(process, output, self.name)

    def write_file(self, path: str, text: str) -> None:
        File(path).write_text(text)

    def allocate_port(self) -> int:
        return next(self._ports)


class Network:
    """The namespaces, and a Cluster as far as routes, counters and expectations go."""

    def __init__(self, scratch: File) -> None:
        self._prefix = f"cperf-test-{os.getpid()}"
        self.name = "two nodes"
        self.modes = (Mode.BGP, Mode.VXLAN)
        self.expected: Mapping[Mode, Encapsulation | None] = {
            Mode.BGP: Encapsulation.NONE,
            Mode.VXLAN: Encapsulation.VXLAN,
            Mode.IPIP: Encapsulation.IPIP,
            Mode.CURRENT: None,
        }
        self.endpoints = {
            name: NetnsEndpoint(
                name=name,
                node=name.replace("pod", "node"),
                kind=EndpointKind.POD if "pod" in name else EndpointKind.HOST,
                address=address,
                netns=self.netns(name),
                scratch=str(scratch),
            )
            for name, address in ADDRESSES.items()
        }

    # -- building ------------------------------------------------------------------------------

    def netns(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def ip(self, name: str, *argv: str) -> None:
        sh("ip", "-n", self.netns(name), *argv)

    def sysctl(self, name: str, key: str, value: str) -> None:
        sh("ip", "netns", "exec", self.netns(name), "sysctl", "-qw", f"{key}={value}")

    def up(self) -> None:
        for name in ("router", *ADDRESSES):
            sh("ip", "netns", "add", self.netns(name))
            self.sysctl(name, "net.ipv6.conf.all.disable_ipv6", "1")
            self.sysctl(name, "net.ipv6.conf.default.disable_ipv6", "1")
            self.sysctl(name, "net.ipv4.ip_forward", "1")
            self.sysctl(name, "net.ipv4.conf.all.rp_filter", "0")
            self.ip(name, "link", "set", "lo", "up")
        for node, pod, other in (("node1", "pod1", "node2"), ("node2", "pod2", "node1")):
            self._wire(node, "eth0", "router", node)
            self._wire(pod, "eth0", node, "cali0")
            self.ip(node, "address", "add", f"{ADDRESSES[node]}/24", "dev", "eth0")
            self.ip("router", "address", "add", f"{ROUTER[node]}/24", "dev", node)
            self.ip("router", "route", "add", BLOCKS[node], "via", ADDRESSES[node])
            self.ip(node, "route", "add", "default", "via", ROUTER[node])
            self.ip(node, "route", "add", BLOCKS[other], "via", ROUTER[node], "proto", "bird")
            self.ip(node, "route", "add", f"{ADDRESSES[pod]}/32", "dev", "cali0", "scope", "link")
            self.ip(pod, "address", "add", f"{ADDRESSES[pod]}/32", "dev", "eth0")
            self.ip(pod, "route", "add", "169.254.1.1", "dev", "eth0", "scope", "link")
            self.ip(pod, "route", "add", "default", "via", "169.254.1.1", "dev", "eth0")
            self.sysctl(node, "net.ipv4.conf.cali0.proxy_arp", "1")
            self.sysctl(node, "net.ipv4.neigh.cali0.proxy_delay", "0")

    def down(self) -> None:
        for name in ("router", *ADDRESSES):
            subprocess.run(
                ["ip", "netns", "delete", self.netns(name)], check=False, capture_output=True, timeout=20
            )

    def _wire(self, here: str, device: str, there: str, other_device: str) -> None:
        peer = ("peer", "name", other_device, "netns", self.netns(there))
        self.ip(here, "link", "add", device, "type", "veth", *peer)
        self.ip(here, "link", "set", device, "up")
        self.ip(there, "link", "set", other_device, "up")

    def mtu(self, name: str, device: str, mtu: int) -> None:
        self.ip(name, "link", "set", device, "mtu", str(mtu))

    def encapsulate(self) -> None:
        """Carry the pods' blocks through VXLAN, as Felix writes it."""
        tunnels = {"node1": "198.19.201.1", "node2": "198.19.202.1"}
        macs = {"node1": "66:00:00:00:00:01", "node2": "66:00:00:00:00:02"}
        for node, other in (("node1", "node2"), ("node2", "node1")):
            vxlan = ("type", "vxlan", "id", "4096", "dstport", "4789", "local", ADDRESSES[node])
            self.ip(
                node,
                "link",
                "add",
                VXLAN,
                "address",
                macs[node],
                "mtu",
                "1450",
                *vxlan,
                "dev",
                "eth0",
                "nolearning",
            )
            self.ip(node, "address", "add", f"{tunnels[node]}/32", "dev", VXLAN)
            self.ip(node, "link", "set", VXLAN, "up")
            self.ip(
                node,
                "neigh",
                "replace",
                tunnels[other],
                "lladdr",
                macs[other],
                "dev",
                VXLAN,
                "nud",
                "permanent",
            )
            sh(
                "bridge", "-n", self.netns(node), "fdb", "append", macs[other], "dev", VXLAN,
                "dst", ADDRESSES[other], "self", "permanent",
            )  # fmt: skip
            self.route_through_tunnel(node)
        for name, device in (("pod1", "eth0"), ("pod2", "eth0"), ("node1", "cali0"), ("node2", "cali0")):
            self.mtu(name, device, 1450)

    def route_through_tunnel(self, node: str) -> None:
        other = {"node1": ("node2", "198.19.202.1"), "node2": ("node1", "198.19.201.1")}[node]
        self.ip(
            node, "route", "replace", BLOCKS[other[0]], "via", other[1], "dev", VXLAN, "onlink", "proto", "80"
        )

    def route_around_tunnel(self, node: str) -> None:
        other = {"node1": "node2", "node2": "node1"}[node]
        self.ip(node, "route", "replace", BLOCKS[other], "via", ROUTER[node], "dev", "eth0", "proto", "bird")

    def hold_large_tcp(self, name: str, device: str) -> None:
        """Let TCP packets of 1024 bytes and more wait for ever, and nothing else: an offload fault's effect."""
        netns = self.netns(name)
        sh("tc", "-n", netns, "qdisc", "add", "dev", device, "root", "handle", "1:", "htb", "default", "0")
        sh(
            "tc",
            "-n",
            netns,
            "class",
            "add",
            "dev",
            device,
            "parent",
            "1:",
            "classid",
            "1:3",
            "htb",
            "rate",
            "8bit",
        )
        for bit in range(10, 16):  # of the length: GSO packets are up to 64 KiB
            flag = f"0x{1 << bit:04x}"
            sh(
                "tc", "-n", netns, "filter", "add", "dev", device, "parent", "1:", "protocol", "ip", "u32",
                "match", "ip", "protocol", "6", "0xff", "match", "u16", flag, flag, "at", "2", "flowid", "1:3",
            )  # fmt: skip

    def refuse_tcp(self, node: str) -> None:
        """Have a node answer TCP to its pods with a reset, as a policy that rejects does."""
        rules = "table ip t { chain c { type filter hook forward priority 0; ip protocol tcp reject with tcp reset; }; }"
        sh("ip", "netns", "exec", self.netns(node), "nft", rules)

    # -- Cluster -------------------------------------------------------------------------------

    def facts(self) -> Mapping[str, Any]:
        return {}

    def inspector(self) -> Inspector:
        return Blind("it has no Calico")

    def pair(self, path: Path, mode: Mode | None) -> EndpointPair:
        ends = self.endpoints
        return EndpointPair(
            path,
            mode,
            ends["pod1" if path.client is EndpointKind.POD else "node1"],
            ends["pod2" if path.server is EndpointKind.POD else "node2"],
        )

    def host(self, node: str) -> NetnsEndpoint:
        return self.endpoints[node]

    def expected_encapsulation(self, pair: EndpointPair) -> Encapsulation | None:
        if pair.mode is None or pair.server.kind is EndpointKind.HOST:
            return Encapsulation.NONE
        return self.expected[pair.mode]

    def tunnel_devices(self) -> Mapping[Encapsulation, str]:
        return {Encapsulation.VXLAN: VXLAN}

    def tunnel_packets(self, node: str) -> Mapping[Encapsulation, int]:
        links = json.loads(sh("ip", "-n", self.netns(node), "-s", "-j", "link", "show"))
        sent = [link["stats64"]["tx"]["packets"] for link in links if link["ifname"] == VXLAN]
        return {Encapsulation.VXLAN: sent[0]} if sent else {}

    def keep(self) -> list[str]:
        return []

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *exc: object) -> None:
        self.down()


@pytest.fixture(scope="session")
def named_namespaces() -> Iterator[None]:
    """ip-netns(8) makes its folder a mount the first time; where it was none, it is none again afterwards."""
    folder = File("/run/netns")
    had_folder, had_mount = folder.is_dir(), is_mounted(folder)
    yield
    while not had_mount and is_mounted(folder):  # it may be one on top of the other
        sh("umount", str(folder))
    if not had_folder and folder.is_dir():
        folder.rmdir()


def is_mounted(folder: File) -> bool:
    """Whether something is mounted there; Path.is_mount() sees no mount of a folder on itself."""
    return any(
        line.split()[4] == str(folder) for line in File("/proc/self/mountinfo").read_text().splitlines()
    )


@pytest.fixture
def network(tmp_path: File, named_namespaces: None) -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    network = Network(tmp_path)
    try:
        yield network.__enter__()
    finally:
        network.down()
