"""Which Calico a cluster has: read from objects in the shapes both installations leave them."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.kubernetes.calico import Backend, CalicoFacts, ManagedBy, pool_mode, release
from pytest_calico_perf.cluster.kubernetes.detection import find_api, find_calico
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.resource import CONFIG_MAPS, DAEMON_SETS, INSTALLATIONS
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.model import Encapsulation, Mode
from tests.unit.kubernetes.objects import (
    AGGREGATED_API,
    NATIVE_API,
    RAW,
    RAW_API,
    V3,
    InMemory,
    calico_config,
    calico_node,
    information,
    manifest_cluster,
    named,
    operator_cluster,
    pool,
)


def calico(cluster: InMemory) -> CalicoFacts:
    found = find_calico(Look(cluster))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("served", "api"),
    [([RAW], RAW_API), ([RAW, V3], AGGREGATED_API), ([V3], NATIVE_API), ([], None)],
    ids=["raw", "aggregated", "native", "none"],
)
def test_the_api_group_follows_calicos_own_rule(served, api):
    assert find_api(Look(InMemory(*served))) == api


def test_only_aggregated_and_native_apis_check_what_is_written():
    assert [api.validates for api in (RAW_API, AGGREGATED_API, NATIVE_API)] == [False, True, True]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 511])
@pytest.mark.parametrize("group", [V3, RAW])
def test_an_api_server_of_calicos_that_is_down_ends_it_and_is_no_cluster_with_raw_crds(group, status):
    cluster = InMemory(RAW, V3)
    cluster.broken[group] = status
    with pytest.raises(ApiProblem, match=f"Calico's API server is down.* {status}.*; try again") as caught:
        find_api(Look(cluster))
    assert caught.value.status == status


def test_an_api_server_of_others_that_is_down_is_noted():
    cluster = manifest_cluster()
    cluster.broken[INSTALLATIONS.group, INSTALLATIONS.version] = 503
    look = Look(cluster)
    found = find_calico(look)
    assert found is not None
    assert found.managed_by is ManagedBy.MANIFEST
    assert look.unseen == ("operator.tigera.io/v1: its server answers 503",)


def test_an_api_that_cannot_be_reached_is_a_problem_and_not_a_cluster_without_calico():
    cluster = InMemory(RAW)
    cluster.broken[V3] = 401
    with pytest.raises(ApiProblem):
        find_api(Look(cluster))


def test_manifest():
    found = calico(manifest_cluster())
    assert found.managed_by is ManagedBy.MANIFEST
    assert found.backend is Backend.BIRD
    assert found.ipam == "calico-ipam"
    assert found.version == "v3.32.1"
    assert found.release == (3, 32)
    assert found.dataplane == "iptables"
    assert found.datastore_ready is True
    assert found.installation == {}


def test_operator():
    found = calico(operator_cluster())
    assert found.managed_by is ManagedBy.OPERATOR
    assert found.backend is Backend.BIRD
    assert found.ipam == "calico-ipam"
    assert found.in_installation(found.pools[0])
    assert found.pools[0].is_the_operators
    assert found.facts()["mtu"] == {"installation": 1440, "veth_mtu": ""}


def test_an_operator_that_is_served_but_not_installed_keeps_nothing():
    cluster = manifest_cluster()
    cluster.served[INSTALLATIONS.group, INSTALLATIONS.version] = {INSTALLATIONS.plural}
    assert calico(cluster).managed_by is ManagedBy.MANIFEST


class TestBackend:
    def test_operator_without_bgp(self):
        assert calico(operator_cluster(bgp="Disabled")).backend is Backend.VXLAN

    def test_operator_whose_daemon_set_may_not_be_read(self):
        cluster = operator_cluster(bgp="Disabled")
        cluster.refused.add(DAEMON_SETS.plural)
        assert calico(cluster).backend is Backend.VXLAN

    @pytest.mark.parametrize("backend", ["bird", "vxlan", "none"])
    def test_config_map(self, backend):
        cluster = manifest_cluster()
        cluster.objects[CONFIG_MAPS.group, CONFIG_MAPS.version, CONFIG_MAPS.plural] = [calico_config(backend)]
        assert calico(cluster).backend == backend

    def test_environment_before_config_map(self):
        cluster = manifest_cluster()
        variable = {"name": "CALICO_NETWORKING_BACKEND", "value": "vxlan"}
        cluster.objects["apps", "v1", "daemonsets"] = [calico_node("kube-system", variable)]
        assert calico(cluster).backend is Backend.VXLAN

    def test_nobody_says(self):
        cluster = InMemory(RAW)
        assert calico(cluster).backend is Backend.UNKNOWN
        assert calico(cluster).managed_by is ManagedBy.UNKNOWN


class TestDataPlane:
    def felix(self, **spec: object) -> InMemory:
        cluster = manifest_cluster()
        cluster.objects[(*RAW, "felixconfigurations")] = [named("default", spec=spec)]
        return cluster

    def test_bpf(self):
        assert calico(self.felix(bpfEnabled=True)).dataplane == "bpf"

    def test_nftables(self):
        assert calico(self.felix(nftablesMode="Enabled")).dataplane == "nftables"
        assert calico(self.felix(nftablesMode="Auto")).dataplane == "iptables"

    @pytest.mark.parametrize(
        ("word", "dataplane"), [("BPF", "bpf"), ("Nftables", "nftables"), ("VPP", "vpp")]
    )
    def test_operator(self, word, dataplane):
        cluster = operator_cluster()
        network = {"bgp": "Enabled", "linuxDataplane": word}
        cluster.objects["operator.tigera.io", "v1", "installations"] = [
            named("default", spec={"calicoNetwork": network})
        ]
        assert calico(cluster).dataplane == dataplane

    def test_environment_before_the_resource(self):
        cluster = self.felix(bpfEnabled=False, wireguardEnabled=False)
        cluster.objects["apps", "v1", "daemonsets"] = [
            calico_node(
                "kube-system",
                {"name": "FELIX_BPFENABLED", "value": "true"},
                {"name": "FELIX_WIREGUARDENABLED", "value": "true"},
                {"name": "FELIX_IPINIPMTU", "value": "1480"},
            )
        ]
        found = calico(cluster)
        assert found.dataplane == "bpf"
        assert found.wireguard
        assert found.facts()["felix"]["ipipMTU"] == "1480"


def test_containers_beside_calico_node_do_not_speak_for_it():
    cluster = manifest_cluster()
    node = calico_node("kube-system", {"name": "CALICO_NETWORKING_BACKEND", "value": "vxlan"})
    other = {"name": "flannel", "env": [{"name": "CALICO_NETWORKING_BACKEND", "value": "none"}]}
    node["spec"]["template"]["spec"]["containers"].insert(0, other)
    cluster.objects["apps", "v1", "daemonsets"] = [node]
    assert calico(cluster).backend is Backend.VXLAN


def test_version_from_the_image_where_calico_does_not_say():
    cluster = manifest_cluster()
    cluster.refused.add("clusterinformations")
    cluster.objects["apps", "v1", "daemonsets"] = [
        calico_node("kube-system", image="registry.example:5000/calico/node:v3.29.3@sha256:0123")
    ]
    assert calico(cluster).version == "v3.29.3"


@pytest.mark.parametrize(
    ("ipip", "vxlan", "mode"),
    [
        ("Never", "Never", Mode.BGP),
        ("Always", "Never", Mode.IPIP),
        ("CrossSubnet", "Never", Mode.IPIP_CROSS_SUBNET),
        ("Never", "Always", Mode.VXLAN),
        ("Never", "CrossSubnet", Mode.VXLAN_CROSS_SUBNET),
        ("Always", "Always", None),
        ("CrossSubnet", "Always", None),
        ("always", "Never", None),
        (None, None, Mode.BGP),
        (1, "Never", Mode.BGP),
    ],
)
def test_mode_of_a_pool(ipip, vxlan, mode):
    assert pool_mode({"ipipMode": ipip, "vxlanMode": vxlan}) is mode


@pytest.mark.parametrize(
    ("changed", "default"),
    [
        ({}, True),
        ({"disabled": True}, False),
        ({"disabled": "true"}, False),
        ({"assignmentMode": "Manual"}, False),
        ({"assignmentMode": "Automatic"}, True),
        ({"nodeSelector": "!all()"}, False),
        ({"nodeSelector": " all( )"}, True),
        ({"namespaceSelector": "team == 'a'"}, False),
        ({"allowedUses": ["Tunnel"]}, False),
        ({"allowedUses": None}, True),
        ({"cidr": "fd00::/48"}, False),
        ({"cidr": "no range"}, False),
    ],
)
def test_default_pools(changed, default):
    found = calico(manifest_cluster(pool(**{"cidr": "10.244.0.0/16", **changed})))
    assert bool(found.default_pools) is default


def test_a_pool_of_ours_is_no_default_pool():
    found = calico(manifest_cluster(pool(by="pytest-calico-perf")))
    assert found.default_pools == ()
    assert found.pools[0].is_ours


@pytest.mark.parametrize(
    ("spec", "gives"),
    [
        ({"ipipMode": "Always"}, True),
        ({"ipipMode": "CrossSubnet"}, True),
        ({"ipipMode": "Always", "allowedUses": ["Workload"]}, False),
        ({"ipipMode": "Always", "disabled": True}, False),
        ({"vxlanMode": "Always"}, False),
        ({"ipipMode": "Always", "by": "pytest-calico-perf"}, False),
        ({"ipipMode": "Always", "nodeSelector": "!all()"}, False),
    ],
)
def test_who_gives_tunnels_their_addresses(spec, gives):
    found = calico(manifest_cluster(pool(**spec)))
    assert found.gives_tunnels(Encapsulation.IPIP, [NodeFacts("node1"), NodeFacts("node2")]) is gives


@pytest.mark.parametrize(
    ("addresses", "gives"),
    [
        (("10.244.1.1", "10.244.2.1"), True),
        (("10.244.1.1", None), False),
        ((None, None), False),
        (("10.244.1.1", "198.19.3.1"), False),  # of a pool of another run, which will be gone
        (("10.244.1.1", "no address"), False),
        ((), False),
    ],
)
def test_a_pool_for_some_nodes_gives_tunnels_where_nodes_have_an_address_of_it(addresses, gives):
    found = calico(manifest_cluster(pool(ipipMode="Always", nodeSelector="zone == 'a'")))
    nodes = [
        NodeFacts(f"node{number}", tunnel_addresses={"ipip": address} if address else {})
        for number, address in enumerate(addresses)
    ]
    assert found.gives_tunnels(Encapsulation.IPIP, nodes) is gives
    assert not found.gives_tunnels(Encapsulation.VXLAN, nodes)


@pytest.mark.parametrize(
    ("version", "manual"),
    [("v3.29.9", False), ("v3.30.0", True), ("v3.33.0-0.dev-12-gabc", True), ("master", False), ("", False)],
)
def test_assignment_mode_came_with_3_30(version, manual):
    cluster = manifest_cluster(version=version)
    cluster.refused.add("daemonsets")
    assert calico(cluster).assigns_manually is manual


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v3.32.1", (3, 32)),
        ("v1.34.1+k3s1", (1, 34)),
        ("v1.33.4-gke.1172000", (1, 33)),
        ("3.30", (3, 30)),
        ("v3", None),
        ("v3.30x", None),
        ("", None),
        ("v99999.1", None),
        ("v٣.٣", None),
    ],
)
def test_release(text, found):
    assert release(text) == found


def test_an_upgrade_under_way_is_noted():
    cluster = manifest_cluster()
    cluster.objects[(*RAW, "clusterinformations")] = [information(datastoreReady=False)]
    assert any("upgrade" in note for note in calico(cluster).notes())


def test_two_writers_of_the_same_routes_are_noted():
    cluster = manifest_cluster(version="v3.33.0")
    cluster.objects[(*RAW, "felixconfigurations")] = [
        named("default", spec={"programClusterRoutes": "Enabled"})
    ]
    notes = calico(cluster).notes()
    assert len([note for note in notes if "bird and felix at once" in note]) == 1


def test_a_pool_with_two_encapsulations_is_noted():
    notes = calico(manifest_cluster(pool("odd", ipipMode="Always", vxlanMode="Always"))).notes()
    assert any("pool odd" in note for note in notes)
