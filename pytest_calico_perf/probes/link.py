"""What the nodes' uplinks are, by `ip` and `ethtool`: read once, a fact and no measurement."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from pytest_calico_perf.cluster.base import Endpoint, EndpointPair
from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.model import Better, Measurement, Path, Unit
from pytest_calico_perf.parsing import blaming, json_objects, lookup, mappings, positive, whole
from pytest_calico_perf.probes.base import Measure, has_run

# Drivers whose speed is a constant in their source, not a fact: veth_get_link_ksettings() and
# tun_get_link_ksettings() answer 10 Gbit/s whatever lies below.
_MADE_UP = ("veth", "tun")
# Name in the record -> `ethtool -k`'s.
_OFFLOADS = {
    "tso": "tcp-segmentation-offload",
    "gso": "generic-segmentation-offload",
    "gro": "generic-receive-offload",
    "tx-checksum": "tx-checksumming",
    "rx-checksum": "rx-checksumming",
}


@dataclass(frozen=True)
class LinkReport:
    """A node's uplink.

    Attributes:
        interface: The one that carries the node's address.
        driver: Kernel driver; None for a device without one (loopback, a dummy).
        speed: bit/s; None when nobody knows (a virtual device).
        nominal_speed: bit/s as the driver states it, also where that is a constant in its source.
        duplex: `full` or `half`; None when unknown.
        mtu: Bytes.
        link_detected: Whether there is a carrier; None where ethtool does not say.
        offloads: tso, gso, gro, tx-checksum, rx-checksum -> whether it is on; absent where unknown.
    """

    interface: str
    driver: str | None
    speed: float | None
    nominal_speed: float | None
    duplex: str | None
    mtu: int
    link_detected: bool | None
    offloads: Mapping[str, bool]

    def as_details(self) -> dict[str, Any]:
        """JSON-able."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**fields, "offloads": dict(self.offloads)}


def parse_interface(text: str, address: str) -> tuple[str, int]:
    """Name and MTU of the interface that carries an address, from `ip -j -d addr`.

    Raises:
        ToolProblem: None does, or ip printed something else.
    """
    for link in json_objects(text, "ip"):
        if any(entry.get("local") == address for entry in mappings(link.get("addr_info"))):
            name = lookup(link, "ifname")
            if not isinstance(name, str) or not name or not name.isprintable():
                raise ToolProblem(f"ip names no interface for {address}")
            mtu = positive(lookup(link, "mtu"), f"the MTU of {name}")
            return name, whole(mtu, f"the MTU of {name}")
    raise ToolProblem(f"no interface carries {address}", remedy="the node's address is not one of its own")


def parse_link(interface: str, mtu: int, *, settings: str, driver: str, features: str) -> LinkReport:
    """Read `ethtool IFACE`, `ethtool -i IFACE` and `ethtool -k IFACE`. What they do not say stays None.

    Raises:
        ToolProblem: A figure cannot be true.
    """
    name = _field(driver, "driver")
    said = re.fullmatch(r"(\d+)Mb/s", _field(settings, "Speed") or "", re.ASCII)
    nominal = positive(said[1], f"the speed of {interface}") * 1e6 if said else None
    duplex = (_field(settings, "Duplex") or "").lower()
    detected = _field(settings, "Link detected")
    states = {key: (_field(features, feature) or "").partition(" ")[0] for key, feature in _OFFLOADS.items()}
    return LinkReport(
        interface=interface,
        driver=name,
        speed=None if name in _MADE_UP else nominal,
        nominal_speed=nominal,
        duplex=duplex if duplex in ("full", "half") else None,
        mtu=mtu,
        link_detected={"yes": True, "no": False}.get(detected or ""),
        offloads=MappingProxyType(
            {k: state == "on" for k, state in states.items() if state in ("on", "off")}
        ),
    )


def _field(text: str, name: str) -> str | None:
    match = re.search(rf"^\s*{re.escape(name)}: *(\S.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else None


def read_link(endpoint: Endpoint) -> LinkReport:
    """The uplink of a host: the interface that carries its address.

    Raises:
        ToolProblem: ip or ethtool is missing there, or the address is on no interface.
    """
    with blaming(endpoint.name):
        addresses = endpoint.run(["ip", "-j", "-d", "addr"], limit=10).check().stdout
        interface, mtu = parse_interface(addresses, endpoint.address)
        # Its status says little: `ethtool -i lo` fails because loopback has no driver, and that is an answer.
        settings, driver, features = (
            has_run(endpoint.run(["ethtool", *option, interface], limit=10)).stdout
            for option in ([], ["-i"], ["-k"])
        )
        return parse_link(interface, mtu, settings=settings, driver=driver, features=features)


@dataclass(frozen=True)
class Link:
    """Speed of the client's uplink in bit/s, None when unknown; both ends' facts in the details, by node."""

    name = "link"
    unit = Unit.BIT_PER_SECOND
    better = Better.HIGHER
    tools = ("ip", "ethtool")
    seconds = 0.1
    once = True

    def suits(self, path: Path) -> bool:
        return path is Path.HOST_TO_HOST

    def lasting(self, seconds: float) -> Self:
        del seconds  # reading takes as long as it takes
        return self

    def describe(self) -> str:
        return "ethtool, ethtool -i, ethtool -k"

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Measure]:
        def measure() -> Measurement:
            begin = time.monotonic()
            links = {end.node: read_link(end) for end in (pair.client, pair.server)}
            details = {node: link.as_details() for node, link in links.items()}
            return Measurement(links[pair.client.node].speed, time.monotonic() - begin, details)

        yield measure
