"""What a mode needs and a cluster lacks: said with its reason, and only then."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.kubernetes.nodes import choose
from pytest_calico_perf.cluster.kubernetes.resource import NODES
from pytest_calico_perf.cluster.kubernetes.survey import survey, unsupported
from pytest_calico_perf.model import Mode, Provision
from tests.unit.kubernetes.objects import (
    RAW,
    InMemory,
    calico_config,
    calico_node,
    file,
    manifest_cluster,
    named,
    node,
    operator_cluster,
    pool,
)

ALL = tuple(Mode)
CROSS = (Mode.IPIP_CROSS_SUBNET, Mode.VXLAN_CROSS_SUBNET)
PLAIN = (Mode.BGP, Mode.IPIP, Mode.VXLAN)


def reasons(cluster: InMemory, provision: Provision = Provision.POOLS, *, text: str = "") -> dict[Mode, str]:
    found = survey(cluster, file(text))
    client, server, _ = choose(found.nodes, file(text), ALL)
    lost = unsupported(found, ALL, client, server, provision)
    return {mode: str(reason) for mode, reason in lost.items()}


def with_nodes(cluster: InMemory, *nodes) -> InMemory:
    cluster.objects[NODES.group, NODES.version, NODES.plural] = list(nodes)
    return cluster


def two_subnets(cluster: InMemory) -> InMemory:
    return with_nodes(cluster, node("node1", "10.0.0.11"), node("node2", "10.0.1.12"))


def felix(cluster: InMemory, **spec: object) -> InMemory:
    for key in cluster.objects:
        if key[2] == "felixconfigurations":
            cluster.objects[key] = [named("default", spec=spec)]
    return cluster


def backend(cluster: InMemory, word: str) -> InMemory:
    cluster.objects["", "v1", "configmaps"] = [calico_config(word)]
    return cluster


def test_two_subnets_carry_everything_plain_routing_included():
    assert reasons(two_subnets(manifest_cluster())) == {}
    assert reasons(two_subnets(operator_cluster())) == {}


def test_without_calico_only_current():
    cluster = with_nodes(InMemory(), node("node1"), node("node2"))
    found = reasons(cluster)
    assert set(found) == set(ALL) - {Mode.CURRENT}
    assert all(reason.startswith("no Calico here") for reason in found.values())


def test_calico_that_may_not_be_looked_for_is_said():
    cluster = with_nodes(InMemory(RAW), node("node1"), node("node2"))
    cluster.broken[RAW] = 403
    assert "crd.projectcalico.org/v1: not permitted" in reasons(cluster)[Mode.BGP]


class TestOneSubnet:
    def test_cross_subnet_is_not_exercised(self):
        found = reasons(manifest_cluster())
        assert set(found) == set(CROSS)
        for reason in found.values():
            assert reason.startswith("not exercised: one subnet: node1 and node2 are both in 10.0.0.0/24")

    def test_a_pair_that_would_exercise_it_is_named(self):
        cluster = with_nodes(
            manifest_cluster(), node("a", "10.0.0.1"), node("b", "10.0.0.2"), node("c", "10.0.1.3")
        )
        found = reasons(cluster, text="nodes: {pair: [a, b]}")
        assert "nodes: {pair: [a, c]}" in found[Mode.IPIP_CROSS_SUBNET]

    def test_nodes_with_masks_of_32_bits_are_never_in_one_subnet(self):
        cluster = with_nodes(
            manifest_cluster(), node("a", "10.128.0.2", mask=32), node("b", "10.128.0.3", mask=32)
        )
        assert reasons(cluster) == {}

    def test_masks_that_disagree(self):
        cluster = with_nodes(
            manifest_cluster(), node("a", "10.0.0.1", mask=16), node("b", "10.0.1.2", mask=24)
        )
        found = reasons(cluster)
        assert set(found) == set(CROSS)
        assert "one direction only" in found[Mode.VXLAN_CROSS_SUBNET]

    def test_unknown_subnets(self):
        cluster = with_nodes(manifest_cluster(), node("a", "10.0.0.1"), node("b", "10.0.0.2", mask=None))
        found = reasons(cluster)
        assert set(found) == set(CROSS)
        assert found[Mode.IPIP_CROSS_SUBNET].startswith("the subnet of b is not known")


class TestRoutes:
    @pytest.mark.parametrize(
        ("version", "spec", "lost"),
        [
            ("v3.30.4", {}, {Mode.BGP, Mode.IPIP, Mode.IPIP_CROSS_SUBNET}),
            ("v3.32.1", {}, {Mode.BGP, Mode.IPIP, Mode.IPIP_CROSS_SUBNET}),
            ("v3.32.1", {"programClusterRoutes": "Enabled"}, set()),
            ("v3.33.0", {}, {Mode.BGP}),
            ("v3.33.0", {"programClusterRoutes": "Enabled"}, set()),
            ("v3.33.0", {"programClusterRoutes": "Disabled"}, {Mode.BGP, Mode.IPIP, Mode.IPIP_CROSS_SUBNET}),
        ],
    )
    def test_backend_vxlan(self, version, spec, lost):
        cluster = felix(backend(two_subnets(manifest_cluster(version=version)), "vxlan"), **spec)
        found = reasons(cluster)
        assert set(found) == lost
        assert all("backend vxlan runs no BIRD" in reason for reason in found.values())

    def test_an_operator_without_bgp(self):
        found = reasons(two_subnets(operator_cluster(bgp="Disabled")))
        assert set(found) == {Mode.BGP, Mode.IPIP, Mode.IPIP_CROSS_SUBNET}
        assert "the Installation's bgp: Enabled" in found[Mode.BGP]

    def test_a_pair_of_settings_that_leaves_routes_to_nobody(self):
        cluster = felix(two_subnets(manifest_cluster(version="v3.33.0")), programClusterRoutes="Disabled")
        found = reasons(cluster)
        assert set(found) == {Mode.IPIP, Mode.IPIP_CROSS_SUBNET}
        assert "leave them to nobody" in found[Mode.IPIP]

    def test_a_backend_that_nobody_tells_is_not_refused(self):
        cluster = two_subnets(manifest_cluster())
        cluster.refused |= {"configmaps", "daemonsets"}
        assert reasons(cluster) == {}

    def test_policy_only(self):
        found = reasons(backend(two_subnets(manifest_cluster()), "none"))
        assert set(found) == set(ALL) - {Mode.CURRENT}
        assert "only enforces policy" in found[Mode.BGP]


def test_another_ipam_knows_no_pools():
    cluster = two_subnets(manifest_cluster())
    cluster.objects["", "v1", "configmaps"] = [calico_config(ipam="host-local")]
    found = reasons(cluster)
    assert set(found) == set(ALL) - {Mode.CURRENT}
    assert found[Mode.VXLAN].startswith("pods get their addresses from host-local")


@pytest.mark.parametrize(("field", "lost"), [("ipipEnabled", Mode.IPIP), ("vxlanEnabled", Mode.VXLAN)])
def test_tunnels_that_felix_is_told_not_to_have(field, lost):
    found = reasons(felix(two_subnets(manifest_cluster()), **{field: False}))
    assert set(found) == {lost, Mode(f"{lost}-cross-subnet")}
    assert f"{field}: false" in found[lost]


class TestWireGuard:
    KEY = {"projectcalico.org/WireguardPublicKey": "jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY="}  # noqa: RUF012

    def cluster(self, *encrypting: str) -> InMemory:
        return with_nodes(
            felix(manifest_cluster(), wireguardEnabled=True),
            *(
                node(name, address, annotations=self.KEY if name in encrypting else {})
                for name, address in (("node1", "10.0.0.11"), ("node2", "10.0.1.12"))
            ),
        )

    def test_it_would_be_measured_instead_of_the_mode(self):
        found = reasons(self.cluster("node1", "node2"))
        assert set(found) == set(ALL) - {Mode.CURRENT}
        assert found[Mode.IPIP].startswith("WireGuard carries what pods of node1 and node2 send each other")

    def test_it_needs_a_key_on_both_nodes(self):
        cluster = self.cluster("node1")
        assert reasons(cluster) == {}
        notes = survey(cluster, file()).notes()
        assert any("not where node2 takes part" in note for note in notes)

    def test_through_the_environment(self):
        cluster = self.cluster("node1", "node2")
        felix(cluster)
        cluster.objects["apps", "v1", "daemonsets"] = [
            calico_node("kube-system", {"name": "FELIX_WIREGUARDENABLED", "value": "true"})
        ]
        assert Mode.BGP in reasons(cluster)


class TestSwitching:
    def test_one_pool_can_be_switched(self):
        assert reasons(two_subnets(manifest_cluster()), Provision.SWITCH) == {}
        assert reasons(two_subnets(operator_cluster()), Provision.SWITCH) == {}

    @pytest.mark.parametrize(
        ("pools", "reason"),
        [
            ([pool(disabled=True)], "no pool to switch"),
            ([pool("six", "fd00::/48")], "no pool to switch"),
            ([pool(by="pytest-calico-perf")], "no pool to switch"),
            (
                [pool("a", "10.1.0.0/16"), pool("b", "10.2.0.0/16")],
                "no one pool to switch: pods get addresses from a, b",
            ),
            ([pool("gone", by="tigera-operator")], "pool gone is kept by the operator"),
        ],
    )
    def test_what_cannot_be_switched(self, pools, reason):
        cluster = two_subnets(manifest_cluster(*pools))
        found = reasons(cluster, Provision.SWITCH)
        assert set(found) == set(ALL) - {Mode.CURRENT}
        assert all(why.startswith(reason) for why in found.values())
        assert reasons(cluster, Provision.POOLS) == {}


def test_only_what_was_asked_for():
    found = survey(manifest_cluster(), file())
    client, server, _ = choose(found.nodes, file())
    assert set(unsupported(found, [Mode.CURRENT, Mode.VXLAN_CROSS_SUBNET], client, server)) == {
        Mode.VXLAN_CROSS_SUBNET
    }
