"""What a kernel tells about devices, routes, neighbours and counters: pure readers of iproute2 and /proc.

Counters are named `eth0.tx` and `eth0.rx` (packets, /proc/net/dev) and as in /proc/net/snmp and
/proc/net/netstat: `Icmp.InEchos`, `TcpExt.IPReversePathFilter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any

from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.parsing import json_objects, lookup, mappings, whole, word

REFUSING = ("blackhole", "unreachable", "prohibit", "throw")
"""Types of routes that carry nothing."""


@dataclass(frozen=True)
class Device:
    """A network device.

    Attributes:
        name: Its name.
        index: Its number in its namespace.
        up: Whether it is UP and has a carrier.
        admin_up: Whether it was set up, carrier or not.
        mtu: In bytes.
        mac: Its hardware address; empty where it has none.
        kind: `veth`, `vxlan`, `ipip`, `bridge`; empty for hardware.
        addresses: Its IPv4 addresses.
        peer_index: Number of a veth's other end in the other end's namespace; None for other devices.
        vni: VXLAN network identifier; None for other devices.
        port: VXLAN's UDP port; None for other devices.
        by_flow: Whether a program tells it where each packet goes, as in Calico's eBPF data plane.
    """

    name: str
    index: int
    up: bool
    mtu: int
    admin_up: bool = True
    mac: str = ""
    kind: str = ""
    addresses: tuple[str, ...] = ()
    peer_index: int | None = None
    vni: int | None = None
    port: int | None = None
    by_flow: bool = False


@dataclass(frozen=True)
class KernelRoute:
    """A route of any table.

    Attributes:
        destination: Its prefix.
        kind: `unicast`, or another type: `blackhole`, `local`.
        device: Where packets leave; empty for those that refuse.
        gateway: The next hop; empty when on the link.
        protocol: Who wrote it; empty when nobody said.
        table: `main` or another one's name or number.
    """

    destination: IPv4Network
    kind: str
    device: str = ""
    gateway: str = ""
    protocol: str = ""
    table: str = "main"

    @property
    def refuses(self) -> bool:
        """Whether it throws packets away."""
        return self.kind in REFUSING

    def __str__(self) -> str:
        kind = "" if self.kind == "unicast" else f"{self.kind} "
        prefix = self.destination.prefixlen
        shown = (
            "default"
            if prefix == 0
            else self.destination.network_address
            if prefix == 32
            else self.destination
        )
        via = f" via {self.gateway}" if self.gateway else ""
        device = f" dev {self.device}" if self.device else ""
        writer = f" proto {self.protocol}" if self.protocol else ""
        return f"{kind}{shown}{via}{device}{writer}"


@dataclass(frozen=True)
class Neighbour:
    """A neighbour entry.

    Attributes:
        address: Of whom.
        device: On which device.
        mac: Its hardware address; empty where it is not known.
        state: `REACHABLE`, `FAILED`, `PERMANENT`.
    """

    address: str
    device: str
    mac: str
    state: str

    @property
    def dead(self) -> bool:
        """Whether nobody answered for it."""
        return self.state in ("FAILED", "INCOMPLETE")


def devices(text: str) -> dict[str, Device]:
    """Name -> device, of `ip -j -d addr show`.

    Raises:
        ToolProblem: It is no such output.
    """
    return {device.name: device for device in map(_device, json_objects(text, "ip")) if device.name}


def _device(entry: Mapping[str, Any]) -> Device:
    flags = entry.get("flags")
    flags = flags if isinstance(flags, list) else []
    info = lookup(entry, "linkinfo", "info_data")
    peer = entry.get("link_index")
    return Device(
        name=word(entry.get("ifname"), "ip's name of a device"),
        index=whole(entry.get("ifindex"), "ip's number of a device"),
        up="UP" in flags and ("LOWER_UP" in flags or entry.get("operstate") != "DOWN"),
        mtu=whole(entry.get("mtu"), "ip's MTU"),
        admin_up="UP" in flags,
        mac=word(entry.get("address"), "ip's hardware address"),
        kind=word(lookup(entry, "linkinfo", "info_kind"), "ip's kind of a device"),
        addresses=tuple(
            word(each.get("local"), "ip's address")
            for each in mappings(entry.get("addr_info"))
            if each.get("family") == "inet"
        ),
        peer_index=None if peer is None else whole(peer, "ip's number of a device"),
        vni=_number(lookup(info, "id")),
        port=_number(lookup(info, "port")),
        by_flow=bool(lookup(info, "external")),
    )


def _number(value: object) -> int | None:
    return None if value is None else whole(value, "ip's number")


def routes(text: str) -> tuple[KernelRoute, ...]:
    """Routes of all tables but `local`, of `ip -4 -j route show table all`.

    Raises:
        ToolProblem: It is no such output.
    """
    if not text.strip():
        return ()
    entries = (_route(entry) for entry in json_objects(text, "ip"))
    return tuple(route for route in entries if route and route.table != "local")


def _route(entry: Mapping[str, Any]) -> KernelRoute | None:
    destination = _network(word(entry.get("dst"), "the route's destination"))
    if destination is None:
        return None
    return KernelRoute(
        destination=destination,
        kind=word(entry.get("type"), "the route's type") or "unicast",
        device=word(entry.get("dev"), "the route's device"),
        gateway=word(entry.get("gateway") or lookup(entry, "via", "host"), "the route's gateway"),
        protocol=word(entry.get("protocol"), "the route's protocol"),
        table=word(entry.get("table"), "the route's table") or "main",
    )


def _network(text: str) -> IPv4Network | None:
    try:
        return IPv4Network("0.0.0.0/0" if text == "default" else text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def matching(table: Iterable[KernelRoute], address: str) -> list[KernelRoute]:
    """Routes of the main table that match an address, the longest prefix first."""
    target = IPv4Address(address)
    found = [route for route in table if route.table == "main" and target in route.destination]
    return sorted(found, key=lambda route: -route.destination.prefixlen)


def neighbours(text: str) -> tuple[Neighbour, ...]:
    """Of `ip -4 -j neigh show nud all`.

    Raises:
        ToolProblem: It is no such output.
    """
    if not text.strip():
        return ()
    return tuple(
        Neighbour(
            address=word(entry.get("dst"), "a neighbour's address"),
            device=word(entry.get("dev"), "a neighbour's device"),
            mac=word(entry.get("lladdr"), "a neighbour's hardware address"),
            state=_states(entry.get("state")),
        )
        for entry in json_objects(text, "ip")
    )


def _states(value: object) -> str:
    return " ".join(str(each) for each in value) if isinstance(value, list) else ""


def forwarding(text: str) -> dict[str, str]:
    """Hardware address -> node it is behind, of `bridge -j fdb show dev vxlan.calico`.

    Raises:
        ToolProblem: It is no such output.
    """
    if not text.strip():
        return {}
    entries = json_objects(text, "bridge")
    return {
        word(entry.get("mac"), "bridge's hardware address"): word(entry.get("dst"), "bridge's destination")
        for entry in entries
        if entry.get("dst")
    }


def sysctls(text: str) -> dict[str, str]:
    """`net/ipv4/ip_forward` -> value, of `grep -H "" /proc/sys/...`."""
    found = {}
    for line in text.splitlines():
        path, colon, value = line.partition(":")
        if colon and path.startswith("/proc/sys/"):
            found[path.removeprefix("/proc/sys/")] = value.strip()
    return found


def counters(text: str) -> dict[str, int]:
    """Counters of `cat /proc/net/dev /proc/net/snmp /proc/net/netstat`.

    Raises:
        ToolProblem: There is not one in it.
    """
    found: dict[str, int] = {}
    names: dict[str, list[str]] = {}
    for line in text.splitlines():
        head, colon, rest = line.partition(":")
        words = rest.split()
        head = head.strip()
        if not colon or not words:
            continue
        if not words[0].lstrip("-").isdecimal():
            names[head] = words
        elif head in names:
            found |= {
                f"{head}.{name}": _count(value) for name, value in zip(names[head], words, strict=False)
            }
        elif len(words) >= 16:
            found |= {f"{head}.rx": _count(words[1]), f"{head}.tx": _count(words[9])}
    if not found:
        raise ToolProblem("/proc/net shows no counters")
    return found


def _count(text: str) -> int:
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 25 else 0


def address_in(address: str, prefix: str) -> bool:
    """Whether a dotted address lies in a prefix; False where one of them is none."""
    network = _network(prefix)
    try:
        return network is not None and IPv4Address(address) in network
    except AddressValueError:
        return False
