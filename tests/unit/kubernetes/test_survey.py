"""The page of facts: complete, JSON-able, and honest about what could not be looked at."""

from __future__ import annotations

import json
from ipaddress import IPv4Address

import pytest

from pytest_calico_perf.cluster.kubernetes.resource import NODES
from pytest_calico_perf.cluster.kubernetes.survey import survey
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.model import Mode
from tests.unit.kubernetes.objects import (
    AGGREGATED_API,
    NATIVE_API,
    RAW_API,
    InMemory,
    file,
    manifest_cluster,
    named,
    node,
    operator_cluster,
    pool,
)


@pytest.mark.parametrize("api", [RAW_API, AGGREGATED_API, NATIVE_API], ids=["raw", "aggregated", "native"])
@pytest.mark.parametrize("cluster", [manifest_cluster, operator_cluster])
def test_the_page(cluster, api):
    found = survey(cluster(api=api), file("description: mine alone"))
    page = json.loads(json.dumps(found.facts(), allow_nan=False))
    assert page["kind"] == "kubernetes"
    assert page["name"] == "mine"
    assert page["version"] == "v1.34.1"
    assert page["server"] == "https://192.0.2.1:6443"
    assert [each["name"] for each in page["nodes"]] == ["master", "node1", "node2"]
    assert page["nodes"][1]["subnet"] == "10.0.0.0/24"
    assert page["calico"]["api"] == f"{api.group}/{api.version}"
    assert page["calico"]["storage"] == "/".join(api.storage)
    assert page["calico"]["felix"] == {"bpfConnectTimeLoadBalancing": "TCP"}
    assert page["calico"]["routes_by"] == {"vxlan": ["felix"], "ipip": ["bird"], "none": ["bird"]}
    assert page["pools"][0]["range"] == "10.244.0.0/16"
    assert page["notes"] == []


def test_in_a_few_lines():
    assert survey(manifest_cluster(), file()).lines() == [
        "Kubernetes v1.34.1 at https://192.0.2.1:6443: 3 nodes, 3 Ready, subnets 10.0.0.0/24",
        "Calico v3.32.1: installed by manifest, API crd.projectcalico.org/v1, backend bird, data plane iptables",
        "pools: default-ipv4-ippool 10.244.0.0/16 ipip",
    ]


def test_nothing_that_may_be_looked_at():
    cluster = operator_cluster()
    cluster.refused = {resource[2] for resource in cluster.objects} | {"ipamblocks"}
    found = survey(cluster, file())
    assert found.nodes == ()
    assert found.calico is not None
    assert found.calico.pools == ()
    for thing in (
        "nodes",
        "ippools.projectcalico.org",
        "installations.operator.tigera.io default",
        "services",
    ):
        assert f"could not look at {thing}: not permitted" in found.notes()


@pytest.mark.parametrize("status", [None, 401, 500])
def test_an_api_that_fails_ends_it(status):
    class Failing(InMemory):
        def list(self, resource, **_):
            raise ApiProblem("it failed", status=status)

    with pytest.raises(ApiProblem, match="it failed"):
        survey(Failing(), file())


def test_secrets_of_bgp_peers_and_whatever_else_is_in_a_resource_stay_out():
    cluster = manifest_cluster()
    password = {"secretKeyRef": {"name": "bgp-secrets", "key": "mesh"}}
    cluster.add(
        RAW_API.bgp_configurations,
        named(
            "default", spec={"asNumber": 64512, "nodeMeshPassword": password, "nodeToNodeMeshEnabled": True}
        ),
    )
    facts = survey(cluster, file()).facts()
    assert facts["calico"]["bgp"] == {"nodeToNodeMeshEnabled": True, "asNumber": 64512}
    assert "secret" not in json.dumps(facts).lower()


def test_the_selector_is_the_servers_business():
    cluster = manifest_cluster()
    cluster.objects[NODES.group, NODES.version, NODES.plural] = [
        node("node1", labels={"pool": "fast"}),
        node("node2"),
    ]
    found = survey(cluster, file("nodes: {selector: pool=fast}"))
    assert {each.name: each.selected for each in found.nodes} == {"node1": True, "node2": False}


def test_the_mode_of_an_address_is_that_of_the_narrowest_pool():
    cluster = manifest_cluster(
        pool("wide", "10.244.0.0/16", ipipMode="Always"),
        pool("narrow", "10.244.7.0/24", vxlanMode="CrossSubnet"),
        pool("odd", "10.245.0.0/16", vxlanMode="Always", ipipMode="Always"),
        pool("six", "fd00::/48"),
    )
    found = survey(cluster, file())
    assert found.mode_at(IPv4Address("10.244.1.1")) is Mode.IPIP
    assert found.mode_at(IPv4Address("10.244.7.1")) is Mode.VXLAN_CROSS_SUBNET
    assert found.mode_at(IPv4Address("10.245.0.1")) is None
    assert found.mode_at(IPv4Address("10.9.0.1")) is None
