"""What a diagnosis sees of Calico: every look on a whole cluster, without its permission, and where things are broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from pytest_calico_perf.cluster.inspection import BlockState, SessionState
from pytest_calico_perf.cluster.kubernetes import node_status, open_cluster
from pytest_calico_perf.model import Encapsulation, Mode, Provision
from pytest_calico_perf.model import Path as TrafficPath
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.granted import FOR_POOLS, granted
from tests.kubernetes.inspected import DIAGNOSIS, Case, without
from tests.kubernetes.plane import CalicoSpec, Plane
from tests.kubernetes.plane.trying import needs_root, until
from tests.unit.kubernetes.objects import file

pytestmark = needs_root

V3 = ("projectcalico.org", "v3")
STATUSES = (*V3, "caliconodestatuses")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A cluster nothing is wrong with, in which a run has pods of two modes."""
    folder = tmp_path_factory.mktemp("inspection")
    with ExitStack() as stack:
        fake = stack.enter_context(FakeApi())
        calico = CalicoSpec(group="aggregated", managed_by="operator", mode=Mode.BGP)
        plane = stack.enter_context(Plane(fake, calico=calico))
        fake.rbac.rules = granted(*DIAGNOSIS)
        of = file(f"kubeconfig: {fake.kubeconfig(folder / 'kubeconfig')}")
        paths = [TrafficPath.POD_TO_POD]
        modes = (Mode.BGP, Mode.VXLAN)
        cluster = stack.enter_context(
            open_cluster(of, modes, paths=paths, provision=Provision.POOLS, tell=lambda _: None)
        )
        pair = cluster.pair(TrafficPath.POD_TO_POD, Mode.BGP)
        pods = {end.node: end.own_address for end in (pair.client, pair.server)}
        yield Case(fake, plane, cluster.inspector(), pods)
        assert fake.store.list(STATUSES) == []


class TestObjects:
    def test_nodes_are_as_their_annotations_and_their_devices_say(self, whole):
        nodes = whole.inspector.nodes().value
        assert [(node.name, node.address, node.subnet) for node in nodes] == [
            ("node1", "198.18.0.11", "198.18.0.0/24"),
            ("node2", "198.18.0.12", "198.18.0.0/24"),
        ]
        for node in nodes:
            said = whole.plane.run(node.name, "ip", "-j", "addr", "show", "vxlan.calico").check().stdout
            (device,) = json.loads(said)
            assert node.vxlan_mac == device["address"]
            assert node.tunnels == {Encapsulation.VXLAN: device["addr_info"][0]["local"]}

    def test_an_own_as_number_and_a_noted_mac(self, whole):
        notes = {
            "projectcalico.org/ASNumber": "64777",
            "projectcalico.org/VXLANTunnelMACAddr": "66:00:00:00:00:01",
        }
        nodes = ("", "v1", "nodes")
        whole.fake.store.patch(nodes, "node2", {"metadata": {"annotations": notes}})
        try:
            node = whole.inspector.nodes().value[1]
            assert (node.as_number, node.vxlan_mac) == (64777, "66:00:00:00:00:01")
        finally:
            gone = dict.fromkeys(notes)
            whole.fake.store.patch(nodes, "node2", {"metadata": {"annotations": gone}})

    def test_pools(self, whole):
        pools = {pool.mode: pool for pool in whole.inspector.pools().value}
        assert set(pools) == {Mode.BGP, Mode.VXLAN}
        assert whole.inspector.pools().source == "IPPools of projectcalico.org/v3"

    def test_blocks_are_those_that_their_nodes_hold(self, whole):
        look = whole.inspector.blocks()
        assert look.source == "IPAMBlocks of crd.projectcalico.org/v1"
        assert {block.node for block in look.value} == {"node1", "node2"}
        for node in ("node1", "node2"):
            ranges = {block.range for block in look.value if block.node == node}
            assert ranges == {line.split()[1] for line in whole.plane.routes(node) if "blackhole" in line}

    def test_blocks_that_may_not_be_seen_are_known_by_their_affinities(self, whole):
        blocks = whole.inspector.blocks().value
        with whole.allowing(without("ipamblocks")):
            look = whole.inspector.blocks()
        assert look.source == "BlockAffinities of crd.projectcalico.org/v1"
        assert set(look.value) == set(blocks)
        assert isinstance(look.value[0], BlockState)

    def test_the_mesh_is_on_unless_somebody_says_otherwise(self, whole):
        assert whole.inspector.mesh().value is True
        store, resource = whole.fake.store, (*V3, "bgpconfigurations")
        store.create(resource, {"metadata": {"name": "default"}, "spec": {"nodeToNodeMeshEnabled": False}})
        store.create((*V3, "bgppeers"), {"metadata": {"name": "to-rack"}, "spec": {"peerIP": "198.18.0.1"}})
        try:
            look = whole.inspector.mesh()
            assert look.value is False
            assert look.source == "BGPConfiguration default (mesh off); BGPPeers: to-rack"
        finally:
            store.delete(resource, "default")
            store.delete((*V3, "bgppeers"), "to-rack")

    def test_who_writes_routes(self, whole):
        written = {kind: whole.inspector.route_writer(kind).value for kind in Encapsulation}
        assert written == {
            Encapsulation.NONE: "bird",
            Encapsulation.IPIP: "bird",
            Encapsulation.VXLAN: "felix",
        }

    def test_an_inconsistent_pair_of_settings_is_told(self, whole):
        store, resource = whole.fake.store, (*V3, "bgpconfigurations")
        store.create(
            resource, {"metadata": {"name": "default"}, "spec": {"programClusterRoutes": "Disabled"}}
        )
        try:
            look = whole.inspector.route_writer(Encapsulation.NONE)
            assert look.value is None
            assert "encapsulation none are written by nobody: programClusterRoutes" in look.why_not
        finally:
            store.delete(resource, "default")
            whole.plane.settle()

    @pytest.mark.parametrize(
        ("ask", "resource"),
        [
            (lambda inspector: inspector.nodes(), "nodes"),
            (lambda inspector: inspector.pools(), "ippools"),
            (lambda inspector: inspector.mesh(), "bgpconfigurations"),
            (lambda inspector: inspector.route_writer(Encapsulation.NONE), "felixconfigurations"),
            (lambda inspector: inspector.daemons("node1"), "pods"),
        ],
        ids=["nodes", "pools", "mesh", "route-writer", "daemons"],
    )
    def test_what_may_not_be_seen_is_said(self, whole, ask, resource):
        with whole.allowing(without(resource)):
            look = ask(whole.inspector)
        assert look.value is None
        assert resource in look.why_not
        assert "not permitted" in look.why_not or "docs/rbac.yaml" in look.why_not

    def test_no_block_and_no_affinity_may_be_seen(self, whole):
        with whole.allowing(without("ipamblocks", "blockaffinities")):
            look = whole.inspector.blocks()
        assert look.value is None
        assert "ipamblocks" in look.why_not


