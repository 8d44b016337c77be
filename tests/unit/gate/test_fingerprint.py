"""What makes two runs comparable, on the facts that real backends give."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from pytest_calico_perf.cluster.kubernetes.survey import survey
from pytest_calico_perf.gate.fingerprint import (
    ClusterFacts,
    Fingerprint,
    differences,
    folder_prefix,
    threaded_iperf3,
)
from tests.unit.gate.earlier_runs import FACTS
from tests.unit.kubernetes.objects import file, manifest_cluster, operator_cluster


def fingerprint(**facts) -> Fingerprint:
    return Fingerprint.of(ClusterFacts.of({**FACTS, **facts}), "quick")


@pytest.mark.parametrize("cluster", [manifest_cluster, operator_cluster])
def test_a_real_clusters_facts_have_one(cluster) -> None:
    facts = {
        **survey(cluster(), file()).facts(), "pair": ("node1", "node2"), "provision": "pools", "hosts": "pods",
        "pod_mtu": MappingProxyType({"bgp": 1480, "ipip": 1480}),
    }  # fmt: skip
    found = Fingerprint.of(ClusterFacts.of(MappingProxyType(facts)), "standard")
    assert found.place["nodes"] == "node1 to node2"
    assert found.place["kind"] == "kubernetes"
    assert found.place["provision"] == "pools"
    assert found.software["Calico"].startswith("v3.")
    assert found.software["pod MTU of ipip"] == "1480"
    assert found.software["kernel"]
    assert found.key.startswith("mine-")


def test_of_a_big_cluster_only_the_measured_nodes_count() -> None:
    third = {"name": "node3", "kernel": "Linux 5.4", "cpu": "old", "cpus": 1}
    assert fingerprint(nodes=[*FACTS["nodes"], third]) == fingerprint()


def test_software_does_not_change_the_folder_but_the_place_does() -> None:
    assert fingerprint(mtu=9000, calico={"version": "v3.30.0"}).key == fingerprint().key
    assert fingerprint(link_rate=10**9).key != fingerprint().key


def test_what_is_unknown_on_one_side_is_no_difference() -> None:
    assert differences({"kernel": "1", "MTU": "1500"}, {"kernel": "2", "Calico": "3"}) == (
        "kernel 1 there, 2 here",
    )


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("lab", "lab-"), ("../../etc", "etc-"), ("Prod Süd 1", "prod-s-d-1-"), ("漢", "cluster-")],
)
def test_a_folders_name_is_safe(name, prefix) -> None:
    assert folder_prefix(name) == prefix


@pytest.mark.parametrize(
    ("version", "threaded"),
    [("3.1.3", False), ("3.15", False), ("3.16", True), ("3.17.1", True), ("4.0", True), ("unknown", None), (3.12, None), (None, None)],
)  # fmt: skip
def test_iperf3s_threads(version, threaded) -> None:
    assert threaded_iperf3({"version_client": version}) is threaded
