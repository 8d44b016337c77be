"""Every fault of the catalogue a lab can have, built in for real: named for what it is, and for nothing else.

Examinations are mostly waiting for packets that do not come, so several labs are examined side by side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from pytest_calico_perf import reachability
from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.diagnosis import diagnose
from pytest_calico_perf.diagnosis.faults import FAULTS
from pytest_calico_perf.diagnosis.finding import Diagnosis, Link
from pytest_calico_perf.errors import Unreachable
from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.reachability import Symptom
from tests.lab.faults import BOOK, injected, key
from tests.lab.faults.ward import Ward
from tests.lab.labs import lab, ping

BGP, IPIP, VXLAN = Mode.BGP, Mode.IPIP, Mode.VXLAN
DEADLINE = 240.0  # seconds a test waits for its case, all those before it included


@dataclass(frozen=True)
class Case:
    """A path that is broken on purpose.

    Attributes:
        mode: The path's mode; None for host-to-host.
        faults: What is built in, by the fault book's names.
        path: Which path.
        expected: Keys of the findings, if not those of `faults`.
        lab: Cluster file of the lab it is in.
    """

    mode: Mode | None
    faults: tuple[str, ...]
    path: Path = Path.POD_TO_POD
    expected: tuple[str, ...] = ()
    lab: str = "lab"

    @property
    def keys(self) -> tuple[str, ...]:
        """In the order of the chain, which is the catalogue's."""
        keys = self.expected or {key(name) for name in self.faults}
        return tuple(each for each in FAULTS if each in keys)

    @property
    def symptom(self) -> str:
        """What fails first."""
        if self.path is Path.POD_TO_HOST and self.keys == ("duplicate-node-address",):
            return Symptom.TCP_HANDSHAKE  # the other node answers pings
        return _SYMPTOMS.get(self.keys[0], Symptom.SMALL_PING)

    def __str__(self) -> str:
        mode = f"-{self.mode}" if self.mode else ""
        path = "" if self.path is Path.POD_TO_POD else f"-{self.path}"
        return f"{'+'.join(self.faults or self.keys)}{mode}{path}"


@dataclass(frozen=True)
class Examination:
    """What came of a case.

    Attributes:
        problem: What the reachability check said while it was broken.
        diagnosis: What was found then.
        alive: The other modes -> whether their pods reached each other then.
        after: What was found once it was undone and the path had been proven alive.
    """

    problem: Unreachable
    diagnosis: Diagnosis
    alive: Mapping[Mode, bool]
    after: Diagnosis


MODES = (BGP, IPIP, VXLAN)
PROVIDED = tuple(mode for mode in Mode if mode is not Mode.CURRENT)

