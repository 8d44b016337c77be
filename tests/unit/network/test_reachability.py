from __future__ import annotations

import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.reachability import BULK_BYTES, Symptom, check
from tests.unit.network.conftest import sh


def lost(network, path=Path.POD_TO_POD, mode=Mode.BGP) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        check(network.pair(path, mode))
    assert caught.value.where == ("node1" if path is Path.HOST_TO_POD else "pod1")
    return caught.value


@pytest.mark.parametrize(
    "path", [Path.HOST_TO_HOST, Path.HOST_TO_POD, Path.POD_TO_HOST, Path.POD_TO_POD], ids=str
)
def test_a_healthy_path_passes_with_its_mtu_and_bytes(network, path):
    found = check(network.pair(path, Mode.BGP if path.has_mode else None))
    assert (found.interface_mtu, found.path_mtu) == (1500, 1500)
    # iperf3's server stops reading when the client says it has sent all: the tail may be missing.
    assert all(BULK_BYTES // 2 <= brought <= 2 * BULK_BYTES for brought in found.bulk_bytes.values())
    assert set(found.bulk_bytes) == {"forward", "reverse"}
    assert found.not_checked == {}
    assert found.to_json()["passed"] == [
        "small-ping",
        "full-size-ping",
        "tcp-handshake",
        "tcp-bulk",
        "tcp-bulk-reverse",
    ]


def test_through_vxlan_the_mtu_is_the_tunnels(network):
    network.encapsulate()
    assert check(network.pair(Path.POD_TO_POD, Mode.VXLAN)).path_mtu == 1450
    assert check(network.pair(Path.HOST_TO_POD, Mode.VXLAN)).interface_mtu == 1450


def test_a_smaller_mtu_further_on_is_fine_as_long_as_somebody_says_so(network):
    """A pod's MTU is the minimum over all modes of a cluster: a host's route may well be wider."""
    network.mtu("node2", "cali0", 1400)
    network.mtu("pod2", "eth0", 1400)
    found = check(network.pair(Path.HOST_TO_POD, Mode.BGP))
    assert (found.interface_mtu, found.path_mtu) == (1500, 1400)
    assert found.to_json()["path_mtu"] == 1400


def test_an_mtu_black_hole_passes_the_small_ping_and_is_found_by_the_large_one(network):
    # A veth drops what is larger than its peer's MTU without a word.
    network.mtu("node2", "eth0", 1400)
    problem = lost(network)
    assert problem.symptom == Symptom.FULL_SIZE_PING
    assert problem.what == (
        "a ping of 1500 bytes that must not be fragmented to pod2 (198.19.202.2) got no answer"
    )


@pytest.mark.parametrize(
    ("node", "symptom", "said"),
    [
        ("node2", Symptom.TCP_BULK, "TCP bulk to pod2 (198.19.202.2) stalled: less than 65536 bytes in 5 s"),
        ("node1", Symptom.TCP_BULK_REVERSE, "TCP bulk back from the server"),
    ],
    ids=["forward", "reverse"],
)
def test_a_fault_of_large_tcp_passes_pings_and_handshake_and_is_found_by_bulk(network, node, symptom, said):
    network.hold_large_tcp("router", node)
    problem = lost(network)
    assert problem.symptom == symptom
    assert said in problem.what


def test_a_slow_link_is_slow_and_not_dead(network):
    """4 MB would take it 21 seconds."""
    shaper = ("root", "tbf", "rate", "1600kbit", "burst", "20k", "limit", "200k")
    sh("tc", "-n", network.netns("router"), "qdisc", "add", "dev", "node2", *shaper)
    found = check(network.pair(Path.POD_TO_POD, Mode.BGP))
    assert 16384 <= found.bulk_bytes["forward"] <= 131072


def test_a_firewall_that_lets_only_icmp_pass_is_found_by_the_handshake(network):
    # By number: a minimal Debian has no /etc/protocols to look the name up in.
    network.ip("router", "rule", "add", "ipproto", "6", "pref", "10", "blackhole")
    problem = lost(network)
    assert problem.symptom == Symptom.TCP_HANDSHAKE
    assert "a TCP handshake to pod2 (198.19.202.2) failed: iperf3 says" in problem.what
    assert "refused" not in problem.what


def test_a_firewall_that_refuses_is_told_from_one_that_drops(network):
    network.refuse_tcp("node2")
    problem = lost(network)
    assert problem.symptom == Symptom.TCP_HANDSHAKE
    assert "Connection refused" in problem.what


def test_a_server_that_died_meanwhile_is_no_fault_of_the_network(network):
    pod = network.endpoints["pod2"]
    start = pod.start

    def start_and_kill(argv, *, limit):
        server = start(argv, limit=limit)
        server.wait_for_output("Server listening", deadline=5)
        server.stop()
        return server

    pod.start = start_and_kill
    found = check(network.pair(Path.POD_TO_POD, Mode.BGP))
    assert found.path_mtu == 1500
    assert "pod2: the server of iperf3 died (" in found.not_checked["TCP bulk"]
    assert "refused" in found.not_checked["TCP bulk"]


def test_a_router_that_does_not_know_the_pods_is_quoted(network):
    network.ip("router", "route", "delete", "198.19.202.0/26")
    problem = lost(network)
    assert problem.symptom == Symptom.SMALL_PING
    assert "a small ping to pod2 (198.19.202.2) failed: From 198.18.201.1" in problem.what
    assert "Destination Net Unreachable" in problem.what


def test_a_router_that_drops_pods_silently_leaves_no_words(network):
    network.ip("router", "route", "replace", "blackhole", "198.19.202.0/26")
    assert lost(network, Path.HOST_TO_POD).what == "a small ping to pod2 (198.19.202.2) got no answer"


def test_one_lost_packet_is_no_fault(network):
    """The path is down for the first echo and up again for the second, more patient try."""
    network.ip("router", "route", "replace", "blackhole", "198.19.202.0/26")
    pod = network.endpoints["pod1"]
    run = pod.run

    def run_and_repair(argv, *, limit):
        result = run(argv, limit=limit)
        network.ip("router", "route", "replace", "198.19.202.0/26", "via", "198.18.202.12")
        return result

    pod.run = run_and_repair
    assert check(network.pair(Path.POD_TO_POD, Mode.BGP)).path_mtu == 1500
    pings = [command for command in pod.commands if command[0] == "ping"]
    assert [command[3] for command in pings[:2]] == ["1", "3"]


@pytest.mark.parametrize("end", ["pod1", "pod2"])
def test_without_iperf3_the_rest_is_checked_and_the_gap_is_told(network, end):
    network.endpoints[end].without.add("iperf3")
    found = check(network.pair(Path.POD_TO_POD, Mode.BGP))
    assert found.path_mtu == 1500
    assert found.bulk_bytes == {}
    assert found.to_json()["passed"] == ["small-ping", "full-size-ping"]
    assert end in found.not_checked["TCP bulk"]
    assert "iperf3" in found.not_checked["TCP bulk"]


def test_a_pod_without_ip_knows_its_mtu_from_sys(network):
    network.mtu("pod1", "eth0", 1450)
    network.endpoints["pod1"].without.add("ip")
    assert check(network.pair(Path.POD_TO_POD, Mode.BGP)).interface_mtu == 1450


def test_a_pod_that_cannot_tell_its_mtu_leaves_a_gap_that_is_told(network):
    network.endpoints["pod1"].without |= {"ip", "cat"}
    found = check(network.pair(Path.POD_TO_POD, Mode.BGP))
    assert found.path_mtu is None
    assert "full-size-ping" not in found.passed
    assert "pod1 has neither" in found.not_checked["full-size ping"]


def test_without_ping_it_is_a_tool_problem(network):
    network.endpoints["pod1"].without.add("ping")
    with pytest.raises(ToolProblem, match="pod1: ping is not installed there"):
        check(network.pair(Path.POD_TO_POD, Mode.BGP))


def test_a_healthy_check_costs_no_facts(network):
    check(network.pair(Path.POD_TO_POD, Mode.BGP))
    assert network.host("node1").commands == []
    assert network.host("node2").commands == []
