"""No text whatever makes a parser raise anything but CellProblem, or return what is not finite and positive."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_calico_perf.errors import CellProblem
from pytest_calico_perf.probes.ab import parse_ab, parse_percentiles
from pytest_calico_perf.probes.iperf3_report import goodput, parse_server, parse_tcp, parse_udp
from pytest_calico_perf.probes.iperf_report import parse_datagrams, parse_stream
from pytest_calico_perf.probes.link import parse_interface, parse_link
from pytest_calico_perf.probes.ping import parse_ping


@dataclasses.dataclass
class Case:
    """A parser, what of its report must be positive, and recordings to damage."""

    parse: Callable[[str, str], Any]
    positive: tuple[str, ...]
    recordings: tuple[str, ...]


def server_goodput(text: str, _: str) -> dict[str, float]:
    return {"rate": goodput(parse_server(text, streams=1)[1], warm_up=0.2, duration=1)}


CASES = {
    "ping": Case(
        parse_ping, ("median", "resolution"),
        ("ping/iputils-success.txt", "ping/busybox-slow.txt", "ping/iputils-loss.txt", "ping/iputils-no-neighbour.txt"),
    ),
    "tcp": Case(
        lambda t, e: parse_tcp(t, e, streams=1, duration=1), ("sent", "received", "seconds"),
        ("iperf3/3.12-tcp.json", "iperf3/3.21-reverse.json", "iperf3/3.1.3-tcp.json", "iperf3/3.12-killed-TERM.json"),
    ),
    "server": Case(server_goodput, ("rate",), ("iperf3/3.12-tcp.server.txt", "iperf3/3.21-omit.server.txt")),
    "udp": Case(
        lambda t, e: parse_udp(t, e, duration=1), ("offered", "received", "seconds"),
        ("iperf3/3.12-udp.json", "iperf3/3.7-udp.json", "iperf3/3.1.3-udp.json"),
    ),
    "stream": Case(
        lambda t, e: parse_stream(t, e, duration=3), ("sent", "seconds"),
        ("iperf/2.1.8-tcp.txt", "iperf/2.0.13-tcp-small.txt", "iperf/2.1.8-killed.txt"),
    ),
    "datagrams": Case(
        lambda t, e: parse_datagrams(t, e, duration=1), ("offered", "received", "seconds"),
        ("iperf/2.1.8-udp.txt", "iperf/2.1.8-udp-loss.txt", "iperf/2.0.13-udp.txt"),
    ),
    "ab": Case(
        lambda t, e: parse_ab(t, e, requests=5000), ("rate", "transfer_rate"),
        ("ab/http.txt", "ab/keepalive.txt"),
    ),
    "percentiles": Case(lambda t, _: parse_percentiles(t), ("p50", "p90", "p99"), ("ab/http.csv", "ab/connect.csv")),
    "interface": Case(
        lambda t, _: dict(zip(("name", "mtu"), parse_interface(t, "198.18.220.1"), strict=True)), ("mtu",),
        ("link/veth.addr.json",),
    ),
    "link": Case(
        lambda t, e: parse_link("e0", 1500, settings=t, driver=e, features=t), (),
        ("link/veth.settings.txt", "link/virtio.settings.txt", "link/veth.features.txt"),
    ),
}  # fmt: skip

NASTY = [
    "", "-", "9", "9" * 400, "1e999", "-1", "0", "0.0", "NaN", "-nan", "inf", "Infinity", "null", "true", "{}", "[]",
    '"x"', "\n", "\x00", "²", "٣", " ", ",", "}", "]", "[" * 2000, '{"a":' * 2000, "K", "T", ".",
]  # fmt: skip
EDIT = st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(NASTY) | st.text(max_size=8))


def check(case: Case, text: str, errors: str) -> bool:
    """Whether the text gave a report; what must hold of it does."""
    try:
        report = case.parse(text, errors)
    except CellProblem as problem:
        assert problem.what
        return False
    values = (
        report
        if isinstance(report, Mapping)
        else {f.name: getattr(report, f.name) for f in dataclasses.fields(report)}
    )
    assert all(values[name] > 0 for name in case.positive)
    for value in values.values():
        if isinstance(value, int | float):
            assert math.isfinite(value)
            assert value >= 0
    return True


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60, deadline=None)
@given(text=st.text(), errors=st.text(max_size=50))
@example(text="{" * 5000, errors="")
@example(text="", errors="")
def test_any_text(name, text, errors):
    check(CASES[name], text, errors)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_damaged_recordings(recording, name, data):
    case = CASES[name]
    text = recording(data.draw(st.sampled_from(case.recordings)))
    for place, length, new in data.draw(st.lists(EDIT, max_size=4)):
        start = int(place * len(text))
        text = text[:start] + new + text[start + length :]
    check(case, text, data.draw(st.sampled_from(["", "ping: what", "driver: veth", "\n"])))


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_damaged_numbers(recording, name, data):
    """The same where it hurts: a number becomes another one, or none."""
    case = CASES[name]
    text = recording(data.draw(st.sampled_from(case.recordings)))
    places = [i for i, c in enumerate(text) if c.isdigit() and not text[i - 1].isdigit()]
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.sampled_from(places))
        end = start
        while end < len(text) and (text[end].isdigit() or text[end] == "."):
            end += 1
        text = text[:start] + data.draw(st.sampled_from(NASTY)) + text[end:]
        places = [p if p <= start else min(p, len(text) - 1) for p in places]
    check(case, text, "")


@pytest.mark.parametrize("name", CASES)
def test_undamaged_recordings_give_reports(recording, name):
    """Or the properties above would hold of nothing."""
    assert check(CASES[name], recording(CASES[name].recordings[0]), "")