# The modes a fault concerns; where it is all of them, one or those in which it looks different: a sweep of all of them takes
# ten minutes.
CONCERNS: Mapping[str, tuple[Mode, ...]] = {
    "service-without-rules": (BGP,),  # first, since a new Service is given time and so it takes longest
    "bgp-port-blocked": (BGP, IPIP),
    "bgp-port-blocked@node": (BGP,),
    "bgp-wrong-as": (BGP,),
    "bgp-session-missing": (BGP,),
    "bgp-session-missing@unconfigured": (IPIP,),
    "bgp-mesh-off": (IPIP,),
    "bird-dead": (BGP,),
    "pod-addresses-dropped": (BGP,),
    "pod-addresses-dropped-one-way": (BGP,),
    "pod-addresses-dropped-one-way@back": (BGP,),
    "ipip-dropped": (IPIP,),
    "ipip-dropped@back": (IPIP,),
    "vxlan-dropped": (VXLAN,),
    "vxlan-dropped@node": (VXLAN,),
    "mtu-black-hole": MODES,
    "tcp-payload-lost": (BGP,),
    "underlay-down": (BGP,),
    "underlay-down@silent": (IPIP,),
    "underlay-down@arp": (BGP,),
    "underlay-down@neighbour": (VXLAN,),
    "block-route-missing": MODES,
    "block-route-missing@server": (BGP, VXLAN),
    "block-blackholed": (BGP, VXLAN),
    "block-blackholed@server": (IPIP,),
    "block-route-wrong": (BGP, IPIP),
    "block-route-wrong@gateway": (BGP,),
    "next-hop-unresolved": (),  # where nodes have a gateway: in two subnets
    "reverse-path-filter": (BGP, VXLAN),
    "forwarding-off": (BGP,),
    "forwarding-off@client": (VXLAN,),
    "policy-drops-everything": (VXLAN,),
    "policy-drops-everything@client": (IPIP,),
    "icmp-dropped": (VXLAN,),
    "icmp-dropped@fabric": (BGP,),
    "tcp-dropped": (IPIP,),
    "tcp-dropped@fabric": (BGP,),
    "tunnel-device-down": (IPIP,),
    "tunnel-device-down@server": (VXLAN,),
    "vxlan-wrong-mac": (VXLAN,),
    "vxlan-wrong-mac@neighbour": (VXLAN,),
    "vxlan-entry-missing": (VXLAN,),
    "vxlan-entry-missing@neighbour": (VXLAN,),
    "vxlan-parameters-differ": (VXLAN,),
    "duplicate-node-address": (VXLAN,),
    "pod-without-route": (BGP,),
    "pod-without-route@client": (IPIP,),
    "pod-link-down": (BGP,),
    "pod-link-down@client": (IPIP,),
    "pod-link-down@host-end": (VXLAN,),
    "pod-route-missing-on-node": (VXLAN,),
    "pod-route-missing-on-node@client": (IPIP,),
    "pod-without-address": (BGP,),
    "pod-gateway-silent": (IPIP,),
    "checksum-offload": (BGP, VXLAN),
}

_SYMPTOMS = {
    "mtu-black-hole": Symptom.FULL_SIZE_PING,
    "tcp-payload-lost": Symptom.TCP_BULK,
    "tcp-dropped": Symptom.TCP_HANDSHAKE,
    "service-without-rules": Symptom.TCP_HANDSHAKE,
    "checksum-offload": Symptom.TCP_HANDSHAKE,
    "server-not-listening": "",  # as a probe finds it, after the check
}
# By the node that is to blame, or where the lost packets come from.
_AT_CLIENT = {
    "pod-addresses-dropped-one-way",
    "block-route-missing",
    "block-blackholed",
    "block-route-wrong",
    "block-route-wrong@gateway",
    "next-hop-unresolved",
    "forwarding-off@client",
    "policy-drops-everything@client",
    "tunnel-device-down",
    "vxlan-wrong-mac",
    "vxlan-entry-missing",
    "pod-without-route@client",
    "pod-link-down@client",
    "pod-route-missing-on-node@client",
}
_AT_SERVER = {
    "bird-dead",
    "pod-addresses-dropped-one-way@back",
    "ipip-dropped@back",
    "vxlan-dropped@node",
    "block-route-missing@server",
    "block-blackholed@server",
    "forwarding-off",
    "policy-drops-everything",
    "tunnel-device-down@server",
    "vxlan-wrong-mac@neighbour",
    "vxlan-entry-missing@neighbour",
    "duplicate-node-address",
    "pod-without-route",
    "pod-link-down",
    "pod-link-down@host-end",
    "pod-route-missing-on-node",
    "pod-without-address",
    "pod-gateway-silent",
}
# Faults of these links are of one mode, or of some, and then it is looked which others work.
_OF_A_MODE = {Link.BGP, Link.ROUTE, Link.NEXT_HOP, Link.TUNNEL, Link.FABRIC}
_PATHS = {"service-without-rules": Path.POD_TO_SERVICE}

