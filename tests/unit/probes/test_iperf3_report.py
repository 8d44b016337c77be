import json

import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.probes.iperf3_report import (
    Interval,
    failure,
    goodput,
    parse_server,
    parse_tcp,
    parse_udp,
)

VERSIONS = ["3.1.3", "3.7", "3.9", "3.12", "3.16", "3.17.1", "3.21"]
NEWER = VERSIONS[1:]


@pytest.mark.parametrize("version", VERSIONS)
def test_tcp_of_every_version(recording, version):
    text = recording(f"iperf3/{version}-tcp.json")
    end = json.loads(text)["end"]
    report = parse_tcp(text, streams=1, duration=1)
    assert report.version == version
    assert report.sent == end["sum_sent"]["bits_per_second"]
    assert report.received == end["sum_received"]["bits_per_second"]
    assert report.retransmits == end["sum_sent"]["retransmits"]
    assert report.mss == 32768
    assert report.cpu_client == pytest.approx(end["cpu_utilization_percent"]["host_total"] / 100)
    assert report.cpu_server == pytest.approx(end["cpu_utilization_percent"]["remote_total"] / 100)
    assert report.congestion_control == (None if version == "3.1.3" else "bbr")
    assert len(report.intervals) in (10, 11)
    assert all(i.rate > 1e9 and not i.omitted for i in report.intervals)


@pytest.mark.parametrize("version", VERSIONS)
def test_server_lines_of_every_version(recording, version):
    text = recording(f"iperf3/{version}-tcp.server.txt")
    _, intervals = parse_server(text, streams=1)
    assert [i.start for i in intervals[:10]] == pytest.approx([n / 10 for n in range(10)], abs=0.02)
    rates = [
        line.split()[6]
        for line in text.splitlines()
        if "Kbits/sec" in line and line.split()[-1] not in ("sender", "receiver")
    ]
    assert [i.rate for i in intervals] == [float(rate) * 1e3 for rate in rates]


@pytest.mark.parametrize("version", NEWER)
def test_goodput_is_the_receivers_steady_rate(recording, version):
    """Between the slowest and fastest whole interval after 0.2 s; never the sum with its 40 ms of 3.7 and 3.9."""
    _, intervals = parse_server(recording(f"iperf3/{version}-tcp.server.txt"), streams=1)
    rate = goodput(intervals, warm_up=0.2, duration=1)
    steady = [i.rate for i in intervals[2:10]]
    assert min(steady) < rate < max(steady)
    assert rate == pytest.approx(sum(steady) / len(steady), rel=0.01)


@pytest.mark.parametrize("version", NEWER)
def test_reverse_is_seen_by_the_client(recording, version):
    report = parse_tcp(recording(f"iperf3/{version}-reverse.json"), streams=1, duration=1)
    assert goodput(report.intervals, warm_up=0, duration=1) == pytest.approx(report.received, rel=0.02)
    assert report.retransmits is not None


@pytest.mark.parametrize("version", NEWER)
def test_parallel_sums_its_streams(recording, version):
    text = recording(f"iperf3/{version}-parallel.json")
    report = parse_tcp(text, streams=2, duration=1)
    streams = json.loads(text)["end"]["streams"]
    assert report.streams == 2
    assert report.received == pytest.approx(sum(s["receiver"]["bits_per_second"] for s in streams), rel=0.05)
    server = recording(f"iperf3/{version}-parallel.server.txt")
    _, together = parse_server(server, streams=2)
    _, single = parse_server(server, streams=1)
    assert len(single) == 2 * len(together)
    assert together[0].rate == pytest.approx(single[0].rate + single[1].rate, rel=0.05)


@pytest.mark.parametrize("version", ["3.12", "3.21"])
def test_omitted_intervals_do_not_count(recording, version):
    report = parse_tcp(recording(f"iperf3/{version}-omit.json"), streams=1, duration=1)
    _, served = parse_server(recording(f"iperf3/{version}-omit.server.txt"), streams=1)
    for intervals in (report.intervals, served):
        assert sum(i.omitted for i in intervals) in (9, 10)
    assert goodput(served, warm_up=0, duration=1) == pytest.approx(report.received, rel=0.005)


def test_server_states_its_version():
    assert parse_server("iperf 3.12\nLinux host\n-----\nServer listening on 5201 (test #1)\n", streams=1) == (
        "3.12",
        (),
    )


def test_multithreaded_servers_use_more_than_one_core(recording):
    assert parse_tcp(recording("iperf3/3.16-parallel.json"), streams=2, duration=1).cpu_server > 1


@pytest.mark.parametrize("version", VERSIONS)
def test_udp_of_every_version(recording, version):
    text = recording(f"iperf3/{version}-udp.json")
    report = parse_udp(text, duration=1)
    cpu = json.loads(text)["end"]["cpu_utilization_percent"]
    assert (report.cpu_client, report.cpu_server) == pytest.approx(
        (cpu["host_total"] / 100, cpu["remote_total"] / 100)
    )
    total = json.loads(text)["end"]["sum"]
    assert report.version == version
    assert report.payload == 1400
    assert report.packets == total["packets"]
    assert report.loss == pytest.approx(total["lost_percent"] / 100, abs=1e-6)
    assert report.jitter == pytest.approx(total["jitter_ms"] / 1e3)
    assert report.received == pytest.approx(report.offered * (1 - report.loss), rel=0.01)
    assert report.out_of_order == 0


