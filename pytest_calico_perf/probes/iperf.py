"""TCP and UDP by iperf 2, as the published comparison did it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.model import Better, Measurement, Path, Unit
from pytest_calico_perf.parsing import blaming
from pytest_calico_perf.probes.base import Measure, has_run
from pytest_calico_perf.probes.iperf_report import parse_stream
from pytest_calico_perf.probes.serving import BLOCK_LIMIT, needing, serving


@dataclass(frozen=True)
class Iperf:
    """What an iperf 2 client sends per second, in bit/s.

    The published command is `iperf -c HOST -i 1`; ours adds the port, the time (10 s is iperf's own default)
    and `-f k`. That option only fixes the unit: left alone iperf rounds to three digits of whatever unit fits
    (`20.9 Gbits/sec`). Its CSV (`-y C`) has more digits, but no word of a failure, times to 0.1 s, and in
    2.1.8 no datagram counts (-1), so the text it is.

    An iperf 2 client reports what its sockets took, not what arrived: the socket buffers, some MB, are in the
    figure. `tcp` is the better measurement; this one is for comparing with published figures.

    Attributes:
        duration: Seconds to send.
        interval: Seconds between reports.

    Raises:
        ValueError: A parameter makes no measurement.
    """

    duration: float = 10
    interval: float = 1

    name = "iperf"
    unit = Unit.BIT_PER_SECOND
    better = Better.HIGHER
    tools = ("iperf",)
    once = False

    def __post_init__(self) -> None:
        if not 0 < self.interval <= self.duration < math.inf:
            raise ValueError(
                f"0 < interval <= duration (seconds) is needed, not {self.interval} and {self.duration}"
            )

    @property
    def seconds(self) -> float:
        return self.duration + 0.1

    def suits(self, path: Path) -> bool:
        return path in Path

    def lasting(self, seconds: float) -> Self:
        return dataclasses.replace(self, duration=seconds, interval=min(self.interval, seconds))

    def describe(self) -> str:
        return " ".join(["iperf", "-c", "HOST", *self._options()])

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Measure]:
        port = str(pair.server.allocate_port())
        listen = ["iperf", "-s", "-p", port, "-f", "k"]
        ask = ["iperf", "-c", pair.server.address, "-p", port, *self._options()]
        with serving(pair.server, listen, ready="Server listening on", limit=BLOCK_LIMIT) as server:

            def measure() -> Measurement:
                with needing(server, pair.server), blaming(pair.client.name):
                    result = has_run(pair.client.run(ask, limit=self.duration + 15))
                    report = parse_stream(result.stdout, result.stderr, duration=self.duration)
                details = {
                    "sent": report.sent,
                    "interval_seconds": self.interval,
                    "intervals": list(report.intervals),
                }
                return Measurement(report.sent, result.seconds, details)

            yield measure

    def _options(self) -> list[str]:
        return ["-i", f"{self.interval:g}", "-t", f"{self.duration:g}", "-f", "k"]
