import csv
import io

import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.model import Unit
from pytest_calico_perf.probes.ab import Connect, Http, parse_ab, parse_percentiles


def test_http(recording):
    report = parse_ab(recording("ab/http.txt"), requests=5000)
    assert (report.rate, report.complete, report.kept_alive) == (44712.32, 5000, 0)
    assert (report.seconds, report.longest) == (0.112, 0.001)
    # 3,780,000 bytes in 5000/44712.32 s
    assert report.transfer_rate == pytest.approx(3_780_000 * 8 * 44712.32 / 5000, rel=1e-4)


def test_keepalive(recording):
    report = parse_ab(recording("ab/keepalive.txt"), requests=5000, keepalive=True)
    assert (report.rate, report.kept_alive) == (194666.15, 5000)


def test_connect(recording):
    assert parse_ab(recording("ab/connect.txt"), requests=2000).rate == 31913.20


@pytest.mark.parametrize("name", ["http", "keepalive", "connect"])
def test_percentiles_are_finer_than_a_millisecond(recording, name):
    text = recording(f"ab/{name}.csv")
    rows = {row[0]: float(row[1]) for row in list(csv.reader(io.StringIO(text)))[1:]}
    times = parse_percentiles(text)
    assert (times.p50, times.p90, times.p99) == pytest.approx(
        (rows["50"] / 1e3, rows["90"] / 1e3, rows["99"] / 1e3)
    )
    assert 0 < times.p50 < 1e-3


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("refused", ToolProblem, "Connection refused"),
        ("killed", ToolProblem, "Connection reset by peer"),
        ("silent", Unreachable, "timeout specified has expired"),
        ("no-network", Unreachable, "Network is unreachable"),
        ("no-neighbour", Unreachable, "No route to host"),
        ("non-2xx", ToolProblem, "0 of 100 requests failed, 100 were answered with another status"),
        ("lengths", ToolProblem, "90 of 200 requests failed"),
    ],
)
def test_failures_are_told_apart(recording, name, kind, words):
    with pytest.raises(kind, match=words) as caught:
        parse_ab(recording(f"ab/{name}.txt"), recording(f"ab/{name}.stderr"), requests=100)
    assert type(caught.value) is kind


def test_connections_that_were_not_kept_are_noticed(recording):
    text = recording("ab/keepalive-refused.txt")
    assert parse_ab(text, requests=500).complete == 500
    with pytest.raises(ToolProblem, match="only 0 of 500 answers kept"):
        parse_ab(text, requests=500, keepalive=True)


def test_missing_requests_are_noticed(recording):
    with pytest.raises(ToolProblem, match="completed 5000 of 6000"):
        parse_ab(recording("ab/http.txt"), requests=6000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "50th percentile is missing"),
        ("Percentage served,Time in ms\n50,0.1\n90,0.2\n", "99th percentile is missing"),
        ("50,0.1\n90,0.05\n99,0.2\n", "percentiles fall"),
        ("50,0\n90,1\n99,1\n", "50th percentile is 0"),
        ("50,nan\n90,1\n99,1\n", "cannot be nan"),
    ],
)
def test_broken_percentiles(text, words):
    with pytest.raises(ToolProblem, match=words):
        parse_percentiles(text)


def test_parameters():
    for bad in ({"requests": 1}, {"concurrency": 0}, {"requests": 10, "concurrency": 11}):
        with pytest.raises(ValueError, match="are needed"):
            Http(**bad)
    with pytest.raises(ValueError, match="at least 2"):
        Connect(requests=1)
    assert (Http().name, Http(keepalive=True).name, Connect().name) == ("http", "http-keepalive", "connect")
    assert (Http().unit, Connect().unit) == (Unit.REQUEST_PER_SECOND, Unit.CONNECTION_PER_SECOND)
    assert Http(requests=90_000, concurrency=50).describe() == "ab -n 90000 -c 50 http://HOST:PORT/"
    assert Http(keepalive=True).describe() == "ab -n 5000 -c 10 -k http://HOST:PORT/"
    assert Connect().describe() == "ab -n 2000 -c 1 http://HOST:PORT/empty"


@pytest.mark.parametrize(
    ("probe", "slowest", "fastest"),
    [(Http(), 21_000, 34_000), (Http(keepalive=True), 75_000, 120_000), (Connect(), 18_000, 25_000)],
    ids=["http", "http-keepalive", "connect"],
)
def test_a_time_is_turned_into_what_the_lab_does_in_it(probe, slowest, fastest):
    """Rates seen between two pods of the lab; the plan's estimate is the same arithmetic backwards."""
    asked = probe.lasting(4)
    assert slowest <= asked.requests / 4 <= fastest
    assert asked.seconds == pytest.approx(4, rel=0.1)
    assert probe.lasting(0.0001).requests == 100


@pytest.mark.parametrize(
    "probe",
    [Http(requests=1000), Http(requests=1000, keepalive=True), Connect(requests=300)],
    ids=lambda p: p.name,
)
def test_on_loopback(pair, probe):
    with probe.open(pair) as measure:
        results = [measure(), measure()]
    for result in results:
        details = result.details
        assert result.value > 100
        assert 0 < details["p50"] <= details["p90"] <= details["p99"] < 1
        assert details["complete"] == probe.requests
        assert details["transfer_rate"] > result.value * 8
        assert details["kept_alive"] == (1000 if probe.name == "http-keepalive" else 0)
        assert (details["failed"], details["non_2xx"]) == (0, 0)
    assert len(pair.server.started) == 1
    assert not pair.server.started[0].running


def test_rate_and_times_agree_on_loopback(pair):
    """One connection at a time: the mean time is 1/rate, and half of them take less than twice that."""
    with Connect(requests=500).open(pair) as measure:
        result = measure()
    assert result.details["p50"] < 2 / result.value


def test_a_dead_nginx_is_named(make_pair):
    pair = make_pair(server={"doom": 0.5})
    with Http(requests=200_000).open(pair) as measure:
        for _ in range(2):  # mid-run, and once more when it is known to be dead
            with pytest.raises(ToolProblem, match=r"node2: the nginx server died mid-run \(status 137\)"):
                measure()
    assert len(pair.client.ran) == 1


def test_not_installed(make_pair):
    with (
        pytest.raises(ToolProblem, match="node2: nginx is not installed there; install nginx"),
        Http().open(make_pair(server={"path": "/nowhere"})),
    ):
        pass
    with (
        Http().open(make_pair(client={"path": "/nowhere"})) as measure,
        pytest.raises(ToolProblem, match="node1: ab is not installed there"),
    ):
        measure()


def test_no_route(make_pair):
    with (
        Http().open(make_pair(client={"isolated": True})) as measure,
        pytest.raises(Unreachable, match=r"node1: ab: .*Network is unreachable"),
    ):
        measure()
