"""TCP goodput by iperf3: one stream (`tcp`) or several (`tcp-parallel`), forward and reverse in one round."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.errors import CellProblem
from pytest_calico_perf.model import Better, Measurement, Path, Unit
from pytest_calico_perf.parsing import blaming
from pytest_calico_perf.probes.base import Measure, has_run
from pytest_calico_perf.probes.iperf3_report import Interval, TcpReport, goodput, parse_server, parse_tcp
from pytest_calico_perf.probes.serving import DOWN_DEADLINE, died, has_ended, serving

WARM_UP = 0.2  # seconds; slow start on a LAN or in a lab takes a few ms, on 10 ms of RTT 0.1 s
CONNECT_TIMEOUT = 3.0  # seconds until a lost SYN counts as unreachable
SETUP_SECONDS = 0.15  # starting both ends and exchanging results, for the plan's estimate
_KILLED = 124  # exit status of timeout(1); 128 + n of signal n

Report = TypeVar("Report")


@dataclass(frozen=True)
class Run:
    """One client against one one-shot server.

    Attributes:
        client: What the client left.
        server: What the server left.
    """

    client: CommandResult
    server: CommandResult


def run_iperf3(
    pair: EndpointPair, options: Sequence[str], *, seconds: float, parse: Callable[[str, str], Report]
) -> tuple[Report, Run]:
    """Run a client and judge what it says; a server that died meanwhile is named instead of the symptom.

    The server takes one client on a port of its own and ends (`-s -1`). It prints what it received, interval
    by interval, in kbit/s (`-f k`: the unit iperf3 chooses by itself would cost digits).

    Args:
        pair: Both ends.
        options: Of the client, beside address, port and -J.
        seconds: Expected length of the run.
        parse: Reads the client's standard output and error.

    Raises:
        Unreachable: As `parse` finds.
        ToolProblem: As `parse` finds, or a tool is missing, or the server never came up or died.
    """
    limit = seconds + CONNECT_TIMEOUT + 10
    port = str(pair.server.allocate_port())
    listen = ["iperf3", "-s", "-1", "-V", "-p", port, "-f", "k", "-i", _step(seconds), "--forceflush"]
    ask = ["iperf3", "-c", pair.server.address, "-p", port, "-J", *options]
    ask += ["--connect-timeout", f"{CONNECT_TIMEOUT * 1e3:.0f}"]
    with serving(pair.server, listen, ready="Server listening on", limit=limit + 5) as server:
        client = pair.client.run(ask, limit=limit)
        try:
            with blaming(pair.client.name):
                report = parse(has_run(client).stdout, client.stderr)
        except CellProblem as problem:
            # Where the client itself was killed (124 and up), its server ends because of that.
            if client.exit_code < _KILLED and has_ended(server):
                left = server.finish(deadline=DOWN_DEADLINE)
                if left.exit_code != 0:
                    raise died(left, pair.server) from problem
            raise
        return report, Run(client, server.finish(deadline=DOWN_DEADLINE))


def _step(seconds: float) -> str:
    """Length of an interval: ten a second for short runs, one a second for long ones."""
    return "0.1" if seconds <= 5 else "1"


@dataclass(frozen=True)
class Tcp:
    """What arrives at the server per second, in bit/s: TCP payload, warm-up left out.

    iperf3 takes whole seconds for -t and -O; a run of one second with `-O 1` would measure half of its time.
    So with `omit=0` the first 0.2 s are dropped by the interval data instead. Either way the sample is the
    mean over the receiver's whole intervals: the client's own when the server sends (reverse), the server's
    lines when the client sends, since a sender's intervals tell what its socket buffer took. The sums over
    the whole run, as iperf3 computes them, are in the details (`sent`, `received`).

    Attributes:
        duration: Seconds to send, whole; 0 would mean for ever.
        omit: Seconds before that which iperf3 leaves out, whole.
        streams: Parallel connections.
        both_directions: Whether to measure server to client too, into `details["reverse"]`.

    Raises:
        ValueError: A parameter makes no measurement.
    """

    duration: int = 1
    omit: int = 0
    streams: int = 1
    both_directions: bool = True

    unit = Unit.BIT_PER_SECOND
    better = Better.HIGHER
    tools = ("iperf3",)
    once = False

    def __post_init__(self) -> None:
        # iperf3 cuts 0.5 down to 0, and 0 means for ever: nothing but an int gets through.
        if type(self.duration) is not int or self.duration < 1:
            raise ValueError(f"duration must be whole seconds, at least 1, not {self.duration}")
        if type(self.omit) is not int or self.omit < 0:
            raise ValueError(f"omit must be whole seconds, not {self.omit}")
        if type(self.streams) is not int or not 1 <= self.streams <= 128:
            raise ValueError(f"streams must be 1 to 128, not {self.streams}")

    @property
    def name(self) -> str:
        return "tcp" if self.streams == 1 else "tcp-parallel"

    @property
    def seconds(self) -> float:
        return (self.duration + self.omit + SETUP_SECONDS) * (2 if self.both_directions else 1)

    def suits(self, path: Path) -> bool:
        return path in Path

    def lasting(self, seconds: float) -> Self:
        return dataclasses.replace(self, duration=max(1, round(seconds)))

    def describe(self) -> str:
        again = ", again with -R" if self.both_directions else ""
        return f"iperf3 -c HOST {' '.join(self._options())}{again}"

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Measure]:
        def measure() -> Measurement:
            forward, details, seconds = self._measure(pair, reverse=False)
            if self.both_directions:
                _, details["reverse"], more = self._measure(pair, reverse=True)
                seconds += more
            return Measurement(forward, seconds, details)

        yield measure

    def _options(self) -> list[str]:
        whole_run = self.duration + self.omit
        options = ["-t", str(self.duration), "-P", str(self.streams), "-i", _step(whole_run)]
        return [*options, "-O", str(self.omit)] if self.omit else options

    def _measure(self, pair: EndpointPair, *, reverse: bool) -> tuple[float, dict[str, Any], float]:
        """Goodput in bit/s, details, and the seconds it took."""
        report, run = run_iperf3(
            pair,
            [*self._options(), "-R"] if reverse else self._options(),
            seconds=self.duration + self.omit,
            parse=lambda text, errors: parse_tcp(text, errors, streams=self.streams, duration=self.duration),
        )
        receiver = pair.client if reverse else pair.server
        with blaming(pair.server.name):
            version, served = parse_server(run.server.stdout, streams=self.streams)
        intervals = report.intervals if reverse else served
        with blaming(receiver.name):
            rate = goodput(intervals, warm_up=0 if self.omit else WARM_UP, duration=self.duration)
        return rate, self._details(rate, report, version, intervals), run.client.seconds

    def _details(
        self, rate: float, report: TcpReport, server_version: str | None, intervals: Sequence[Interval]
    ) -> dict[str, Any]:
        return {
            "goodput": rate,
            "seconds": report.seconds,
            "sent": report.sent,
            "received": report.received,
            "retransmits": report.retransmits,
            "cpu_client": report.cpu_client,
            "cpu_server": report.cpu_server,
            "interval_seconds": float(_step(self.duration + self.omit)),
            "intervals": [i.rate for i in intervals if not i.omitted and i.start < self.duration - 0.02],
            "warm_up_seconds": 0.0 if self.omit else WARM_UP,
            "mss": report.mss,
            "streams": report.streams,
            "congestion_control": report.congestion_control,
            "version_client": report.version,
            "version_server": server_version,
        }