def test_udp_loss_of_a_version_that_only_knows_what_was_sent(recording):
    report = parse_udp(recording("iperf3/3.1.3-udp.json"), duration=1)
    assert report.loss == pytest.approx(2619 / 3667)
    assert report.received == pytest.approx(45043005.577521 * 1048 / 3667)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("3.7-refused", ToolProblem, "Connection refused"),
        ("3.12-refused", ToolProblem, "Connection refused"),
        ("3.16-refused", ToolProblem, "Connection refused"),
        ("3.21-refused", ToolProblem, "Connection refused"),
        ("3.9-refused", ToolProblem, "unable to send control message"),
        ("3.12-busy", ToolProblem, "server is busy"),
        ("3.21-busy", ToolProblem, "server is busy"),
        ("3.12-killed-KILL", ToolProblem, "Connection reset by peer"),
        ("3.12-killed-TERM", ToolProblem, "server has terminated"),
        ("3.21-killed-KILL", ToolProblem, "control socket has closed"),
        ("3.21-killed-TERM", ToolProblem, "server has terminated"),
        ("3.12-no-neighbour", Unreachable, "No route to host"),
        ("3.12-unreachable", Unreachable, "No route to host"),
        ("3.12-no-network", Unreachable, "Network is unreachable"),
        ("3.21-no-network", Unreachable, "Network is unreachable"),
        ("3.12-silent", Unreachable, "timed out"),
        ("3.21-silent", Unreachable, "timed out"),
        ("3.1.3-connect-timeout", ToolProblem, "3.2 or later"),
        ("3.1.3-forceflush", ToolProblem, "3.2 or later"),
    ],
)
@pytest.mark.parametrize(
    "parse",
    [lambda t, e: parse_tcp(t, e, streams=1, duration=1), lambda t, e: parse_udp(t, e, duration=1)],
    ids=["tcp", "udp"],
)
def test_failures_are_told_apart(recording, name, kind, words, parse):
    text = recording(f"iperf3/{name}.json") if "3.1.3" not in name else ""
    with pytest.raises(kind, match=words) as caught:
        parse(text, recording(f"iperf3/{name}.stderr"))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_tcp_without_payload_is_unreachable(recording):
    with pytest.raises(Unreachable, match=r"no data arrived.*MTU"):
        parse_tcp(recording("iperf3/3.12-blackhole-tcp.json"), streams=1, duration=1)
    _, intervals = parse_server(recording("iperf3/3.12-blackhole-tcp.server.txt"), streams=1)
    with pytest.raises(Unreachable, match="no data arrived"):
        goodput(intervals, warm_up=0.2, duration=1)


def test_udp_without_payload_is_unreachable(recording):
    with pytest.raises(Unreachable, match="no datagram arrived"):
        parse_udp(recording("iperf3/3.12-blackhole-udp.json"), duration=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "printed nothing"),
        ("{", "malformed"),
        ('{"start": {}, "end": {"sum_sent": {"seconds": -nan}}}', "malformed"),
        ("[" * 100_000 + "{", "malformed"),
        ('{"a":' * 100_000, "malformed"),
        ('{"end": 7}', "printed nothing"),
        ('{"end": {"sum_sent": {"seconds": NaN}}}', "duration cannot be nan"),
        ('{"end": {"sum_sent": {"seconds": true}}}', "duration is no number"),
        ('{"end": {"sum_sent": {}}}', "duration is missing"),
        ('{"end": {"sum_sent": {"seconds": 5}}}', "measured 5 s instead of 1 s"),
    ],
)
def test_broken_json(text, words):
    with pytest.raises(ToolProblem, match=words):
        parse_tcp(text, streams=1, duration=1)


def test_text_around_the_json_does_not_matter(recording):
    text = recording("iperf3/3.12-tcp.json")
    around = (
        f"warning: UDP block size exceeds TCP MSS\n{text}\niperf3: interrupt - the client has terminated\n"
    )
    assert parse_tcp(around, streams=1, duration=1) == parse_tcp(text, streams=1, duration=1)


def test_a_missing_stream_is_noticed(recording):
    with pytest.raises(ToolProblem, match="2 streams instead of 4"):
        parse_tcp(recording("iperf3/3.12-parallel.json"), streams=4, duration=1)


def test_a_run_cut_short_is_noticed(recording):
    with pytest.raises(ToolProblem, match="instead of 10 s"):
        parse_tcp(recording("iperf3/3.12-tcp.json"), streams=1, duration=10)


def test_connection_timeout_of_older_versions():
    assert isinstance(failure("error - unable to connect to server: Operation now in progress"), Unreachable)


def test_goodput_by_hand():
    run = [
        Interval(n / 10, (n + 1) / 10, rate, omitted=False)
        for n, rate in enumerate([1.0, 1.0, 4.0, 4.0, 4.0, 8.0])
    ]
    tail = Interval(0.6, 0.64, 100.0, omitted=False)
    assert goodput([*run, tail], warm_up=0.2, duration=0.6) == pytest.approx(5.0)


def test_stalls_count():
    run = [Interval(n / 10, (n + 1) / 10, 0.0 if n % 2 else 10.0, omitted=False) for n in range(10)]
    assert goodput(run, warm_up=0.2, duration=1) == pytest.approx(5.0)


@pytest.mark.parametrize(
    "intervals", [[], [Interval(0.2, 0.3, 1.0, omitted=False)], [Interval(0, 1, 1.0, omitted=True)]]
)
def test_goodput_needs_the_whole_run(intervals):
    with pytest.raises(ToolProblem, match=r"reported 0\.[01]0 s of the 0.8 s"):
        goodput(intervals, warm_up=0.2, duration=1)
