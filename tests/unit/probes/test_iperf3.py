import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.model import Better, Unit
from pytest_calico_perf.probes.iperf3 import Tcp


@pytest.mark.parametrize(
    "bad",
    [
        {"duration": 0},
        {"duration": 0.5},
        {"duration": True},
        {"omit": 0.5},
        {"omit": -1},
        {"streams": 0},
        {"streams": 129},
    ],
)
def test_parameters_that_would_run_for_ever_or_not_at_all(bad):
    with pytest.raises(ValueError, match="must be"):
        Tcp(**bad)


def test_what_it_is():
    assert (Tcp().name, Tcp(streams=4).name) == ("tcp", "tcp-parallel")
    assert (Tcp().unit, Tcp().better, Tcp().once) == (Unit.BIT_PER_SECOND, Better.HIGHER, False)
    assert Tcp().lasting(0.3).duration == 1
    assert Tcp(omit=1).lasting(2.6) == Tcp(duration=3, omit=1)
    assert Tcp(both_directions=False).seconds == pytest.approx(Tcp().seconds / 2)
    assert Tcp(omit=1).describe() == "iperf3 -c HOST -t 1 -P 1 -i 0.1 -O 1, again with -R"


def test_both_directions_on_loopback(pair):
    with Tcp().open(pair) as measure:
        result = measure()
    details, reverse = result.details, result.details["reverse"]
    for run in (details, reverse):
        assert run["goodput"] > 1e8
        assert run["goodput"] == pytest.approx(run["received"], rel=0.5)
        assert run["received"] <= run["sent"] * 1.05  # each end divides by its own time
        assert 9 <= len(run["intervals"]) <= 11
        assert (run["interval_seconds"], run["warm_up_seconds"]) == (0.1, 0.2)
        assert run["seconds"] == pytest.approx(1, abs=0.2)
        assert 0 < run["cpu_client"] < 64
        assert 0 < run["cpu_server"] < 64
        assert run["version_client"] == run["version_server"]
        assert run["mss"] > 1000
        assert run["streams"] == 1
        assert isinstance(run["retransmits"], int)
        assert run["congestion_control"]
    assert result.value == details["goodput"]
    assert result.seconds >= 2
    client, server = pair.client.ran, pair.server.started
    assert [("-R" in run.argv) for run in client] == [False, True]
    assert not any(command.running for command in server)


def test_parallel_on_loopback(pair):
    with Tcp(streams=3, both_directions=False).open(pair) as measure:
        result = measure()
    assert result.value > 1e8
    assert result.details["streams"] == 3
    assert "reverse" not in result.details


def test_omitted_warm_up_on_loopback(pair):
    with Tcp(omit=1, both_directions=False).open(pair) as measure:
        result = measure()
    # Each end divides by a time of its own, and on a busy machine they end apart.
    assert result.value == pytest.approx(result.details["received"], rel=0.2)


def test_a_dead_server_is_named(make_pair):
    pair = make_pair(server={"doom": 0.5})
    with (
        Tcp(duration=2).open(pair) as measure,
        pytest.raises(ToolProblem, match=r"node2: the iperf3 server died mid-run \(status 137\)"),
    ):
        measure()


@pytest.mark.parametrize(("end", "name"), [("client", "node1"), ("server", "node2")])
def test_not_installed(make_pair, end, name):
    with (
        Tcp().open(make_pair(**{end: {"path": "/nowhere"}})) as measure,
        pytest.raises(ToolProblem, match=f"{name}: iperf3 is not installed there; install iperf3"),
    ):
        measure()


def test_taken_port(pair, monkeypatch):
    port = pair.server.allocate_port()
    monkeypatch.setattr(pair.server, "allocate_port", lambda: port)
    with pair.server.start(["iperf3", "-s", "-p", str(port), "--forceflush"], limit=20) as other:
        other.wait_for_output("listening", deadline=5)
        with (
            Tcp().open(pair) as measure,
            pytest.raises(ToolProblem, match=r"node2: iperf3 ended before it listened.*in use"),
        ):
            measure()


def test_no_route(make_pair):
    with (
        Tcp().open(make_pair(client={"isolated": True})) as measure,
        pytest.raises(Unreachable, match=r"node1: iperf3: unable to connect.*Network is unreachable"),
    ):
        measure()


def test_nothing_listens_where_the_client_looks(make_pair):
    pair = make_pair(server={"address": "127.0.0.2", "isolated": True})
    with (
        Tcp().open(pair) as measure,
        pytest.raises(ToolProblem, match=r"node1: iperf3: unable to connect.*Connection refused.*firewall"),
    ):
        measure()
