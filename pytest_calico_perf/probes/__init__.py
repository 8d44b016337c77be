"""Probes: a tool run that yields one number. One file per tool; parsers are pure functions of its text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_calico_perf.probes.ab import Connect, Http
from pytest_calico_perf.probes.iperf import Iperf
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.link import Link
from pytest_calico_perf.probes.ping import Ping
from pytest_calico_perf.probes.udp import Udp

# A probe's word of the glossary -> the dataclass that takes its parameters.
PROBES: Mapping[str, type] = MappingProxyType(
    {
        "ping": Ping,
        "tcp": Tcp,
        "tcp-parallel": Tcp,
        "udp": Udp,
        "iperf": Iperf,
        "http": Http,
        "http-keepalive": Http,
        "connect": Connect,
        "link": Link,
    }
)


def probe_names() -> tuple[str, ...]:
    """Every probe's name, in the order of reports."""
    return tuple(PROBES)
