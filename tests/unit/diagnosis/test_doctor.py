"""A diagnosis of what cannot be seen at all, its deadline, its order, and which modes it says would work."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.diagnosis import diagnose, working
from pytest_calico_perf.diagnosis.faults import FAULTS
from pytest_calico_perf.diagnosis.finding import State
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen, Question
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Scene
from pytest_calico_perf.errors import ApiProblem, ToolProblem, Unreachable
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path
from tests.unit.diagnosis.scenes import Silent, Telling, World, bare, looking, pods, scene, seen, way

PROBLEM = Unreachable("a small ping got no answer", where="pod a", symptom="small-ping")


@pytest.mark.parametrize("path", [Path.POD_TO_POD, Path.HOST_TO_HOST, Path.POD_TO_SERVICE])
@pytest.mark.parametrize(
    "hosts", [{}, {"node1": Silent("node1", "node1"), "node2": Silent("node2", "node2")}]
)
def test_of_a_cluster_that_answers_nothing_nothing_is_found_and_all_is_said(path, hosts):
    one, two = pods()
    if path is Path.HOST_TO_HOST:
        one, two = (Silent(name, name, EndpointKind.HOST) for name in ("node1", "node2"))
    mode = Mode.BGP if path.has_mode else None
    world = World(one, two, hosts)
    found = diagnose(world, EndpointPair(path, mode, one, two), PROBLEM)
    assert found.findings == ()
    assert found.works == ()
    assert {check.state for check in found.checks} == {State.NOT_SEEN}
    assert found.not_seen
    assert found.sentence == "a small ping got no answer; every link that could be looked at is whole"
    assert (found.symptom, found.said) == ("small-ping", "a small ping got no answer")
    assert json.loads(json.dumps(found.to_json()))["findings"] == []


@pytest.mark.parametrize("garbage", ["", "nonsense", "[1, 2]", '[{"dst": 7}]', "{}", '[{"mtu": "x"}]'])
def test_of_tools_that_print_nonsense_nothing_is_found(garbage):
    says = dict.fromkeys(("ip", "bridge", "ping", "cat", "grep", "nft"), (0, garbage, ""))
    ends = [Telling(name, name, EndpointKind.HOST, says=says) for name in ("node1", "node2")]
    world = World(*ends, hosts={end.name: end for end in ends}, wraps=Encapsulation.NONE)
    assert diagnose(world, world.pair(Path.HOST_TO_HOST, None), PROBLEM).findings == ()


def test_commands_are_kept_with_their_output_once_each():
    looks = Looks(20)
    end = Telling(says={"ip": (0, "[]", ""), "cat": (1, "", "no such file")})
    for argv in (["ip", "link"], ["cat", "x"], ["ip", "link"]):
        looks.run(end, argv)
    assert [(ran.argv, ran.times, ran.exit_code) for ran in looks.commands] == [
        (("ip", "link"), 2, 0),
        (("cat", "x"), 1, 1),
    ]
    assert looks.commands[1].output == "no such file"


def test_when_no_time_is_left_nothing_more_is_run():
    end = Telling(says={"ip": (0, "[]", "")})
    with pytest.raises(NotSeen, match="ran out"):
        Looks(0.1).run(end, ["ip", "link"])
    assert end.asked == []


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, 3), (1.1, 1)])
def test_who_was_waited_for_in_vain_is_not_asked_again(seconds, asked):
    class Away(Telling):
        def run(self, argv, *, limit):
            self.asked.append(argv)
            time.sleep(seconds)
            raise ApiProblem("the connection broke")

    looks, away = Looks(20), Away()
    for _ in range(3):
        with pytest.raises(NotSeen, match="cannot be asked: the connection broke"):
            looks.run(away, ["ip", "link"])
    assert len(away.asked) == asked


def test_a_question_that_fails_leaves_the_others_alone():
    def fails() -> object:
        raise ToolProblem("ip printed nonsense")

    good, bad = Looks(20).all([Question("good", lambda: 1), Question("bad", fails)])
    assert (good.value, bad.value, bad.why_not) == (1, None, "ip printed nonsense")


# -- notes -----------------------------------------------------------------------------------------


def test_findings_come_in_the_order_of_the_chain_whatever_the_order_they_were_made_in():
    notes = Notes()
    notes.find("mtu-black-hole", "", "large ones vanish")
    notes.find("block-route-missing", "node2", "no route", at=At.SERVER_NODE_BACK)
    notes.find("block-route-missing", "node1", "no route", at=At.CLIENT_NODE)
    notes.find("pod-link-down", "pod a", "down", at=At.CLIENT)
    assert [finding.fault.key for finding in notes.findings] == [
        "pod-link-down",
        "block-route-missing",
        "block-route-missing",
        "mtu-black-hole",
    ]
    assert notes.earliest is At.CLIENT
    assert [check.where for check in notes.checks] == ["pod a", "node2", "node1", ""]


def test_the_same_fault_at_the_same_place_is_one_finding_with_all_facts():
    notes = Notes()
    notes.find("tunnel-device-down", "node1", "tunl0 is down", "seen from here", at=At.CLIENT_NODE_BACK)
    notes.find("tunnel-device-down", "node1", "tunl0 is down", "seen from there", at=At.CLIENT_NODE)
    (finding,) = notes.findings
    assert finding.facts == ("seen from here", "seen from there")
    assert notes.earliest is At.CLIENT_NODE


# -- modes that would work -------------------------------------------------------------------------


def would_work(found: Scene, *faults: str) -> list[str]:
    notes = Notes()
    for key in faults:
        notes.find(key, "", key)
    return [str(mode) for mode in working.works(found, Looks(20), notes)]


def routed(found: Scene) -> Scene:
    """The same with a router between the nodes."""
    return replace(found, client=looking(found.client, to_node=seen(way("default", "198.18.0.1"))))


@pytest.mark.parametrize(
    ("found", "faults", "modes"),
    [
        (bare(), ["pod-addresses-dropped"], ["ipip", "vxlan"]),
        (bare(), ["pod-addresses-dropped-one-way"], ["ipip", "vxlan"]),
        (
            routed(bare()),
            ["router-without-pod-routes"],
            ["ipip", "ipip-cross-subnet", "vxlan", "vxlan-cross-subnet"],
        ),
        (bare(), ["bgp-port-blocked"], ["vxlan", "vxlan-cross-subnet"]),
        (scene(), ["vxlan-dropped"], ["bgp", "ipip", "ipip-cross-subnet", "vxlan-cross-subnet"]),
        (routed(scene()), ["vxlan-dropped"], ["ipip", "ipip-cross-subnet"]),
        (scene(Mode.IPIP, Encapsulation.IPIP), ["ipip-dropped"], ["bgp", "ipip-cross-subnet", "vxlan", "vxlan-cross-subnet"]),
        (scene(), ["tunnel-device-down"], ["bgp", "ipip", "ipip-cross-subnet", "vxlan-cross-subnet"]),
        # A host's answers are wrapped, and the questions are not: that stops nobody else who wraps nothing.
        (replace(scene(), forward=Encapsulation.NONE), ["tunnel-device-down"], ["bgp", "ipip", "ipip-cross-subnet", "vxlan-cross-subnet"]),
        (bare(), ["pod-addresses-dropped", "bgp-port-blocked"], ["vxlan"]),
        (bare(), ["pod-link-down"], []),
        (bare(), ["underlay-down"], []),
        (bare(), ["pod-addresses-dropped", "forwarding-off"], []),
        (bare(), ["block-route-missing"], []),  # may well be; only trying tells
        (bare(), [], []),
    ],
)  # fmt: skip
def test_modes_that_would_work_where_none_can_be_tried(found, faults, modes):
    assert would_work(found, *faults) == modes


def test_where_felix_writes_the_routes_of_ipip_bgp_is_nothing_to_it():
    found = replace(bare(), writers={Encapsulation.IPIP: seen("felix"), Encapsulation.NONE: seen("bird")})
    assert would_work(found, "bgp-port-blocked") == [
        "ipip",
        "ipip-cross-subnet",
        "vxlan",
        "vxlan-cross-subnet",
    ]


@pytest.mark.parametrize(("answered", "modes"), [("2 received", ["ipip"]), ("0 received", [])])
def test_modes_that_can_be_tried_are(answered, modes):
    """Here `ipip` is there beside it and `vxlan` is not."""
    found = bare()
    end = Telling(
        "pod ipip-node1-1",
        "node1",
        EndpointKind.POD,
        says={"ping": (0, f"2 packets transmitted, {answered}", "")},
    )
    world = World(end, end, modes=(Mode.BGP, Mode.IPIP), serial=False)
    assert would_work(replace(found, cluster=world), "block-route-missing") == modes


def test_every_fault_is_known_to_stop_modes_or_all_of_them():
    for key in FAULTS:
        would_work(bare(), key)
