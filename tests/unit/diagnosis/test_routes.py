"""Routes to the other end's block as both nodes show them: what is named, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_calico_perf.cluster.inspection import BlockState, Look, PoolState
from pytest_calico_perf.diagnosis.finding import Link, State
from pytest_calico_perf.diagnosis.kernel import Neighbour
from pytest_calico_perf.diagnosis.notes import At
from pytest_calico_perf.model import Encapsulation, Mode
from tests.unit.diagnosis.scenes import (
    BLOCKS,
    ENDS,
    NODES,
    bare,
    inside,
    looking,
    node_routes,
    scene,
    seen,
    way,
)
from tests.unit.diagnosis.still import UNSEEN, examine, keys, refused, session, without_routes


@pytest.mark.parametrize("there", [way("default", "198.18.0.1"), refused("Network is unreachable")])
def test_a_missing_route_of_felix(there):
    found = scene()
    notes = examine(replace(found, client=looking(found.client, to_end=seen(there))))
    assert keys(notes) == ["block-route-missing"]
    assert "Felix should have written it on node1" in notes.findings[0].facts
    assert notes.earliest is At.CLIENT_NODE


def test_a_missing_route_of_a_felix_that_is_dead():
    found = scene()
    client = looking(found.client, to_end=seen(way("default", "198.18.0.1")), daemons=seen({"felix": False}))
    assert keys(examine(replace(found, client=client))) == ["felix-dead"]


def test_a_cross_subnet_pool_is_felixs_also_where_it_wraps_nothing():
    found = bare()
    missing = looking(found.client, to_end=seen(way("default", "198.18.0.1")), daemons=seen({"felix": False}))
    pair = replace(found.pair, mode=Mode.VXLAN_CROSS_SUBNET)
    assert keys(examine(replace(found, pair=pair, client=missing))) == ["felix-dead"]


def test_a_missing_route_to_an_address_of_no_pool():
    found = scene()
    client = looking(found.client, to_end=seen(way("default", "198.18.0.1")))
    pools = seen((PoolState("elsewhere", "198.19.100.0/24", Mode.VXLAN),))
    assert keys(examine(replace(found, client=client, pools=pools))) == ["address-outside-pools"]


@pytest.mark.parametrize("owner", ["node3", ""])
def test_a_missing_route_to_a_block_of_another_node(owner):
    found = scene()
    client = looking(found.client, to_end=seen(way("default", "198.18.0.1")))
    blocks = seen((BlockState(BLOCKS["node2"], owner),))
    notes = examine(replace(found, client=client, blocks=blocks))
    assert keys(notes) == ["block-of-another-node"]
    assert (owner or "no node") in notes.findings[0].broken


@pytest.mark.parametrize("why", ["routes are written by nobody", "by bird and felix at once and may flap"])
def test_nobody_is_to_write_the_route(why):
    found = bare()
    client = looking(found.client, to_end=seen(way("default", "198.18.0.1")))
    writers = {Encapsulation.NONE: Look(None, "programClusterRoutes", why)}
    assert keys(examine(replace(found, client=client, writers=writers))) == ["route-writers-disagree"]


@pytest.mark.parametrize("words", ["Invalid argument", "No route to host", "Permission denied"])
def test_a_route_that_refuses(words):
    found = scene()
    hole = {"type": "blackhole", "dst": BLOCKS["node2"]}
    client = looking(found.client, to_end=seen(refused(words)), routes=seen(node_routes("node1", hole)))
    notes = examine(replace(found, client=client))
    assert keys(notes) == ["block-blackholed"]
    assert f"blackhole {BLOCKS['node2']}" in notes.findings[0].broken
    assert any("shadowed" in fact for fact in notes.findings[0].facts)


def test_a_block_of_the_senders_node_is_no_foreign_blackhole():
    found = scene()
    blocks = seen((BlockState(BLOCKS["node2"], "node1"),))
    hole = {"type": "blackhole", "dst": BLOCKS["node2"]}
    client = looking(
        found.client, to_end=seen(refused("Invalid argument")), routes=seen(node_routes("node1", hole))
    )
    assert keys(examine(replace(found, client=client, blocks=blocks))) == ["block-of-another-node"]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (way(BLOCKS["node2"], NODES["node2"], "eth0"), "not through vxlan.calico"),
        (way(BLOCKS["node2"], "198.19.12.128", "vxlan.calico"), f"node2's end is {ENDS['node2']}"),
    ],
)
def test_a_route_that_leads_elsewhere(there, words):
    found = scene()
    notes = examine(replace(found, client=looking(found.client, to_end=seen(there))))
    assert keys(notes) == ["block-route-wrong"]
    assert words in notes.findings[0].broken


def test_a_gateway_on_the_link_that_is_not_the_node_and_answers_nobody():
    found = bare()
    nobody = way(BLOCKS["node2"], "198.18.0.254", "eth0")
    dead = (Neighbour("198.18.0.254", "eth0", "", "FAILED"),)
    client = looking(found.client, to_end=seen(nobody), neighbours=seen(dead))
    notes = examine(replace(found, client=client))
    assert keys(notes) == ["block-route-wrong"]
    assert "nobody answers for 198.18.0.254 on node1" in notes.findings[0].facts


def test_where_the_nodes_are_routed_the_router_is_the_right_gateway():
    found = bare()
    client = looking(
        found.client,
        to_node=seen(way("default", "198.18.0.1")),
        to_end=seen(way(BLOCKS["node2"], "198.18.0.1", protocol="bird")),
    )
    assert keys(examine(replace(found, client=client))) == []


def test_of_current_without_a_pool_no_route_is_judged():
    """Where nobody knows what should be, a default route may well be right: a cloud that routes pods itself."""
    found = replace(bare(), forward=None, backward=None, pools=UNSEEN, blocks=UNSEEN)
    client = looking(found.client, to_end=seen(way("default", "198.18.0.1")))
    assert keys(examine(replace(found, client=client))) == []


def test_a_default_route_will_do_where_pings_are_answered():
    found = replace(scene(), pinged=seen((3, 3)))
    client = looking(found.client, to_end=seen(way("default", "198.18.0.1")))
    assert keys(examine(replace(found, client=client))) == []


def test_a_default_route_will_do_where_the_mesh_is_off_and_a_router_peers():
    """As with BGP to the top of the rack: the router knows the pods, and nodes need not."""
    router = seen((session("198.18.0.1", "Established"),))
    found = without_routes(router, router, mesh=seen(False))
    assert keys(examine(found)) == []
    assert any("a router that peers" in check.says for check in examine(found).checks)


def test_what_cannot_be_seen_is_not_judged_and_said():
    found = scene()
    views = dict.fromkeys(
        (
            "devices",
            "routes",
            "neighbours",
            "forwarding",
            "to_end",
            "to_node",
            "sessions",
            "daemons",
            "sysctls",
        ),
        UNSEEN,
    )
    pod = dict.fromkeys(("devices", "routes", "neighbours"), UNSEEN)
    client = inside(looking(found.client, **views), **pod)
    notes = examine(replace(found, client=client))
    assert keys(notes) == []
    unseen = {check.link for check in notes.checks if check.state is State.NOT_SEEN}
    assert {Link.POD, Link.ROUTE, Link.TUNNEL, Link.FILTER} <= unseen
    assert all(check.says for check in notes.checks if check.state is State.NOT_SEEN)