SINGLE = [
    Case(mode, (name,), _PATHS.get(name, Path.POD_TO_POD))
    for name, modes in CONCERNS.items()
    for mode in modes
]
OTHER_PATHS = [
    Case(None, ("underlay-down@silent",), Path.HOST_TO_HOST),
    Case(None, ("mtu-black-hole",), Path.HOST_TO_HOST),
    Case(BGP, ("policy-drops-everything",), Path.HOST_TO_POD),
    Case(IPIP, ("block-route-missing",), Path.HOST_TO_POD),
    Case(VXLAN, ("vxlan-dropped",), Path.HOST_TO_POD),
    Case(BGP, ("pod-addresses-dropped",), Path.POD_TO_HOST),
    Case(VXLAN, ("pod-without-route@client",), Path.POD_TO_HOST),
    # The answers' way to a host's tunnel.
    Case(IPIP, ("block-blackholed@server",), Path.HOST_TO_POD),
    Case(VXLAN, ("vxlan-entry-missing@neighbour",), Path.HOST_TO_POD),
    # A host that answers and has no way back, which is no filter besides.
    Case(IPIP, ("bgp-port-blocked",), Path.POD_TO_HOST),
    Case(VXLAN, ("tunnel-device-down@server",), Path.POD_TO_HOST),
    Case(VXLAN, ("duplicate-node-address",), Path.POD_TO_HOST),
    Case(IPIP, ("forwarding-off",), Path.POD_TO_HOST),
    Case(BGP, ("policy-drops-everything",), Path.POD_TO_POD_SAME_NODE),
    Case(IPIP, ("pod-route-missing-on-node",), Path.POD_TO_POD_SAME_NODE),
]
COMBINED = [
    Case(BGP, ("bgp-session-missing", "pod-route-missing-on-node")),
    Case(VXLAN, ("vxlan-entry-missing", "pod-without-route")),
    Case(IPIP, ("block-blackholed@server", "forwarding-off@client")),
    Case(IPIP, ("tunnel-device-down", "pod-route-missing-on-node@client")),
    Case(VXLAN, ("block-route-missing@server", "pod-gateway-silent")),
    Case(BGP, ("bird-dead", "pod-link-down")),
    Case(BGP, ("pod-addresses-dropped", "pod-without-route")),
    Case(IPIP, ("ipip-dropped", "pod-link-down")),
]
NOBODY_LISTENS = Case(BGP, (), expected=("server-not-listening",))
ACROSS = "lab-two-subnets"  # joined by a router that knows no pod
TWO_SUBNETS = [
    Case(BGP, (), expected=("router-without-pod-routes",), lab=ACROSS),
    Case(Mode.IPIP_CROSS_SUBNET, ("ipip-dropped",), lab=ACROSS),
    Case(Mode.VXLAN_CROSS_SUBNET, ("vxlan-dropped",), lab=ACROSS),
    Case(Mode.VXLAN_CROSS_SUBNET, ("next-hop-unresolved",), lab=ACROSS),
]


def examine(cluster: LabCluster, case: Case) -> Examination:
    pair = cluster.pair(case.path, case.mode)
    with injected(cluster, pair, *case.faults):
        problem = _refusal(pair) if case == NOBODY_LISTENS else _problem(pair)
        diagnosis = diagnose(cluster, pair, problem)
        alive = _others_alive(cluster, pair)
    if not case.faults:
        return Examination(problem, diagnosis, alive, diagnosis)
    reachability.check(pair)
    return Examination(problem, diagnosis, alive, diagnose(cluster, pair, None))


def _problem(pair: EndpointPair) -> Unreachable:
    try:
        reachability.check(pair)
    except Unreachable as problem:
        return problem
    raise AssertionError("the path is alive")


def _refusal(pair: EndpointPair) -> Unreachable:
    """What a probe says that finds nobody at its port."""
    reachability.check(pair)
    argv = ["iperf3", "-J", "-c", pair.server.address, "-p", str(pair.server.allocate_port()), "-t", "1"]
    said = json.loads(pair.client.run(argv, limit=10).stdout)["error"]
    return Unreachable(f"iperf3 says {said!r}", where=pair.client.name)


