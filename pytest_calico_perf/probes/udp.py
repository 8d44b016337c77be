"""What arrives of UDP at fixed offered rates, by iperf3 or, as published, by iperf 2."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.model import Better, Measurement, Path, Unit
from pytest_calico_perf.parsing import blaming
from pytest_calico_perf.probes.base import Measure, has_run
from pytest_calico_perf.probes.iperf3 import SETUP_SECONDS, run_iperf3
from pytest_calico_perf.probes.iperf3_report import parse_udp
from pytest_calico_perf.probes.iperf_report import parse_datagrams
from pytest_calico_perf.probes.serving import needing, serving
from pytest_calico_perf.probes.udp_report import UdpReport

_LARGEST_PAYLOAD = 65507  # bytes: 65535 less the headers of IPv4 and UDP
_BINARY_MEGA = 2**20  # bit/s in iperf 2's `M` (iperf 2, man page: [kmgKMG], capitals are powers of 1024)


@dataclass(frozen=True)
class Udp:
    """What arrives at the highest offered rate, in bit/s of UDP payload; the other rates are in the details.

    Datagrams must fit the path, or fragments are measured. iperf3 (3.2 and later) takes the TCP MSS of its
    control connection for their size, which always fits. iperf 2 sends 1470 bytes, as the published runs did:
    these are fragmented on any tunnel over 1500 bytes; `payload` changes that.

    Attributes:
        rates: Offered rates in bit/s.
        duration: Seconds per rate; whole for iperf3.
        tool: `iperf3`, or `iperf` for iperf 2.
        payload: Bytes in a datagram; None leaves it to the tool.

    Raises:
        ValueError: A parameter makes no measurement.
    """

    rates: tuple[float, ...] = (100e6, 500e6)
    duration: int = 1
    tool: Literal["iperf3", "iperf"] = "iperf3"
    payload: int | None = None

    name = "udp"
    unit = Unit.BIT_PER_SECOND
    better = Better.HIGHER
    once = False

    def __post_init__(self) -> None:
        if not self.rates or not all(0 < rate < math.inf for rate in self.rates):
            raise ValueError(f"rates must be one or more bit/s, not {self.rates}")
        if type(self.duration) is not int or self.duration < 1:
            raise ValueError(f"duration must be whole seconds, at least 1, not {self.duration}")
        if self.tool not in ("iperf3", "iperf"):
            raise ValueError(f"tool must be iperf3 or iperf, not {self.tool}")
        if self.payload is not None and not 16 <= self.payload <= _LARGEST_PAYLOAD:
            raise ValueError(f"payload must be 16 to {_LARGEST_PAYLOAD} bytes, not {self.payload}")

    @property
    def tools(self) -> tuple[str, ...]:
        return (self.tool,)

    @property
    def seconds(self) -> float:
        return len(self.rates) * (self.duration + SETUP_SECONDS)

    def suits(self, path: Path) -> bool:
        return path in Path

    def lasting(self, seconds: float) -> Self:
        return dataclasses.replace(self, duration=max(1, round(seconds)))

    def describe(self) -> str:
        rates = ", ".join(self._bandwidth(rate) for rate in self.rates)
        return f"{self.tool} -c HOST {' '.join(self._options(self.rates[0])[:-1])} {rates}"

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Measure]:
        def measure() -> Measurement:
            seconds = 0.0
            by_rate: dict[float, dict[str, Any]] = {}
            for rate in sorted(self.rates):
                report, took = (
                    self._run_iperf3(pair, rate) if self.tool == "iperf3" else self._run_iperf(pair, rate)
                )
                seconds += took
                by_rate[rate] = {"rate": rate, **dataclasses.asdict(report)}
            top = by_rate[max(self.rates)]
            return Measurement(top["received"], seconds, {"rates": list(by_rate.values()), **top})

        yield measure

    def _options(self, rate: float) -> list[str]:
        """Options of the client, the rate last."""
        size = [] if self.payload is None else ["-l", str(self.payload)]
        unit = ["-f", "k"] if self.tool == "iperf" else []
        return ["-u", "-t", str(self.duration), *size, *unit, "-b", self._bandwidth(rate)]

    def _bandwidth(self, rate: float) -> str:
        """The rate as `-b` takes it: a multiple of iperf 2's mega in its own letters, else a plain number."""
        if self.tool == "iperf" and rate % _BINARY_MEGA == 0:
            return f"{rate / _BINARY_MEGA:.0f}M"
        return f"{rate:.0f}"

    def _run_iperf3(self, pair: EndpointPair, rate: float) -> tuple[UdpReport, float]:
        report, run = run_iperf3(
            pair,
            self._options(rate),
            seconds=self.duration,
            parse=lambda text, errors: parse_udp(text, errors, duration=self.duration),
        )
        return report, run.client.seconds

    def _run_iperf(self, pair: EndpointPair, rate: float) -> tuple[UdpReport, float]:
        port = str(pair.server.allocate_port())
        listen = ["iperf", "-s", "-u", "-p", port, "-f", "k"]
        limit = self.duration + 15
        ask = ["iperf", "-c", pair.server.address, "-p", port, *self._options(rate)]
        with (
            serving(pair.server, listen, ready="Server listening on", limit=limit + 5) as server,
            needing(server, pair.server),
            blaming(pair.client.name),
        ):
            result = has_run(pair.client.run(ask, limit=limit))
            return parse_datagrams(result.stdout, result.stderr, duration=self.duration), result.seconds
