"""Nodes as facts, and the choice of two of them: the same two each time, and never two that cannot be used."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts, Taint, choose, read_node
from pytest_calico_perf.errors import ClusterFileProblem, ClusterProblem, NotReady
from pytest_calico_perf.model import Mode
from tests.unit.kubernetes.objects import file, node

CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": ""}
NO_SCHEDULE = {"key": "dedicated", "value": "ml", "effect": "NoSchedule"}


def nodes(*objects) -> list[NodeFacts]:
    return [read_node(each) for each in objects]


def names(choice) -> tuple[str, str]:
    return choice.client.name, choice.server.name


class TestFacts:
    def test_a_node_of_calicos(self):
        found = read_node(
            node(
                "node1",
                "10.0.0.11",
                labels={"topology.kubernetes.io/zone": "a", **CONTROL_PLANE},
                annotations={
                    "projectcalico.org/IPv4IPIPTunnelAddr": "10.244.36.1",
                    "projectcalico.org/WireguardPublicKey": "key",
                },
                podCIDR="10.244.1.0/24",
                podCIDRs=["10.244.1.0/24", "fd00:10:244:1::/64"],
            )
        )
        assert found == NodeFacts(
            name="node1",
            address=IPv4Address("10.0.0.11"),
            subnet=IPv4Interface("10.0.0.11/24"),
            zone="a",
            ready=True,
            control_plane=True,
            system="linux",
            architecture="amd64",
            kernel="6.1.0-18-amd64",
            kubelet="v1.34.1",
            cpus=4.0,
            memory=16393244 * 1024,
            tunnel_addresses={"ipip": "10.244.36.1"},
            encrypts=True,
            addresses=(IPv4Address("10.0.0.11"),),
            pod_ranges=(IPv4Network("10.244.1.0/24"),),
        )

    def test_its_address_is_the_internal_one_and_all_are_known(self):
        found = node("node1", "10.0.0.11")
        found["status"]["addresses"].insert(0, {"type": "ExternalIP", "address": "203.0.113.7"})
        assert read_node(found).address == IPv4Address("10.0.0.11")
        assert read_node(found).addresses == (IPv4Address("203.0.113.7"), IPv4Address("10.0.0.11"))

    def test_without_calico_no_subnet_is_made_up(self):
        assert read_node(node("node1", mask=None)).subnet is None

    def test_a_cordoned_node_is_a_tainted_one(self):
        taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        for found in (node("n", unschedulable=True), node("n", unschedulable=True, taints=[taint])):
            assert read_node(found).taints == (Taint("node.kubernetes.io/unschedulable", "", "NoSchedule"),)

    def test_a_wish_is_no_taint(self):
        assert read_node(node("n", taints=[{**NO_SCHEDULE, "effect": "PreferNoSchedule"}])).taints == ()

    @pytest.mark.parametrize("ready", ["False", "Unknown"])
    def test_not_ready(self, ready):
        assert not read_node(node("n", ready=ready)).ready


class TestSubnets:
    @pytest.mark.parametrize(
        ("one", "other", "there", "back"),
        [
            ("10.0.0.11/24", "10.0.0.12/24", True, True),
            ("10.0.0.11/24", "10.0.1.12/24", False, False),
            ("10.0.0.11/16", "10.0.1.12/24", True, False),
            ("10.128.0.2/32", "10.128.0.3/32", False, False),  # as on GCE: CrossSubnet always encapsulates
        ],
    )
    def test_direct_is_what_the_sender_sees(self, one, other, there, back):
        first, second = (
            NodeFacts(name, subnet=IPv4Interface(text)) for name, text in (("a", one), ("b", other))
        )
        assert first.reaches_directly(second) is there
        assert second.reaches_directly(first) is back

    def test_unknown_is_not_no(self):
        assert NodeFacts("a").reaches_directly(NodeFacts("b", subnet=IPv4Interface("10.0.0.1/24"))) is None


class TestTolerations:
    @pytest.mark.parametrize(
        ("toleration", "tolerated"),
        [
            ({"operator": "Exists"}, True),
            ({"key": "dedicated", "operator": "Exists"}, True),
            ({"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}, True),
            ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, False),
            ({"key": "dedicated", "operator": "Equal", "value": "ml"}, True),
            ({"key": "dedicated", "value": "ml"}, True),
            ({"key": "dedicated", "value": "web"}, False),
            ({"key": "dedicated"}, False),
            ({"key": "other", "operator": "Exists"}, False),
            ({"key": "dedicated", "operator": "Gt", "value": "ml"}, False),
            ({"value": "ml"}, False),
        ],
    )
    def test_as_the_scheduler_has_it(self, toleration, tolerated):
        assert Taint("dedicated", "ml", "NoSchedule").tolerated([toleration]) is tolerated


class TestChosen:
    def test_workers_by_name_and_number_whatever_the_order(self):
        found = nodes(
            node("node10"), node("master", labels=CONTROL_PLANE), node("node9"), node("node2", ready="False")
        )
        for seed in range(5):
            random.Random(seed).shuffle(found)
            choice = choose(found, file())
            assert names(choice) == ("node9", "node10")
            assert choice.explanation == (
                "nodes node9 (client) and node10 (server) chosen of 4; "
                "to repeat: nodes: {pair: [node9, node10]}"
            )

    def test_what_it_says_repeats_the_choice(self):
        found = nodes(node("b"), node("a"), node("c"))
        choice = choose(found, file())
        said = choice.explanation.partition("to repeat: ")[2]
        assert names(choose(found, file(said))) == names(choice)

    def test_a_control_plane_rather_than_nothing(self):
        found = nodes(node("a-master", labels=CONTROL_PLANE), node("node1"))
        assert names(choose(found, file())) == ("node1", "a-master")

    def test_tainted_and_cordoned_nodes_are_left_alone(self):
        found = nodes(
            node("node1", taints=[NO_SCHEDULE]),
            node("node2", unschedulable=True),
            node("node3"),
            node("node4", system="windows"),
            node("node5"),
        )
        assert names(choose(found, file())) == ("node3", "node5")

    def test_tolerated_taints_do_not_count(self):
        found = nodes(node("node1", taints=[NO_SCHEDULE]), node("node2"), node("node3"))
        tolerant = file("tolerations: [{key: dedicated, operator: Exists}]")
        assert names(choose(found, tolerant)) == ("node1", "node2")

    def test_two_subnets_where_a_mode_tells_them_apart(self):
        found = nodes(node("node1", "10.0.0.11"), node("node2", "10.0.0.12"), node("node3", "10.0.1.13"))
        assert names(choose(found, file(), [Mode.BGP, Mode.IPIP])) == ("node1", "node2")
        assert names(choose(found, file(), [Mode.BGP, Mode.IPIP_CROSS_SUBNET])) == ("node1", "node3")

    def test_one_subnet_where_there_is_no_other(self):
        found = nodes(node("node1", "10.0.0.11"), node("node2", "10.0.0.12"))
        assert names(choose(found, file(), [Mode.VXLAN_CROSS_SUBNET])) == ("node1", "node2")

    def test_too_few_says_why_of_each(self):
        found = nodes(
            node("node1"),
            node("node2", ready="False"),
            node("node3", taints=[NO_SCHEDULE]),
            node("node4", system="windows"),
            node("node5", "2001:db8::1"),
        )
        with pytest.raises(ClusterProblem) as caught:
            choose(found, file())
        assert "1 of 5 can be used" in str(caught.value)
        for reason in (
            "node2 is not Ready",
            "node3 is tainted (dedicated=ml:NoSchedule)",
            "node4 runs windows",
            "node5 has no IPv4",
        ):
            assert reason in str(caught.value)

    def test_a_thousand_unusable_nodes_keep_the_message_short(self):
        with pytest.raises(ClusterProblem) as caught:
            choose(nodes(*(node(f"node{number}", ready="False") for number in range(1000))), file())
        assert "and 988 more" in str(caught.value)

    def test_selected(self):
        found = [read_node(node(name), selected=name != "node1") for name in ("node1", "node2", "node3")]
        assert names(choose(found, file("nodes: {selector: pool=fast}"))) == ("node2", "node3")

    def test_none_selected_names_the_field(self):
        found = [read_node(node("node1"), selected=False)]
        with pytest.raises(ClusterFileProblem, match=r"nodes.selector: no node of 1 has pool=fast"):
            choose(found, file("nodes: {selector: pool=fast}"))


class TestNamed:
    def test_in_the_order_of_the_file(self):
        found = nodes(node("node1"), node("node2"), node("node3"))
        assert names(choose(found, file("nodes: {pair: [node3, node1]}"))) == ("node3", "node1")

    def test_one_that_is_not_there(self):
        with pytest.raises(
            ClusterFileProblem, match=r"no node nod1, did you mean 'node1'\? \(known: node1"
        ) as it:
            choose(nodes(node("node1"), node("node2")), file("nodes: {pair: [nod1, node2]}"))
        assert "mine.yaml:3: nodes.pair" in str(it.value)

    def test_one_that_is_not_ready(self):
        with pytest.raises(NotReady, match="node node2: is not Ready"):
            choose(
                nodes(node("node1"), node("node2", ready="Unknown")), file("nodes: {pair: [node1, node2]}")
            )

    def test_one_that_pods_cannot_run_on(self):
        found = nodes(node("node1"), node("node2", taints=[NO_SCHEDULE]))
        with pytest.raises(ClusterProblem, match=r"node node2: is tainted \(dedicated=ml:NoSchedule\)"):
            choose(found, file("nodes: {pair: [node1, node2]}"))


@given(st.lists(st.sampled_from(["10.0.0.", "10.0.1.", "10.0.2."]), min_size=2, max_size=8), st.randoms())
def test_a_pair_in_two_subnets_is_found_exactly_when_there_is_one(prefixes, shuffler):
    found = nodes(*(node(f"n{i}", f"{prefix}{i + 1}") for i, prefix in enumerate(prefixes)))
    shuffler.shuffle(found)
    choice = choose(found, file(), [Mode.IPIP_CROSS_SUBNET])
    assert choice.client.name != choice.server.name
    assert choice.client.reaches_directly(choice.server) is (len(set(prefixes)) == 1)
