"""Pods, their links and what does not forward, as both ends show them: what is named, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_calico_perf.diagnosis.finding import Link, State
from pytest_calico_perf.diagnosis.kernel import Neighbour
from pytest_calico_perf.diagnosis.kernel import routes as read_routes
from pytest_calico_perf.diagnosis.notes import At
from pytest_calico_perf.diagnosis.scene import Scene
from tests.unit.diagnosis.scenes import (
    BLOCKS,
    VETHS,
    bare,
    inside,
    looking,
    node_devices,
    node_routes,
    scene,
    seen,
)
from tests.unit.diagnosis.still import down, examine, keys


@pytest.mark.parametrize("whole", [scene, bare])
def test_of_a_whole_path_nothing_is_found_and_every_link_is_noted(whole: Callable[[], Scene]):
    notes = examine(whole())
    assert keys(notes) == []
    assert {check.state for check in notes.checks} == {State.OK}
    assert {Link.POD, Link.ROUTE, Link.FILTER} <= {check.link for check in notes.checks}


def test_a_pod_whose_link_is_down():
    found = scene()
    eth0 = replace(found.server.pod.devices.value["eth0"], up=False, admin_up=False)
    broken = replace(found, server=inside(found.server, devices=seen({"eth0": eth0}), routes=seen(())))
    assert keys(examine(broken)) == ["pod-link-down"], "that it has no route follows from it"


def test_the_nodes_end_of_a_pods_link_is_down():
    found = scene()
    eth0 = replace(found.server.pod.devices.value["eth0"], up=False)  # no carrier, but set up
    devices = down(node_devices("node2"), VETHS["node2"])
    server = inside(looking(found.server, devices=seen(devices)), devices=seen({"eth0": eth0}))
    notes = examine(replace(found, server=server))
    assert keys(notes) == ["pod-link-down"]
    assert VETHS["node2"] in notes.findings[0].broken


def test_a_pod_without_its_address():
    found = scene()
    eth0 = replace(found.client.pod.devices.value["eth0"], addresses=("198.19.12.17",))
    notes = examine(replace(found, client=inside(found.client, devices=seen({"eth0": eth0}))))
    assert keys(notes) == ["pod-without-address"]
    assert "198.19.12.17" in notes.findings[0].facts[0]


@pytest.mark.parametrize(
    "has", [[], [{"dst": "169.254.1.1", "dev": "eth0"}], [{"type": "unreachable", "dst": "default"}]]
)
def test_a_pod_without_a_route(has):
    found = scene()
    server = inside(found.server, routes=seen(read_routes(json.dumps(has))))
    notes = examine(replace(found, server=server))
    assert keys(notes) == ["pod-without-route"]
    assert notes.earliest is At.SERVER


def silent_gateway(sysctls: dict[str, str]) -> Scene:
    found = scene()
    dead = (Neighbour("169.254.1.1", "eth0", "", "FAILED"),)
    server = looking(inside(found.server, neighbours=seen(dead)), sysctls=seen(sysctls))
    return replace(found, server=server)


def test_a_gateway_nobody_answers_for():
    veth = VETHS["node2"]
    notes = examine(silent_gateway({"net/ipv4/ip_forward": "1", f"net/ipv4/conf/{veth}/proxy_arp": "0"}))
    assert keys(notes) == ["pod-gateway-silent"]
    assert f"proxy_arp of {veth} on node2 is 0" in notes.findings[0].facts


def test_a_node_that_does_not_forward_answers_for_no_gateway_either():
    assert keys(examine(silent_gateway({"net/ipv4/ip_forward": "0"}))) == ["forwarding-off"]


@pytest.mark.parametrize("device", ["eth0", VETHS["node2"]])
def test_a_device_that_does_not_forward(device):
    found = scene()
    sysctls = {"net/ipv4/ip_forward": "1", f"net/ipv4/conf/{device}/forwarding": "0"}
    notes = examine(replace(found, server=looking(found.server, sysctls=seen(sysctls))))
    assert keys(notes) == ["forwarding-off"]
    assert device in notes.findings[0].broken


def test_a_node_that_does_not_know_its_pod():
    found = scene()
    without = tuple(route for route in node_routes("node2") if route.device != VETHS["node2"])
    notes = examine(replace(found, server=looking(found.server, routes=seen(without))))
    assert keys(notes) == ["pod-route-missing-on-node"]
    assert f"blackhole {BLOCKS['node2']} proto 80" in notes.findings[0].facts[0]
