"""Whether the nodes reach each other, and whether a third has one's address."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_calico_perf.cluster.inspection import NodeState
from pytest_calico_perf.diagnosis import underlay
from pytest_calico_perf.diagnosis.finding import Link, State
from pytest_calico_perf.diagnosis.kernel import Neighbour
from pytest_calico_perf.diagnosis.looks import Looks
from pytest_calico_perf.diagnosis.notes import Notes
from pytest_calico_perf.diagnosis.scene import Scene
from tests.unit.diagnosis.scenes import NODES, Telling, World, looking, pods, scene, seen, way

THIRD = "6e:00:00:00:00:03"


def examine(found: Scene) -> Notes:
    notes = Notes()
    underlay.look(found, Looks(30), notes)
    return notes


def keys(notes: Notes) -> list[str]:
    return [finding.fault.key for finding in notes.findings]


def with_third(found: Scene, *addresses: str) -> Scene:
    """The same in a cluster with a third node, whose eth0 has these addresses."""
    eth0 = {
        "ifname": "eth0",
        "ifindex": 2,
        "mtu": 1500,
        "flags": ["UP", "LOWER_UP"],
        "address": THIRD,
        "addr_info": [{"family": "inet", "local": address} for address in addresses],
    }
    third = Telling("node3", "node3", says={"ip": (0, json.dumps([eth0]), "")})
    nodes = (*(found.nodes.value or ()), NodeState("node3", "198.18.0.4"))
    return replace(found, cluster=World(*pods(), hosts={"node3": third}), nodes=seen(nodes))


def test_nodes_that_answer_each_other_are_well():
    notes = examine(with_third(scene(), "198.18.0.4"))
    assert keys(notes) == []
    assert [(check.link, check.state) for check in notes.checks] == [(Link.UNDERLAY, State.OK)]


def test_a_third_node_with_an_address_of_ours():
    notes = examine(with_third(scene(), "198.18.0.4", NODES["node2"]))
    assert keys(notes) == ["duplicate-node-address"]
    assert notes.findings[0].broken == f"node2 and node3 have one address: {NODES['node2']}"


def test_a_third_node_that_answers_pings_in_anothers_stead_is_found_by_asking_it():
    found = with_third(replace(scene(), pinged=seen((3, 3))), "198.18.0.4", NODES["node2"])
    assert keys(examine(found)) == [], "where pings are answered the other nodes are not asked"
    notes = Notes()
    assert underlay.duplicates(found, Looks(30), notes)
    assert keys(notes) == ["duplicate-node-address"]


def test_a_neighbour_entry_that_leads_to_a_third_node():
    found = scene()
    stolen = (Neighbour(NODES["node2"], "eth0", THIRD, "REACHABLE"),)
    notes = examine(with_third(replace(found, client=looking(found.client, neighbours=seen(stolen)))))
    assert keys(notes) == ["duplicate-node-address"]
    assert THIRD in notes.findings[0].facts[0]


def test_two_nodes_to_which_calico_gave_one_address():
    nodes = seen((NodeState("node1", NODES["node1"]), NodeState("node2", NODES["node1"])))
    assert keys(examine(replace(scene(), nodes=nodes))) == ["duplicate-node-address"]


def test_an_unknown_hardware_address_is_not_taken_for_another_node():
    """Clouds answer ARP in everybody's place, with an address of their own."""
    found = scene()
    clouds = (Neighbour(NODES["node2"], "eth0", "12:34:56:78:9a:bc", "REACHABLE"),)
    assert (
        keys(examine(with_third(replace(found, client=looking(found.client, neighbours=seen(clouds)))))) == []
    )


@pytest.mark.parametrize("state", ["FAILED", "INCOMPLETE"])
def test_a_router_nobody_answers_for(state):
    found = replace(scene(), nodes_pinged=seen((0, 3)))
    dead = (Neighbour("198.18.0.1", "eth0", "", state),)
    client = looking(found.client, neighbours=seen(dead), to_node=seen(way("default", "198.18.0.1")))
    notes = examine(replace(found, client=client))
    assert keys(notes) == ["next-hop-unresolved"]
    assert "nobody answers for 198.18.0.1, by which node1 reaches node2" in notes.findings[0].broken


def test_where_nobody_can_try_nobody_says_that_it_is_down():
    notes = examine(replace(scene(), nodes_pinged=seen((0, 3))))
    assert keys(notes) == []
    assert [check.state for check in notes.checks] == [State.NOT_SEEN]


def test_on_one_node_there_is_none():
    found = scene()
    notes = examine(replace(found, server=replace(found.server, node="node1")))
    assert notes.checks == ()