class TestPolicies:
    @pytest.fixture
    def namespace(self, whole: Case) -> str:
        found = whole.fake.store.list(("", "v1", "pods"))
        return next(
            pod["metadata"]["namespace"] for pod in found if pod["status"].get("podIP") == whole.pods["node1"]
        )

    @pytest.fixture
    def add(self, whole: Case) -> Iterator[Any]:
        store, added = whole.fake.store, []

        def create(resource: tuple[str, str, str], name: str, spec: Any, namespace: str = "") -> None:
            metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
            store.create(resource, {"metadata": metadata, "spec": spec}, namespace=namespace)
            added.append((resource, name, namespace))

        yield create
        for resource, name, place in added:
            store.delete(resource, name, namespace=place)

    def ask(self, whole: Case) -> Any:
        return whole.inspector.policies("node1", whole.pods["node1"])

    def test_a_run_has_none_of_its_own(self, whole):
        look = self.ask(whole)
        assert look.value == ()
        assert "networkpolicies.networking.k8s.io" in look.source

    def test_those_that_choose_the_pod_are_named(self, whole, namespace, add):
        everything = ("networking.k8s.io", "v1", "networkpolicies")
        chosen = {"selector": "pytest-calico-perf/mode == 'bgp'", "types": ["Ingress"]}
        add(everything, "deny-all", {"podSelector": {}}, namespace)
        add(everything, "others", {"podSelector": {"matchLabels": {"app": "db"}}}, namespace)
        add(everything, "elsewhere", {"podSelector": {}}, "default")
        add((*V3, "networkpolicies"), "default.no-icmp", chosen, namespace)
        add((*V3, "globalnetworkpolicies"), "lockdown", {"selector": "all()"})
        add((*V3, "globalnetworkpolicies"), "vxlan", {"selector": "pytest-calico-perf/mode == 'vxlan'"})
        add((*V3, "globalnetworkpolicies"), "hosts", {"selector": "all()", "preDNAT": True})
        assert self.ask(whole).value == (
            f"NetworkPolicy {namespace}/deny-all",
            f"Calico's NetworkPolicy {namespace}/default.no-icmp",
            "GlobalNetworkPolicy lockdown",
        )

    def test_that_none_applies_is_not_said_where_not_all_were_seen(self, whole):
        with whole.allowing(without("globalnetworkpolicies")):
            look = self.ask(whole)
        assert look.value is None
        assert "globalnetworkpolicies" in look.why_not

    def test_what_was_not_seen_is_said_beside_what_was(self, whole, namespace, add):
        add(("networking.k8s.io", "v1", "networkpolicies"), "deny-all", {"podSelector": {}}, namespace)
        with whole.allowing(without("globalnetworkpolicies")):
            look = self.ask(whole)
        assert look.value == (f"NetworkPolicy {namespace}/deny-all",)
        assert "not seen: globalnetworkpolicies.projectcalico.org" in look.source

    def test_of_a_strange_address_nothing_is_known(self, whole):
        look = whole.inspector.policies("node1", "192.0.2.1")
        assert look.value is None
        assert look.why_not == "192.0.2.1 on node1 is no pod of this run"


