"""What a node says about its way to an address: `ip -j route get fibmatch` and the device's MTU.

`fibmatch` (RTM_F_FIB_MATCH, Linux 4.13) makes the kernel answer with the route it would use, whole: who
wrote it and for which prefix, which a plain `route get` leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.parsing import blaming, json_objects, lookup, mappings, positive, whole, word

_LIMIT = 10.0  # seconds; ip answers in milliseconds, a busy API server's exec does not
_SIGNED = {"bird": "bird", "12": "bird", "80": "felix", "kernel": "kernel", "2": "kernel"}
_VXLAN = "vxlan.calico"
_REMEDY = "iproute2 of version 4.20 or later is needed there, for JSON"


@dataclass(frozen=True)
class Route:
    """The route a node uses to an address.

    Attributes:
        destination: Its prefix: `198.19.2.0/26`, `default`.
        device: The device packets leave by.
        gateway: The next hop; empty when the destination is on the link.
        protocol: Who wrote it, by iproute2's name: `bird`, `kernel`, `80` (Felix); empty when nobody said.
        mtu: Largest packet it takes, in bytes: the route's own MTU, else the device's.
    """

    destination: str
    device: str
    gateway: str
    protocol: str
    mtu: int

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        writer = f" proto {self.protocol}" if self.protocol else ""
        return f"{self.destination}{via} dev {self.device}{writer} mtu {self.mtu}"

    @property
    def owner(self) -> str:
        """Who wrote it, in Calico's words: `bird`, `felix`, `kernel`; empty where that cannot be told.

        BIRD signs with its number of the kernel's list (12, `RTPROT_BIRD`), Felix with 80, but leaves routes
        through vxlan.calico unsigned, or signs as `boot` (felix/dataplane/linux, `DeviceRouteProtocol` and
        `RemoveExternalRoutes`).
        """
        if self.protocol in _SIGNED:
            return _SIGNED[self.protocol]
        return "felix" if self.protocol in ("", "boot", "3") and self.device == _VXLAN else ""

    def to_json(self) -> dict[str, Any]:
        """Its fields, and its owner."""
        return {**asdict(self), "owner": self.owner}


def route_to(endpoint: Endpoint, address: str) -> Route:
    """The route from an endpoint to an IPv4 address.

    Raises:
        Unreachable: It has none, or one that refuses (blackhole, unreachable, prohibit).
        ToolProblem: `ip` is missing there or speaks no JSON.
        ClusterProblem: The endpoint cannot be talked to.
    """
    answer = endpoint.run(["ip", "-j", "route", "get", "fibmatch", address], limit=_LIMIT)
    # The kernel's refusal, EINVAL for a blackhole, EHOSTUNREACH for unreachable, ENETUNREACH for no route.
    if answer.exit_code == 2 and "RTNETLINK answers" in answer.stderr:
        raise Unreachable(f"no usable route to {address} ({answer.last_words})", where=endpoint.name)
    with blaming(endpoint.name):
        entry = _first(answer.check().stdout)
        device = word(entry.get("dev"), "the route's device")
        if not device or not device.isprintable():
            raise ToolProblem(f"ip names no device on the way to {address}", remedy=_REMEDY)
        own_mtu = next((m["mtu"] for m in mappings(entry.get("metrics")) if "mtu" in m), None)
        gateway = entry.get("gateway") or lookup(entry, "via", "host")
        return Route(
            destination=word(entry.get("dst"), "the route's destination"),
            device=device,
            gateway=word(gateway, "the route's gateway"),
            protocol=word(entry.get("protocol"), "the route's protocol"),
            mtu=_device_mtu(endpoint, device) if own_mtu is None else _mtu(own_mtu),
        )


def _device_mtu(endpoint: Endpoint, device: str) -> int:
    answer = endpoint.run(["ip", "-j", "link", "show", "dev", device], limit=_LIMIT).check()
    return _mtu(_first(answer.stdout).get("mtu"))


def _mtu(value: object) -> int:
    return whole(positive(value, "ip's MTU"), "ip's MTU")


def _first(text: str) -> Mapping[str, Any]:
    """The first entry of ip's JSON."""
    try:
        return next(iter(json_objects(text, "ip")))
    except StopIteration:
        raise ToolProblem("ip printed nothing", remedy=_REMEDY) from None
