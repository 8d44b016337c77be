from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.routes import Route, route_to
from pytest_calico_perf.errors import ToolProblem, Unreachable


def test_a_route_says_prefix_gateway_device_writer_and_device_mtu(network):
    network.mtu("node1", "eth0", 1400)
    route = route_to(network.host("node1"), "198.19.202.2")
    assert route == Route("198.19.202.0/26", "eth0", "198.18.201.1", "bird", 1400)
    assert str(route) == "198.19.202.0/26 via 198.18.201.1 dev eth0 proto bird mtu 1400"


def test_a_route_on_the_link_has_no_gateway(network):
    assert route_to(network.host("node1"), "198.18.201.1").gateway == ""


def test_a_route_nobody_signed_says_nothing_of_its_writer(network):
    route = route_to(network.host("node1"), "198.18.202.12")
    assert str(route) == "default via 198.18.201.1 dev eth0 mtu 1500"


def test_the_mtu_of_a_route_beats_that_of_its_device(network):
    network.ip("node1", "route", "replace", "198.19.202.0/26", "via", "198.18.201.1", "mtu", "1420")
    assert route_to(network.host("node1"), "198.19.202.2").mtu == 1420


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_a_route_that_refuses_is_none(network, kind):
    network.ip("node1", "route", "replace", kind, "198.19.202.0/26")
    with pytest.raises(Unreachable, match=r"node1: no usable route to 198\.19\.202\.2 \(RTNETLINK answers"):
        route_to(network.host("node1"), "198.19.202.2")


def test_no_route_at_all(network):
    network.ip("node1", "route", "delete", "198.19.202.0/26")
    network.ip("node1", "route", "delete", "default")
    with pytest.raises(Unreachable, match="Network is unreachable"):
        route_to(network.host("node1"), "198.19.202.2")


def test_a_node_without_ip_is_a_tool_problem(network):
    network.host("node1").without.add("ip")
    with pytest.raises(ToolProblem, match="ip is not installed there"):
        route_to(network.host("node1"), "198.19.202.2")