class TestSessions:
    UP = (SessionState("198.18.0.12", "node2", established=True, state="Established"),)

    def test_as_calico_node_reports_them(self, whole):
        until(lambda: whole.inspector.sessions("node1").value == self.UP)
        assert whole.inspector.sessions("node1").source.startswith("CalicoNodeStatus calico-perf-bgp-")
        assert whole.statuses == []
        assert whole.inspector.made == ()

    def test_of_both_nodes_at_once_each_report_has_a_name_of_its_own(self, whole):
        nodes = ["node1", "node2"] * 4
        with ThreadPoolExecutor(len(nodes)) as pool:
            looks = list(pool.map(whole.inspector.sessions, nodes))
        assert [look.value[0].peer_node for look in looks] == ["node2", "node1"] * 4
        names = [look.source.split()[1] for look in looks]
        assert len(set(names)) == len(nodes)
        assert all(name.startswith("calico-perf-bgp-") for name in names)
        assert whole.statuses == []
        assert whole.inspector.made == ()

    def test_as_somebody_else_has_them_reported(self, whole):
        spec = {"node": "node1", "classes": ["Agent", "BGP"], "updatePeriodSeconds": 10}
        whole.fake.store.create(STATUSES, {"metadata": {"name": "theirs"}, "spec": spec})
        try:
            whole.plane.settle()
            with whole.allowing([_reading_only(rule) for rule in granted(*DIAGNOSIS)]):
                look = whole.inspector.sessions("node1")
            assert look.value == self.UP
            assert look.source.startswith("CalicoNodeStatus theirs of ")
        finally:
            whole.fake.store.delete(STATUSES, "theirs")

    def test_as_bird_tells_them(self, whole):
        with whole.allowing(without("caliconodestatuses")):
            look = whole.inspector.sessions("node1")
        assert look.value == self.UP
        assert look.source == "birdcl show protocols in calico-node of node1"

    @pytest.mark.parametrize(
        ("also", "why"),
        [
            ("pods/exec", "not allowed to run a command in"),
            ("pods", "not allowed to list pods in calico-system"),
        ],
        ids=["no-exec", "no-pods"],
    )
    def test_as_nobody_may_ask(self, whole, also, why):
        with whole.allowing(without("caliconodestatuses", also)):
            look = whole.inspector.sessions("node1")
        assert look.value is None
        assert "CalicoNodeStatus: not permitted: create, patch caliconodestatuses" in look.why_not
        assert "pytest-calico-perf-diagnose" in look.why_not
        assert why in look.why_not

    def test_with_what_a_run_is_granted_bird_can_be_asked(self, whole):
        with whole.allowing(granted(*FOR_POOLS)):
            assert whole.inspector.sessions("node1").value == self.UP

    def test_a_report_that_does_not_come_is_not_waited_for_long(self, whole, monkeypatch):
        monkeypatch.setattr(node_status, "_PATIENCE", 0.3)
        whole.plane.agents.deaf = {"node1"}
        try:
            look = whole.inspector.sessions("node1")
            assert look.value == self.UP
            assert look.source.startswith("birdcl")
            with whole.allowing(without("pods/exec")):
                look = whole.inspector.sessions("node1")
            assert "calico-node has not filled in a CalicoNodeStatus within 0.3 s" in look.why_not
            assert whole.statuses == []
        finally:
            whole.plane.agents.deaf = set()


def _reading_only(rule: dict[str, Any]) -> dict[str, Any]:
    """The rule without making anything, and without commands in pods."""
    resources = [each for each in rule["resources"] if each != "pods/exec"]
    return {
        **rule,
        "resources": resources,
        "verbs": [verb for verb in rule["verbs"] if verb in ("get", "list")],
    }
