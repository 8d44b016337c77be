"""What a node says about its way to an address: `ip -j route get fibmatch` and the device's MTU.

`fibmatch` (RTM_F_FIB_MATCH, Linux 4.13) makes the kernel answer with the route it would use, whole: who
wrote it and for which prefix, which a plain `route get` leaves out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.errors import ToolProblem, Unreachable

_LIMIT = 10.0  # seconds; ip answers in milliseconds, a busy API server's exec does not
_REMEDY = "install iproute2 (version 4.20 or later, for JSON) there"


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

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


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
    entry = _first(answer.check().stdout, endpoint)
    device = str(entry.get("dev", ""))
    own_mtu = next((int(m["mtu"]) for m in entry.get("metrics", ()) if "mtu" in m), None)
    return Route(
        destination=str(entry.get("dst", "")),
        device=device,
        gateway=str(entry.get("gateway") or entry.get("via", {}).get("host", "")),
        protocol=str(entry.get("protocol", "")),
        mtu=_device_mtu(endpoint, device) if own_mtu is None else own_mtu,
    )


def _device_mtu(endpoint: Endpoint, device: str) -> int:
    answer = endpoint.run(["ip", "-j", "link", "show", "dev", device], limit=_LIMIT).check()
    return int(_first(answer.stdout, endpoint)["mtu"])


def _first(text: str, endpoint: Endpoint) -> dict[str, Any]:
    """The first entry of ip's JSON; `[{}]` placeholders of some versions skipped."""
    try:
        entries = [entry for entry in json.loads(text) if entry]
        return dict(entries[0])
    except (ValueError, TypeError, IndexError):
        raise ToolProblem(
            f"ip printed no JSON: {text.strip()[:100]!r}", where=endpoint.name, remedy=_REMEDY
        ) from None
