import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.probes.iperf import Iperf
from pytest_calico_perf.probes.iperf_report import parse_datagrams, parse_stream


def test_fixed_unit(recording):
    report = parse_stream(recording("iperf/2.1.8-tcp.txt"), duration=3)
    assert report.sent == 19552812e3
    assert report.seconds == 3.0139
    assert report.intervals == (19606275e3, 19413336e3, 19910361e3)


@pytest.mark.parametrize(
    ("name", "duration", "sent", "intervals"),
    [
        ("2.1.8-tcp-auto-unit", 1, 19.6e9, (19.6e9, 19.7e9)),
        ("2.0.13-tcp-small", 3, 176e6, (197e6, 207e6, 126e6)),
    ],
)
def test_whatever_unit(recording, name, duration, sent, intervals):
    report = parse_stream(recording(f"iperf/{name}.txt"), duration=duration)
    assert (report.sent, report.intervals) == (sent, intervals)


@pytest.mark.parametrize("name", ["2.0.13-tcp", "2.0.13-tcp-auto-unit"])
def test_rates_that_wrapped_round_are_refused(recording, name):
    with pytest.raises(ToolProblem, match="iperf's rate cannot be -"):
        parse_stream(recording(f"iperf/{name}.txt"), duration=3)


def test_rates_that_wrapped_round_twice_are_refused():
    text = "[  3]  0.0- 1.0 sec  5000000 KBytes  6600262 Kbits/sec\n"
    with pytest.raises(ToolProblem, match="contradicts"):
        parse_stream(text, duration=1)


def test_what_a_busy_machine_sends_after_its_time_is_no_interval():
    text = """[  1] 0.00-0.50 sec   977 MBytes  16391266 Kbits/sec
[  1] 0.50-1.00 sec   549 MBytes  9210691 Kbits/sec
[  1] 1.00-1.02 sec  2.50 KBytes  1024 Kbits/sec
[  1] 0.00-1.02 sec  1526 MBytes  12550000 Kbits/sec
"""
    report = parse_stream(text, duration=1)
    assert report.intervals == (16391266e3, 9210691e3)
    assert report.sent == 12550000e3


def test_udp(recording):
    report = parse_datagrams(recording("iperf/2.1.8-udp.txt"), duration=1)
    assert (report.offered, report.received) == (50019e3, 50021e3)
    assert (report.packets, report.loss, report.payload, report.out_of_order) == (4255, 0, 1470, 0)


def test_udp_of_2_0(recording):
    report = parse_datagrams(recording("iperf/2.0.13-udp.txt"), duration=1)
    assert (report.offered, report.received, report.packets) == (49997e3, 50011e3, 4252)


def test_udp_loss(recording):
    report = parse_datagrams(recording("iperf/2.1.8-udp-loss.txt"), duration=1)
    assert report.loss == pytest.approx(300070 / 483641)
    assert report.received == 2152445e3
    assert report.jitter == 0


def test_late_datagrams():
    text = (
        "Sending 1470 byte datagrams\n"
        "[  1] 0.0000-1.0000 sec  6108 KBytes  50019 Kbits/sec\n"
        "[  1] Server Report:\n"
        "[  1] 0.0000-1.0000 sec  6108 KBytes  50021 Kbits/sec   0.012 ms 5/4255 (0.12%)\n"
        "[  1] 0.0000-1.0000 sec  7 datagrams received out-of-order\n"
    )
    report = parse_datagrams(text, duration=1)
    assert (report.out_of_order, report.jitter) == (7, pytest.approx(12e-6))


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("2.1.8-refused", ToolProblem, "Connection refused"),
        ("2.0.13-refused", ToolProblem, "Connection refused"),
        ("2.1.8-no-neighbour", Unreachable, "No route to host"),
        ("2.1.8-no-network", Unreachable, "Network is unreachable"),
        ("2.1.8-killed", ToolProblem, "1.01 s instead of 2 s: tcp write failed: Connection reset by peer"),
        ("2.0.13-killed", ToolProblem, "cannot be -"),
    ],
)
def test_tcp_failures(recording, name, kind, words):
    text = "" if name == "2.0.13-refused" else recording(f"iperf/{name}.txt")
    with pytest.raises(kind, match=words) as caught:
        parse_stream(text, recording(f"iperf/{name}.stderr"), duration=2)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("2.1.8-udp-refused", ToolProblem, "Connection refused"),
        ("2.0.13-udp-refused", ToolProblem, "Connection refused"),
        ("2.1.8-udp-no-report", ToolProblem, "Connection refused"),
        ("2.1.8-udp-no-neighbour", Unreachable, "no report"),
        ("2.1.8-udp-no-network", Unreachable, "Network is unreachable"),
    ],
)
def test_udp_failures(recording, name, kind, words):
    with pytest.raises(kind, match=words) as caught:
        parse_datagrams(recording(f"iperf/{name}.txt"), recording(f"iperf/{name}.stderr"), duration=1)
    assert type(caught.value) is kind


def test_parameters():
    for bad in ({"duration": 0}, {"interval": 0}, {"duration": 1, "interval": 2}, {"duration": float("inf")}):
        with pytest.raises(ValueError, match="is needed"):
            Iperf(**bad)
    assert Iperf().describe() == "iperf -c HOST -i 1 -t 10 -f k"
    assert Iperf().lasting(0.5) == Iperf(duration=0.5, interval=0.5)


def test_on_loopback(pair):
    with Iperf(duration=1, interval=0.5).open(pair) as measure:
        results = [measure(), measure()]
    for result in results:
        assert result.value == result.details["sent"] > 1e8
        assert len(result.details["intervals"]) == 2
    assert len(pair.server.started) == 1
    assert not pair.server.started[0].running


def test_a_dead_server_is_named(make_pair):
    pair = make_pair(server={"doom": 0.5})
    with Iperf(duration=2).open(pair) as measure:
        for _ in range(2):  # mid-run, and once more when it is known to be dead
            with pytest.raises(ToolProblem, match=r"node2: the iperf server died mid-run \(status 137\)"):
                measure()
    assert len(pair.client.ran) == 1


@pytest.mark.parametrize("end", ["client", "server"])
def test_not_installed(make_pair, end):
    with (
        pytest.raises(ToolProblem, match="iperf is not installed there"),
        Iperf().open(make_pair(**{end: {"path": "/nowhere"}})) as measure,
    ):
        measure()


def test_no_route(make_pair):
    with (
        Iperf(duration=1).open(make_pair(client={"isolated": True})) as measure,
        pytest.raises(Unreachable, match=r"node1: iperf: .*Network is unreachable"),
    ):
        measure()
