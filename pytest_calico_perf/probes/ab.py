"""HTTP by ApacheBench against nginx: `http` and `http-keepalive` (requests/s), `connect` (connections/s)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.errors import CellProblem, ToolProblem, Unreachable
from pytest_calico_perf.model import Better, Measurement, Path, Unit
from pytest_calico_perf.parsing import blaming, finite, last_line, positive, whole
from pytest_calico_perf.probes.base import Measure, has_run
from pytest_calico_perf.probes.nginx import Nginx, file_base, nginx
from pytest_calico_perf.probes.serving import needing

_FIELD = r"^{}:\s+(\d+(?:\.\d+)?)"
_LONGEST = re.compile(r"^\s*100%\s+(\d+) \(longest request\)", re.MULTILINE | re.ASCII)
# What apr prints for a failed call: `apr_socket_recv: Connection refused (111)`.
_APR_ERROR = re.compile(r"^apr_\w+.*$", re.MULTILINE)
_NO_PATH = (
    "no route to host",
    "network is unreachable",
    "host is unreachable",
    "timeout specified has expired",
)
# What one nginx process usually gives between two pods of the lab on two cores: 21 to 34, 75 to 120 and 18 to
# 25 thousand a second have been seen. Only turns seconds into a count and back.
_PER_SECOND = {"http": 25_000, "http-keepalive": 95_000, "connect": 21_000}
_SETUP_SECONDS = 0.05  # starting ab and reading its percentiles
_SOCKET_TIMEOUT = 5  # seconds; ab's own is 30
_SLOWEST = 200  # requests per second a run may fall to before its limit ends it


@dataclass(frozen=True)
class HttpReport:
    """What one run of ab said.

    Attributes:
        rate: Requests per second.
        complete: Requests answered.
        kept_alive: Of these, answered on a connection that was to be kept open.
        seconds: Length of the run; ab prints it to 1 ms.
        transfer_rate: bit/s received, headers included.
        longest: Time of the slowest request in seconds, to 1 ms; None where ab does not tell.
    """

    rate: float
    complete: int
    kept_alive: int
    seconds: float
    transfer_rate: float
    longest: float | None = None


@dataclass(frozen=True)
class Percentiles:
    """Times of requests, from connect to the last byte, in seconds."""

    p50: float
    p90: float
    p99: float


def parse_ab(text: str, errors: str = "", *, requests: int, keepalive: bool = False) -> HttpReport:
    """Read what ab printed.

    Args:
        text: Its standard output.
        errors: Its standard error.
        requests: How many were asked for.
        keepalive: Whether -k was given: then every answer must keep its connection.

    Raises:
        Unreachable: No route, or no answer in time.
        ToolProblem: It was refused or cut off, a request failed or was answered with anything but 2xx, or
            some are missing.
    """
    if _field(text, "Complete requests") is None:
        raise _failure(text, errors)
    complete = whole(_field(text, "Complete requests"), "ab's count of requests")
    failed = whole(_field(text, "Failed requests"), "ab's count of failures")
    non_2xx = whole(_field(text, "Non-2xx responses") or 0, "ab's count of non-2xx responses")
    kept_alive = whole(_field(text, "Keep-Alive requests") or 0, "ab's count of keep-alive requests")
    if failed or non_2xx:
        raise ToolProblem(
            f"{failed} of {complete} requests failed, {non_2xx} were answered with another status than 2xx",
            remedy="nginx's error log is on its standard error",
        )
    if complete != requests:
        raise ToolProblem(f"ab completed {complete} of {requests} requests: {last_line(errors)}")
    if keepalive and kept_alive != complete:
        raise ToolProblem(f"only {kept_alive} of {complete} answers kept their connection open")
    return HttpReport(
        rate=positive(_field(text, "Requests per second"), "ab's requests per second"),
        complete=complete,
        kept_alive=kept_alive,
        seconds=finite(_field(text, "Time taken for tests"), "ab's time"),
        # In Kbytes of 1024 (ab.c, output_results).
        transfer_rate=positive(_field(text, "Transfer rate"), "ab's transfer rate") * 1024 * 8,
        longest=_longest(text),
    )


def parse_percentiles(text: str) -> Percentiles:
    """Read the file of `ab -e`: percentage, milliseconds to 1 us. The table on its output is in whole ms.

    Raises:
        ToolProblem: It is incomplete or not of that form.
    """
    table = dict(line.split(",", maxsplit=1) for line in text.splitlines() if "," in line)
    p50, p90, p99 = (
        positive(table.get(share), f"ab's {share}th percentile") / 1e3 for share in ("50", "90", "99")
    )
    if not p50 <= p90 <= p99:
        raise ToolProblem(f"ab's percentiles fall: {p50}, {p90}, {p99} s")
    return Percentiles(p50, p90, p99)


def _field(text: str, name: str) -> str | None:
    match = re.search(_FIELD.format(re.escape(name)), text, re.MULTILINE | re.ASCII)
    return match[1] if match else None


def _longest(text: str) -> float | None:
    match = _LONGEST.search(text)
    return finite(match[1], "ab's longest request") / 1e3 if match else None


def _failure(text: str, errors: str) -> CellProblem:
    match = _APR_ERROR.search(f"{errors}\n{text}")
    words = match[0].strip()[:300] if match else last_line(errors if errors.strip() else text)
    kind = Unreachable if any(phrase in words.lower() for phrase in _NO_PATH) else ToolProblem
    return kind(f"ab: {words}")


def _run(
    pair: EndpointPair, server: Nginx, options: Sequence[str], url: str, *, requests: int, keepalive: bool
) -> Measurement:
    """One run of ab: its rate as the value, everything else as details."""
    # A file and not /dev/stdout: reopening that one cuts off a regular file and fails on a socket.
    times = f"{file_base(pair.client, 'ab', int(url.rpartition(':')[2].partition('/')[0]))}.csv"
    argv = ["ab", "-q", "-s", str(_SOCKET_TIMEOUT), *options, "-e", times, url]
    with needing(server.process, pair.server), blaming(pair.client.name):
        result = has_run(pair.client.run(argv, limit=requests / _SLOWEST + 15))
        report = parse_ab(result.stdout, result.stderr, requests=requests, keepalive=keepalive)
    with blaming(pair.client.name):
        percentiles = parse_percentiles(pair.client.run(["cat", times], limit=10).check().stdout)
    details: dict[str, Any] = {
        **dataclasses.asdict(percentiles),
        "longest": report.longest,
        "transfer_rate": report.transfer_rate,
        "complete": report.complete,
        "kept_alive": report.kept_alive,
        "failed": 0,
        "non_2xx": 0,
    }
    return Measurement(report.rate, result.seconds, details)


@dataclass(frozen=True)
class Http:
    """Requests per second for a page of 612 bytes, a new connection for each unless `keepalive`.

    A count is asked for and not a time, as in the published runs. So `lasting` and `seconds` are right only
    where requests are as fast as in the lab; on a slower path or machine a run takes longer.

    Attributes:
        requests: How many.
        concurrency: How many at a time.
        keepalive: Whether connections stay open (HTTP/1.0 `Connection: Keep-Alive`).

    Raises:
        ValueError: A parameter makes no measurement.
    """

    requests: int = 5000
    concurrency: int = 10
    keepalive: bool = False

    unit = Unit.REQUEST_PER_SECOND
    better = Better.HIGHER
    tools = ("ab", "nginx")
    once = False

    def __post_init__(self) -> None:
        # ab prints no percentiles for a single request, and refuses more at a time than in all.
        if self.requests < 2 or not 1 <= self.concurrency <= self.requests:
            raise ValueError(
                f"requests >= 2 and 1 <= concurrency <= requests are needed, "
                f"not {self.requests} and {self.concurrency}"
            )

    @property
    def name(self) -> str:
        return "http-keepalive" if self.keepalive else "http"

    @property
    def seconds(self) -> float:
        return self.requests / _PER_SECOND[self.name] + _SETUP_SECONDS

    def suits(self, path: Path) -> bool:
        return path in Path

    def lasting(self, seconds: float) -> Self:
        requests = max(self.concurrency, 100, round(seconds * _PER_SECOND[self.name]))
        return dataclasses.replace(self, requests=requests)

    def describe(self) -> str:
        return f"ab {' '.join(self._options())} http://HOST:PORT/"

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Measure]:
        with nginx(pair.server) as server:
            yield lambda: _run(
                pair, server, self._options(), server.page, requests=self.requests, keepalive=self.keepalive
            )

    def _options(self) -> list[str]:
        options = ["-n", str(self.requests), "-c", str(self.concurrency)]
        return [*options, "-k"] if self.keepalive else options


@dataclass(frozen=True)
class Connect:
    """New TCP connections per second, one after the other: connect, one empty request and answer, close.

    What netperf calls TCP_CRR. It is made of round trips: the inverse is the time of one connection's life.
    A count is asked for and not a time, so `lasting` and `seconds` are right only for round trips as short
    as the lab's: where they take ten times as long, so does a run.

    Attributes:
        requests: How many connections.

    Raises:
        ValueError: A parameter makes no measurement.
    """

    requests: int = 2000

    name = "connect"
    unit = Unit.CONNECTION_PER_SECOND
    better = Better.HIGHER
    tools = ("ab", "nginx")
    once = False

    def __post_init__(self) -> None:
        if self.requests < 2:
            raise ValueError(f"requests must be at least 2, not {self.requests}")

    @property
    def seconds(self) -> float:
        return self.requests / _PER_SECOND[self.name] + _SETUP_SECONDS

    def suits(self, path: Path) -> bool:
        return path in Path

    def lasting(self, seconds: float) -> Self:
        return dataclasses.replace(self, requests=max(100, round(seconds * _PER_SECOND[self.name])))

    def describe(self) -> str:
        return f"ab {' '.join(self._options())} http://HOST:PORT/empty"

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Measure]:
        with nginx(pair.server) as server:
            yield lambda: _run(
                pair, server, self._options(), server.empty, requests=self.requests, keepalive=False
            )

    def _options(self) -> list[str]:
        return ["-n", str(self.requests), "-c", "1"]
