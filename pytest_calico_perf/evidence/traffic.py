"""How many packets of a measurement a tunnel must have counted at least, each way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.model import Measurement
from pytest_calico_perf.parsing import lookup

# A device counts what segmentation offload cuts up later as one packet, of at most 64 KiB unless somebody
# raised it (`gso_ipv4_max_size`, ip-link(8)).
_LARGEST_PACKET = 65536
# Of what a tool tells, half may have been merged with other packets on its way (GRO).
_CERTAIN = 0.5


@dataclass(frozen=True)
class Moved:
    """What a measurement sent at least.

    Attributes:
        runs: How often the tool ran; each time at least one packet went either way.
        forward: Packets from client to server, at least.
        backward: Packets from server to client, at least.
    """

    runs: int
    forward: int
    backward: int


def moved(measurements: Iterable[Measurement]) -> Moved:
    """What some runs of a probe sent at least, by what their tool told of packets, requests or bytes."""
    details = [measurement.details for measurement in measurements]
    forward = sum(_packets(each, "sent") for each in details)
    backward = sum(_packets(each, "received") + _bulk_packets(each.get("reverse")) for each in details)
    return Moved(len(details), max(forward, len(details)), max(backward, len(details)))


def _packets(details: Mapping[str, Any], echoes: str) -> int:
    """Packets one way: echoes of a ping, answered requests of ab, or what a transfer's bytes come to."""
    if "resolution" in details:  # ping's alone; in what other probes tell, `sent` and `received` are rates
        return _certain(details.get(echoes))
    if "complete" in details:
        return _certain(details["complete"])
    return _bulk_packets(details) if echoes == "sent" else 0


def _bulk_packets(details: object) -> int:
    """Of a transfer whose rate is told interval by interval, in bit/s."""
    rates, seconds = lookup(details, "intervals"), lookup(details, "interval_seconds")
    if not isinstance(rates, list | tuple) or not isinstance(seconds, int | float):
        return 0
    bits = math.fsum(rate for rate in rates if isinstance(rate, int | float)) * seconds
    return _certain(bits / 8 / _LARGEST_PACKET)


def _certain(count: object) -> int:
    return int(count * _CERTAIN) if isinstance(count, int | float) else 0