def _others_alive(cluster: LabCluster, pair: EndpointPair) -> Mapping[Mode, bool]:
    """In which other modes the path is alive, really; that to a Service as far as its pod."""
    path = pair.path if pair.path.has_mode and not pair.path.via_service else Path.POD_TO_POD
    modes = [mode for mode in cluster.modes if mode is not pair.mode]
    pairs = [cluster.pair(path, mode) for mode in modes]
    with ThreadPoolExecutor(len(pairs)) as executor:
        answers = executor.map(lambda other: "2 received" in ping(other).stdout, pairs)
        return dict(zip(modes, answers, strict=True))


@pytest.fixture(scope="module")
def result(request: pytest.FixtureRequest) -> Iterator[Callable[[Case], Examination]]:
    """What came of a case. All cases of the tests that will run are examined from now on."""
    callspecs = [item.callspec for item in request.session.items if "result" in _fixtures(item, request)]
    cases = list(dict.fromkeys(callspec.params["case"] for callspec in callspecs))
    with ExitStack() as stack:
        wards = {
            name: stack.enter_context(
                Ward(
                    lambda name=name: LabCluster(lab(name), PROVIDED),
                    examine,
                    [case for case in cases if case.lab == name],
                    beds=beds,
                )
            )
            for name, beds in (("lab", 9), (ACROSS, 1))
        }
        yield lambda case: wards[case.lab].result(case, deadline=DEADLINE)


def _fixtures(item: pytest.Item, request: pytest.FixtureRequest) -> list[str]:
    return item.fixturenames if item.path == request.path else []


def check(case: Case, found: Examination) -> None:
    diagnosis = found.diagnosis
    assert tuple(finding.fault.key for finding in diagnosis.findings) == case.keys, diagnosis.sentence
    for finding in diagnosis.findings:
        facts = " ".join(finding.facts)
        assert re.search(r"\bnode[1-4]\b", f"{finding.broken} {facts}"), finding
        assert re.search(r"\d", facts), finding
    if len(case.faults) == 1 and case.faults[0] in _AT_CLIENT | _AT_SERVER:
        first = re.findall(r"node[1-4]", diagnosis.findings[0].broken)[0]
        at_server = case.faults[0] in _AT_SERVER and not case.path.same_node
        assert (first != "node1") == at_server, diagnosis.sentence
    assert diagnosis.symptom == found.problem.symptom == case.symptom
    alive = {mode for mode, answers in found.alive.items() if answers}
    if len(case.keys) == 1 and diagnosis.findings[0].fault.link in _OF_A_MODE:
        assert set(diagnosis.works) == alive
    else:
        assert set(diagnosis.works) <= alive
    assert json.loads(json.dumps(diagnosis.to_json()))["findings"][0]["fault"] == case.keys[0]
    if case.faults:
        assert found.after.findings == (), found.after.sentence


@pytest.mark.parametrize("case", SINGLE, ids=str)
def test_a_fault_is_named_for_what_it_is(case, result):
    check(case, result(case))


@pytest.mark.parametrize("case", OTHER_PATHS, ids=str)
def test_so_it_is_on_other_paths(case, result):
    check(case, result(case))


@pytest.mark.parametrize("case", COMBINED, ids=str)
def test_of_two_faults_both_are_named(case, result):
    check(case, result(case))


@pytest.mark.parametrize("case", [NOBODY_LISTENS], ids=str)
def test_a_server_that_does_not_listen_is_no_fault_of_the_network(case, result):
    check(case, result(case))


@pytest.mark.parametrize("case", TWO_SUBNETS, ids=str)
def test_across_subnets(case, result):
    check(case, result(case))


def test_every_fault_of_the_book_is_tried_and_is_in_the_catalogue():
    assert set(CONCERNS) == set(BOOK)
    assert {key(name) for name in BOOK} <= set(FAULTS)
    assert len({key(name) for name in BOOK}) >= 24
