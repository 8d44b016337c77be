"""What a cell of the real lab has to show for itself: the line, the counters of both nodes, or the diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.model import Cell, Mode, Outcome, Path
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.ping import Ping
from tests.lab.blocks import measured
from tests.lab.faults import injected
from tests.lab.labs import lab

PING = Ping(count=50)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LabCluster]:
    with LabCluster(lab("lab"), (Mode.BGP, Mode.IPIP, Mode.VXLAN)) as one:
        yield one


def pods(mode: Mode, probe: str = "ping", path: Path = Path.POD_TO_POD) -> Cell:
    return Cell(probe, path, mode)


LINES = {
    (Mode.IPIP, Path.POD_TO_POD): (
        "node1 198.18.0.2 -> node2 198.18.0.3: pod 198.19.4.65 (pool ipip 198.19.4.0/22) by tunl0 via 198.18.0.3 "
        "proto bird, mtu 1480; tunl0 +50 packets on node1, +50 on node2 while it sent at least 25"
    ),
    (Mode.VXLAN, Path.HOST_TO_POD): (
        "node1 198.18.0.2 -> node2 198.18.0.3: pod 198.19.12.65 (pool vxlan 198.19.12.0/22) by vxlan.calico via "
        "198.19.12.64 (felix), mtu 1450; back to host 198.18.0.2 by eth0 proto kernel; "
        "vxlan.calico +50 packets on node1, +50 on node2 while it sent at least 25"
    ),
    (Mode.BGP, Path.POD_TO_POD): (
        "node1 198.18.0.2 -> node2 198.18.0.3: pod 198.19.0.65 (pool bgp 198.19.0.0/22) by eth0 via 198.18.0.3 "
        "proto bird, mtu 1500; tunl0 and vxlan.calico +0 packets while it sent at least 25"
    ),
    (Mode.BGP, Path.POD_TO_HOST): (
        "node1 198.18.0.2 -> node2 198.18.0.3: host 198.18.0.3 by eth0 proto kernel, mtu 1500; back to pod "
        "198.19.0.1 (pool bgp 198.19.0.0/22) by eth0 via 198.18.0.2 proto bird; "
        "tunl0 and vxlan.calico +0 packets while it sent at least 25"
    ),
}


@pytest.mark.parametrize(("mode", "path"), LINES)
def test_a_cell_tells_in_a_line_where_its_packets_went(cluster, mode, path):
    (result,) = measured(cluster, [pods(mode, path=path)], PING)
    assert result.outcome is Outcome.OK, result.reason
    assert result.evidence["line"] == LINES[mode, path]


def test_two_pods_of_one_node_need_no_tunnel(cluster):
    (result,) = measured(cluster, [pods(Mode.IPIP, path=Path.POD_TO_POD_SAME_NODE)], PING)
    assert result.outcome is Outcome.OK, result.reason
    line = result.evidence["line"]
    assert line.startswith("node1 198.18.0.2: pod 198.19.4.2 (pool ipip 198.19.4.0/22) by cali")
    assert "tunl0 and vxlan.calico +0 packets while it sent at least 25" in line


def test_counters_grow_with_the_bytes_and_commands_are_kept(cluster):
    (result,) = measured(cluster, [pods(Mode.IPIP, "tcp")], Tcp())
    assert result.outcome is Outcome.OK, result.reason
    sent = result.samples[0] / 8 / 65536  # packets a second, as large as the kernel lets them be
    for node in ("tunnel_packets", "tunnel_packets_server"):
        count = result.evidence[node]["ipip"]
        assert count["after"] - count["before"] > sent / 2
    assert (result.evidence["mss"], result.evidence["path_mtu"]) == (1428, 1480)
    assert "mtu 1480, mss 1428; tunl0 +" in result.evidence["line"]
    ran = {(each.endpoint, each.argv[1]) for each in result.commands if each.argv[0] == "iperf3"}
    assert ran == {("pod ipip-node1-1", "-c"), ("pod ipip-node2-1", "-s")}


@pytest.mark.parametrize(
    ("fault", "mode", "symptom"),
    [
        ("block-route-missing@server", Mode.BGP, "small-ping"),
        ("mtu-black-hole", Mode.BGP, "full-size-ping"),
    ],
)
def test_what_is_dead_or_crippled_says_why(cluster, fault, mode, symptom):
    pair = cluster.pair(Path.POD_TO_POD, mode)
    with injected(cluster, pair, fault):
        (result,) = measured(cluster, [pods(mode)], PING)
    assert result.outcome is Outcome.UNREACHABLE
    assert result.samples == ()
    assert result.diagnosis["symptom"] == symptom
    found = [each["fault"] for each in result.diagnosis["findings"]]
    assert found == [fault.partition("@")[0]]
    assert result.diagnosis["findings"][0]["broken"] in result.reason
    assert result.diagnosis["remedy"] in result.reason


def test_what_dies_while_it_is_measured_is_diagnosed_at_the_end(cluster):
    pair = cluster.pair(Path.POD_TO_POD, Mode.BGP)
    fault = injected(cluster, pair, "pod-addresses-dropped")

    def break_it(number: int) -> None:
        if number == 0:
            fault.__enter__()

    try:
        (result,) = measured(cluster, [pods(Mode.BGP)], PING, rounds=4, then=break_it)
    finally:
        fault.__exit__(None, None, None)
    assert result.outcome is Outcome.UNREACHABLE
    assert len(result.samples) == 1
    assert [each["fault"] for each in result.diagnosis["findings"]] == ["pod-addresses-dropped"]
    assert result.reason.endswith("(1 of 4 rounds measured)")
