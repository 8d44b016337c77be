"""Pods, routes, tunnels, entries and BGP as both ends show them: what is named, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_calico_perf.cluster.inspection import BlockState, Look, NodeState, PoolState, SessionState
from pytest_calico_perf.diagnosis import bgp, filters, pods, routes
from pytest_calico_perf.diagnosis.finding import Link, State
from pytest_calico_perf.diagnosis.kernel import Device, Neighbour
from pytest_calico_perf.diagnosis.kernel import routes as read_routes
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Scene, Way
from pytest_calico_perf.model import Encapsulation, Mode
from tests.unit.diagnosis.scenes import (
    BLOCKS,
    ENDS,
    MACS,
    NODES,
    PODS,
    VETHS,
    bare,
    inside,
    looking,
    node_devices,
    node_routes,
    scene,
    seen,
    way,
)

UNSEEN: Look = Look(None, "", "it is not permitted")


def examine(found: Scene) -> Notes:
    """All that is decided without sending a packet."""
    notes = Notes()
    pods.look(found, notes)
    filters.look(found, notes)
    routes.look(found, notes)
    return notes


def keys(notes: Notes) -> list[str]:
    return [finding.fault.key for finding in notes.findings]


def down(devices: dict[str, Device], name: str) -> dict[str, Device]:
    return devices | {name: replace(devices[name], up=False, admin_up=False)}


def refused(words: str) -> Way:
    return Way(None, f"RTNETLINK answers: {words}")


@pytest.mark.parametrize("whole", [scene, bare])
def test_of_a_whole_path_nothing_is_found_and_every_link_is_noted(whole: Callable[[], Scene]):
    notes = examine(whole())
    assert keys(notes) == []
    assert {check.state for check in notes.checks} == {State.OK}
    assert {Link.POD, Link.ROUTE, Link.FILTER} <= {check.link for check in notes.checks}


# -- pods ------------------------------------------------------------------------------------------


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


# -- routes ----------------------------------------------------------------------------------------


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


# -- tunnels and VXLAN's entries -------------------------------------------------------------------


@pytest.mark.parametrize("node", ["node1", "node2"])
def test_a_tunnel_that_is_down_explains_its_missing_routes(node):
    found = scene()
    gone = seen(way("default", "198.18.0.1"))
    devices = seen(down(node_devices(node), "vxlan.calico"))
    if node == "node1":
        found = replace(found, client=looking(found.client, devices=devices, to_end=gone))
    else:
        found = replace(found, server=looking(found.server, devices=devices, to_end=gone))
    notes = examine(found)
    assert keys(notes) == ["tunnel-device-down"]
    assert node in notes.findings[0].broken


def test_a_tunnel_without_address():
    found = scene()
    devices = node_devices("node1")
    devices["vxlan.calico"] = replace(devices["vxlan.calico"], addresses=())
    gone = seen(way("default", "198.18.0.1"))
    client = looking(found.client, devices=seen(devices), to_end=gone)
    assert keys(examine(replace(found, client=client))) == ["tunnel-address-missing"]


@pytest.mark.parametrize("change", [{"port": 8472}, {"vni": 1}])
def test_vxlan_ends_that_do_not_fit(change):
    found = scene()
    devices = node_devices("node2")
    devices["vxlan.calico"] = replace(devices["vxlan.calico"], **change)
    notes = examine(replace(found, server=looking(found.server, devices=seen(devices))))
    assert keys(notes) == ["vxlan-parameters-differ"]


STRANGER = "02:00:00:00:00:99"
END = ENDS["node2"]


@pytest.mark.parametrize(
    ("entries", "forwarding", "key"),
    [
        ((), {MACS["node2"]: NODES["node2"]}, "vxlan-entry-missing"),
        (
            (Neighbour(END, "vxlan.calico", "", "FAILED"),),
            {MACS["node2"]: NODES["node2"]},
            "vxlan-entry-missing",
        ),
        ((Neighbour(END, "vxlan.calico", MACS["node2"], "PERMANENT"),), {}, "vxlan-entry-missing"),
        (
            (Neighbour(END, "vxlan.calico", STRANGER, "PERMANENT"),),
            {STRANGER: NODES["node2"]},
            "vxlan-wrong-mac",
        ),
        ((Neighbour(END, "vxlan.calico", STRANGER, "PERMANENT"),), {}, "vxlan-wrong-mac"),
        (
            (Neighbour(END, "vxlan.calico", MACS["node2"], "PERMANENT"),),
            {MACS["node2"]: "198.18.0.4"},
            "vxlan-wrong-mac",
        ),
    ],
)
def test_entries_of_vxlan(entries, forwarding, key):
    found = scene()
    client = looking(found.client, neighbours=seen(entries), forwarding=seen(forwarding))
    assert keys(examine(replace(found, client=client))) == [key]


def test_where_ebpf_tells_vxlan_where_to_send_there_are_no_entries():
    found = scene()
    devices = node_devices("node1")
    devices["vxlan.calico"] = replace(devices["vxlan.calico"], by_flow=True)
    client = looking(found.client, neighbours=seen(()), forwarding=seen({}), devices=seen(devices))
    assert keys(examine(replace(found, client=client))) == []


# -- BGP -------------------------------------------------------------------------------------------


def session(peer: str, state: str, info: str = "") -> SessionState:
    return SessionState(
        NODES.get(peer, peer), peer if peer in NODES else "", state == "Established", state, info
    )


def without_routes(one: Look, two: Look, *, mesh: Look, missing: bool = True) -> Scene:
    """Both nodes' sessions, with no routes between them."""
    found = bare()
    gone = {"to_end": seen(way("default", "198.18.0.1"))} if missing else {}
    return replace(
        found,
        client=looking(found.client, sessions=one, **gone),
        server=looking(found.server, sessions=two, **gone),
        mesh=mesh,
    )


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
