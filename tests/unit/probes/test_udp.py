import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.probes.udp import Udp


@pytest.mark.parametrize(
    "bad",
    [
        {"rates": ()},
        {"rates": (0,)},
        {"rates": (float("inf"),)},
        {"duration": 0.5},
        {"tool": "nuttcp"},
        {"payload": 8},
        {"payload": 70_000},
    ],
)
def test_parameters_that_measure_nothing(bad):
    with pytest.raises(ValueError, match="must be"):
        Udp(**bad)


def test_rates_are_plain_numbers():
    """1000M is 1.049 Gbit/s to iperf 2."""
    assert Udp(rates=(1e9, 2e9), duration=60, tool="iperf").describe() == (
        "iperf -c HOST -u -t 60 -f k -b 1000000000, 2000000000"
    )
    assert Udp(payload=1200, rates=(1e6,)).describe() == "iperf3 -c HOST -u -t 1 -l 1200 -b 1000000"


def test_lasting_is_per_rate():
    probe = Udp(rates=(1e6, 2e6)).lasting(3)
    assert probe.duration == 3
    assert probe.seconds > 6


@pytest.mark.parametrize("tool", ["iperf3", "iperf"])
def test_on_loopback(pair, tool):
    with Udp(rates=(20e6, 5e6), tool=tool, payload=1200).open(pair) as measure:
        result = measure()
    slow, fast = result.details["rates"]
    assert (slow["rate"], fast["rate"]) == (5e6, 20e6)
    assert result.value == result.details["received"] == fast["received"]
    for run in (slow, fast):
        assert run["offered"] == pytest.approx(run["rate"], rel=0.1)
        assert run["received"] == pytest.approx(run["offered"] * (1 - run["loss"]), rel=0.1)
        assert run["payload"] == 1200
        assert run["packets"] == pytest.approx(run["rate"] / 9600, rel=0.1)
        assert run["jitter"] < 0.1
        assert run["out_of_order"] == 0
    assert not any(command.running for command in pair.server.started)


def test_default_payload_fits_the_path(pair):
    """iperf3 takes it from the TCP MSS of its control connection: 32768 on loopback's 65536."""
    with Udp(rates=(50e6,)).open(pair) as measure:
        assert 1400 < measure().details["payload"] <= 65536 - 28


@pytest.mark.parametrize("tool", ["iperf3", "iperf"])
def test_a_dead_server_is_named(make_pair, tool):
    with (
        Udp(rates=(1e6,), duration=2, tool=tool).open(make_pair(server={"doom": 0.5})) as measure,
        pytest.raises(ToolProblem, match=rf"node2: the {tool} server died mid-run \(status 137\)"),
    ):
        measure()


@pytest.mark.parametrize("tool", ["iperf3", "iperf"])
@pytest.mark.parametrize("end", ["client", "server"])
def test_not_installed(make_pair, tool, end):
    with (
        Udp(tool=tool).open(make_pair(**{end: {"path": "/nowhere"}})) as measure,
        pytest.raises(ToolProblem, match=f"{tool} is not installed there"),
    ):
        measure()


@pytest.mark.parametrize("tool", ["iperf3", "iperf"])
def test_no_route(make_pair, tool):
    with (
        Udp(tool=tool).open(make_pair(client={"isolated": True})) as measure,
        pytest.raises(Unreachable, match=r"node1: .*unreachable"),
    ):
        measure()
