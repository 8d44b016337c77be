from __future__ import annotations

import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.reachability import BULK_BYTES, check


def refused(network, path=Path.POD_TO_POD, mode=Mode.BGP) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        check(network, network.pair(path, mode))
    return caught.value


@pytest.mark.parametrize(
    "path", [Path.HOST_TO_HOST, Path.HOST_TO_POD, Path.POD_TO_HOST, Path.POD_TO_POD], ids=str
)
def test_a_healthy_path_passes_with_its_mtu_and_bytes(network, path):
    found = check(network, network.pair(path, Mode.BGP if path.has_mode else None))
    assert (found.interface_mtu, found.path_mtu) == (1500, 1500)
    # iperf3's server stops reading when the client says it has sent all: the tail may be missing.
    assert all(BULK_BYTES // 4 <= brought <= 2 * BULK_BYTES for brought in found.bulk_bytes.values())
    assert set(found.bulk_bytes) == {"forward", "reverse"}
    assert found.not_checked == {}


def test_through_vxlan_the_mtu_is_the_tunnels(network):
    network.encapsulate()
    assert check(network, network.pair(Path.POD_TO_POD, Mode.VXLAN)).path_mtu == 1450
    assert check(network, network.pair(Path.HOST_TO_POD, Mode.VXLAN)).interface_mtu == 1450


def test_a_smaller_mtu_further_on_is_fine_as_long_as_somebody_says_so(network):
    """A pod's MTU is the minimum over all modes of a cluster: a host's route may well be wider."""
    network.mtu("node2", "cali0", 1400)
    network.mtu("pod2", "eth0", 1400)
    found = check(network, network.pair(Path.HOST_TO_POD, Mode.BGP))
    assert (found.interface_mtu, found.path_mtu) == (1500, 1400)
    assert found.to_json()["path_mtu"] == 1400


def test_an_mtu_black_hole_passes_the_small_ping_and_is_found_by_the_large_one(network):
    # A veth drops what is larger than its peer's MTU without a word.
    network.mtu("node2", "eth0", 1400)
    problem = refused(network, Path.POD_TO_POD)
    assert problem.where == "pod1"
    assert (
        "a ping of 1500 bytes that must not be fragmented to pod2 (198.19.202.2) got no answer"
        in problem.what
    )
    assert "node2 itself answers node1" in problem.what
    assert "lower the MTU of the pods" in problem.remedy


@pytest.mark.parametrize(
    ("node", "said"), [("node2", "TCP bulk to pod2"), ("node1", "TCP bulk from server to client")]
)
def test_a_fault_of_large_tcp_passes_both_pings_and_is_found_by_bulk(network, node, said):
    network.hold_large_tcp("router", node)
    problem = refused(network)
    assert said in problem.what
    assert "198.19.202.0/26 via 198.18.201.1 dev eth0 proto bird" in problem.what
    assert "ethtool -K eth0 tx-checksum-ip-generic off" in problem.remedy


def test_a_firewall_that_lets_only_icmp_pass_is_found_by_bulk(network):
    # By number: a minimal Debian has no /etc/protocols to look the name up in.
    network.ip("router", "rule", "add", "ipproto", "6", "pref", "10", "blackhole")
    problem = refused(network)
    assert "TCP bulk to pod2 (198.19.202.2) failed: iperf3 says" in problem.what
    assert "firewall that lets only ICMP pass" in problem.remedy


def test_a_router_that_does_not_know_the_pods_is_named_with_the_modes_that_would_work(network):
    network.ip("router", "route", "delete", "198.19.202.0/26")
    problem = refused(network)
    assert "a small ping to pod2 (198.19.202.2) failed: From 198.18.201.1" in problem.what
    assert "Destination Net Unreachable" in problem.what
    assert "node1 routes it by 198.19.202.0/26 via 198.18.201.1 dev eth0 proto bird" in problem.what
    assert "node2 itself answers node1" in problem.what
    assert "does not carry pod addresses" in problem.remedy
    assert "ipip, vxlan, ipip-cross-subnet" in problem.remedy


def test_a_router_that_drops_pods_silently_gets_the_same_remedy(network):
    network.ip("router", "route", "replace", "blackhole", "198.19.202.0/26")
    problem = refused(network, Path.HOST_TO_POD)
    assert "got no answer" in problem.what
    assert "BGP peering with the nodes" in problem.remedy


def test_a_missing_route_points_at_bgp_and_felix(network):
    network.ip("node1", "route", "replace", "blackhole", "198.19.202.0/26")
    problem = refused(network)
    assert "node1 has no usable route to 198.19.202.2" in problem.what
    assert "birdcl show protocols" in problem.remedy


def test_a_tunnel_whose_packets_are_dropped_points_at_its_port(network):
    network.encapsulate()
    network.ip("router", "rule", "add", "ipproto", "17", "pref", "10", "blackhole")
    problem = refused(network, mode=Mode.VXLAN)
    assert "dev vxlan.calico" in problem.what
    assert problem.remedy == "let UDP port 4789 pass between the nodes"


def test_nodes_that_do_not_reach_each_other_come_first(network):
    network.ip("node2", "link", "set", "eth0", "down")
    problem = refused(network)
    assert "node2 itself does not answer node1" in problem.what
    assert "make the nodes reach each other first" in problem.remedy


def test_a_dead_pod_is_told_from_a_broken_path(network):
    network.ip("pod2", "link", "set", "eth0", "down")
    problem = refused(network)
    assert "pod2 does not even answer its own node" in problem.what
    assert "look at pod2" in problem.remedy


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
    assert check(network, network.pair(Path.POD_TO_POD, Mode.BGP)).path_mtu == 1500
    pings = [command for command in pod.commands if command[0] == "ping"]
    assert [command[3] for command in pings[:2]] == ["1", "3"]


def test_a_server_that_is_not_done_with_its_last_client_is_no_fault(network):
    """On a busy machine that takes its time: here another client has the server when it is asked first."""
    pod, other = network.endpoints["pod1"], network.endpoints["node1"]
    run, refused_once = pod.run, []

    def run_beside_another(argv, *, limit):
        if argv[0] != "iperf3" or refused_once:
            return run(argv, limit=limit)
        port = argv[argv.index("-p") + 1]
        with other.start(["iperf3", "-c", argv[2], "-p", port, "-t", "30", "--forceflush"], limit=40) as busy:
            busy.wait_for_output("connected to", deadline=5)
            refused_once.append(run(argv, limit=limit))
        return refused_once[0]

    pod.run = run_beside_another
    found = check(network, network.pair(Path.POD_TO_POD, Mode.BGP))
    assert "busy" in refused_once[0].stdout
    assert set(found.bulk_bytes) == {"forward", "reverse"}


@pytest.mark.parametrize("end", ["pod1", "pod2"])
def test_without_iperf3_the_rest_is_checked_and_the_gap_is_told(network, end):
    network.endpoints[end].without.add("iperf3")
    found = check(network, network.pair(Path.POD_TO_POD, Mode.BGP))
    assert found.path_mtu == 1500
    assert found.bulk_bytes == {}
    assert end in found.not_checked["TCP bulk"]
    assert "iperf3" in found.not_checked["TCP bulk"]


def test_a_pod_without_ip_knows_its_mtu_from_sys(network):
    network.mtu("pod1", "eth0", 1450)
    network.endpoints["pod1"].without.add("ip")
    assert check(network, network.pair(Path.POD_TO_POD, Mode.BGP)).interface_mtu == 1450


def test_a_pod_that_cannot_tell_its_mtu_leaves_a_gap_that_is_told(network):
    network.endpoints["pod1"].without |= {"ip", "cat"}
    found = check(network, network.pair(Path.POD_TO_POD, Mode.BGP))
    assert found.path_mtu is None
    assert "pod1 has neither" in found.not_checked["full-size ping"]


def test_without_ping_it_is_a_tool_problem(network):
    network.endpoints["pod1"].without.add("ping")
    with pytest.raises(ToolProblem, match="pod1: ping is not installed there"):
        check(network, network.pair(Path.POD_TO_POD, Mode.BGP))


def test_facts_that_cannot_be_had_leave_gaps_and_no_second_failure(network):
    network.ip("router", "route", "delete", "198.19.202.0/26")
    network.host("node1").without |= {"ip", "ping"}
    problem = refused(network)
    assert "Destination Net Unreachable" in problem.what
    assert "itself" not in problem.what


def test_a_healthy_check_costs_no_facts(network):
    check(network, network.pair(Path.POD_TO_POD, Mode.BGP))
    assert network.host("node1").commands == []
    assert network.host("node2").commands == []
