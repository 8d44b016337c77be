"""BGP sessions as both their ends show them: what is named, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_calico_perf.cluster.inspection import Look, NodeState, SessionState
from pytest_calico_perf.diagnosis import bgp
from pytest_calico_perf.diagnosis.notes import At
from tests.unit.diagnosis.scenes import (
    NODES,
    PODS,
    inside,
    looking,
    scene,
    seen,
    way,
)
from tests.unit.diagnosis.still import UNSEEN, examine, keys, session, without_routes

STRAY = SessionState("198.18.0.4", "node3", True, "Established")


@pytest.mark.parametrize(
    ("one", "two", "mesh", "key"),
    [
        ([session("node2", "Active"), STRAY], [session("node1", "Connect"), STRAY], True, "bgp-port-blocked"),
        (
            [session("node2", "Active", "Socket: Connection refused")],
            [session("node1", "Idle")],
            True,
            "bgp-port-blocked",
        ),
        (
            [session("node2", "Active")],
            [session("node1", "Idle", "Error: Bad peer AS")],
            True,
            "bgp-wrong-as",
        ),
        (
            [session("node2", "Idle", "Received: Bad peer AS")],
            [session("node1", "OpenSent")],
            True,
            "bgp-wrong-as",
        ),
        ([session("node2", "Active"), STRAY], [session("node1", "down"), STRAY], True, "bgp-session-missing"),
        ([session("node2", "Active"), STRAY], [STRAY], True, "bgp-session-missing"),
        ([STRAY], [STRAY], True, "bgp-session-missing"),
        ([], [], True, "bgp-mesh-off"),
        ([], [], False, "bgp-mesh-off"),
    ],
)
def test_why_there_is_no_session(one, two, mesh, key):
    notes = examine(without_routes(seen(tuple(one)), seen(tuple(two)), mesh=seen(mesh)))
    assert keys(notes) == [key]
    assert any("has no route to" in fact for fact in notes.findings[0].facts), (
        "missing routes are facts of it"
    )
    assert notes.earliest is At.CLIENT_NODE


@pytest.mark.parametrize("why", ["bird", "route reflectors"])
def test_sessions_that_are_well_leave_a_missing_route_to_whoever_writes_it(why):
    well = seen((session("node2", "Established"),)), seen((session("node1", "Established"),))
    reflected = seen((STRAY,)), seen((STRAY,))
    one, two = well if why == "bird" else reflected
    found = without_routes(one, two, mesh=seen(why == "bird"))
    expected = ["block-route-missing", "block-route-missing"] if why == "bird" else ["bgp-session-missing"]
    assert keys(examine(found)) == expected


def test_one_end_that_can_be_seen_is_enough():
    found = without_routes(seen((session("node2", "Idle", "Error: Bad peer AS"),)), UNSEEN, mesh=UNSEEN)
    assert keys(examine(found)) == ["bgp-wrong-as"]


def test_a_session_that_fell_while_its_routes_live_on_is_named_and_stops_nothing():
    down = seen((session("node2", "Active"),)), seen((session("node1", "Connect"),))
    notes = examine(without_routes(*down, mesh=seen(True), missing=False))
    assert keys(notes) == ["bgp-port-blocked"]
    assert notes.earliest is At.NOWHERE


def test_route_reflectors_need_no_session_of_the_two_nodes():
    found = without_routes(seen((STRAY,)), seen((STRAY,)), mesh=seen(False), missing=False)
    assert keys(examine(found)) == []


def test_a_dead_bird():
    found = without_routes(seen((session("node2", "Active"),)), UNSEEN, mesh=seen(True))
    server = looking(found.server, daemons=Look({"bird": False}, "the process list of node2"))
    notes = examine(replace(found, server=server))
    assert keys(notes) == ["bird-dead"]
    assert notes.findings[0].broken == "BIRD does not run on node2"


def test_what_bird_does_is_nothing_to_a_pool_of_felixs():
    found = scene()
    client = looking(found.client, sessions=seen(()), daemons=seen({"bird": False}))
    assert keys(examine(replace(found, client=client))) == []
    assert not set(keys(examine(found))) & set(bgp.FAULTS)


def test_two_faults_that_stand_still_are_both_named_in_the_order_of_the_chain():
    found = without_routes(seen((STRAY,)), seen((STRAY,)), mesh=seen(True))
    notes = examine(replace(found, server=inside(found.server, routes=seen(()))))
    assert keys(notes) == ["pod-without-route", "bgp-session-missing"]


def test_names_and_addresses_are_in_the_words():
    found = scene()
    notes = examine(replace(found, client=looking(found.client, to_end=seen(way("default", "198.18.0.1")))))
    sentence = notes.findings[0].broken
    assert PODS["node2"] in sentence
    assert "node1" in sentence


def test_nodes_with_numbers_of_their_own_are_told():
    found = without_routes(
        seen((session("node2", "Idle", "Bad peer AS"),)), seen((session("node1", "Idle"),)), mesh=seen(True)
    )
    state = NodeState("node2", NODES["node2"], as_number=65099)
    notes = examine(replace(found, server=replace(found.server, state=state)))
    assert "node2 has AS 65099 of its own" in notes.findings[0].facts
