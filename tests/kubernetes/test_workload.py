"""What a run makes is its own: what somebody else has under that name is named, and left as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes import ours
from pytest_calico_perf.cluster.kubernetes.hosts import open_hosts
from pytest_calico_perf.cluster.kubernetes.manifests import PodPlan
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts
from pytest_calico_perf.cluster.kubernetes.resource import NAMESPACES, SERVICES
from pytest_calico_perf.cluster.kubernetes.workload import Workload
from pytest_calico_perf.cluster.ssh import SshHost
from pytest_calico_perf.clusterfile import KubernetesFile, parse
from pytest_calico_perf.errors import ClusterProblem
from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi, running_pod
from tests.kubernetes.transport import api_of

RUN, OTHER = "bcdfgh", "jkmnpq"
OTHERS = pytest.mark.parametrize("labels", [{}, dict(ours.labels(OTHER))], ids=["a user's", "another run's"])


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi() as server:
        server.store.create(("", "v1", "namespaces"), {"metadata": {"name": "perf"}})
        yield server


def cluster_file(**fields: object) -> KubernetesFile:
    file = parse(json.dumps({"kind": "kubernetes", "name": "test", **fields}), "test.yaml")
    assert isinstance(file, KubernetesFile)
    return file


def workload(fake: FakeApi, folder: Path, **fields: object) -> Workload:
    return Workload(api_of(fake, folder), cluster_file(**fields), RUN, ours.owner())


@OTHERS
def test_a_pod_of_somebody_else_is_left_as_it_is(fake: FakeApi, tmp_path: Path, labels: dict[str, str]):
    theirs = running_pod("bgp-client-bcdfgh") | {"metadata": {"name": "bgp-client-bcdfgh", "labels": labels}}
    before = fake.store.create(("", "v1", "pods"), theirs, namespace="perf")
    ours_ = workload(fake, tmp_path, namespace="perf")
    plan = PodPlan(ours_.named("bgp-client"), "perf", "node1", "client", Mode.BGP)
    started = ours_.start([plan], {})
    assert not started.pods
    assert "Pod perf/bgp-client-bcdfgh: there is one of that name already" in str(started.problems[plan])
    assert fake.store.get(("", "v1", "pods"), "bgp-client-bcdfgh", namespace="perf") == before
    assert ours_.made == ()


@OTHERS
def test_a_service_of_somebody_else_is_left_as_it_is(fake: FakeApi, tmp_path: Path, labels: dict[str, str]):
    body = {
        "metadata": {"name": "bgp-server-bcdfgh", "labels": labels},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}]},
    }
    before = fake.store.create(("", "v1", "services"), body, namespace="perf")
    with pytest.raises(ClusterProblem, match="already") as caught:
        workload(fake, tmp_path, namespace="perf").expose(Mode.BGP)
    assert "Service perf/bgp-server-bcdfgh" in str(caught.value)
    assert fake.store.get(("", "v1", "services"), "bgp-server-bcdfgh", namespace="perf") == before


@OTHERS
def test_a_namespace_of_somebody_else_is_left_as_it_is(fake: FakeApi, tmp_path: Path, labels: dict[str, str]):
    body = {"metadata": {"name": f"calico-perf-{RUN}", "labels": labels}}
    before = fake.store.create(("", "v1", "namespaces"), body)
    with pytest.raises(ClusterProblem, match=f"Namespace calico-perf-{RUN}"):
        workload(fake, tmp_path).make_namespaces()
    assert fake.store.get(("", "v1", "namespaces"), f"calico-perf-{RUN}") == before


def test_what_was_made_is_known_by_name_and_says_whose_it_is(fake: FakeApi, tmp_path: Path):
    def allocate(_: str, new: dict[str, Any], __: object) -> dict[str, Any]:
        address = {"clusterIP": "198.19.255.1"} if new["kind"] == "Service" else {}
        return new | ({"spec": new["spec"] | address} if address else {})

    fake.store.admit(allocate)
    ours_ = workload(fake, tmp_path)
    ours_.make_namespaces()
    ours_.make_namespaces()  # its own it may apply again
    assert ours_.expose(Mode.BGP) == IPv4Address("198.19.255.1")
    assert ours_.made == (
        (NAMESPACES, f"calico-perf-{RUN}"),
        (NAMESPACES, f"calico-perf-{RUN}-hosts"),
        (SERVICES, f"bgp-server-{RUN}"),
    )
    made = fake.store.get(("", "v1", "services"), f"bgp-server-{RUN}", namespace=ours_.namespace)
    assert made["metadata"]["annotations"][ours.OWNER] == ours.owner()


def test_over_ssh_people_are_told_the_address_that_is_connected_to(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = {}

    class Host(AbstractContextManager["Host"]):
        def __init__(self, name: str) -> None:
            self.name = name

        def __exit__(self, *exc: object) -> None:
            pass

        def missing(self, programs: Sequence[str]) -> list[str]:
            return [each for each in programs if (self.name, each) == ("node2", "ab")]

    def connect(name: str, **more: object) -> Host:
        asked[name] = more["host"]
        return Host(name)

    monkeypatch.setattr(SshHost, "connect", connect)
    file = cluster_file(hosts="ssh", ssh={"addresses": {"node1": "bastion.example"}})
    nodes = [NodeFacts(f"node{number}", IPv4Address(f"198.18.0.{number}")) for number in (1, 2)]
    hosts = open_hosts(api_of(fake, tmp_path), file, workload(fake, tmp_path), nodes)
    assert asked == {"node1": "bastion.example", "node2": "198.18.0.2"}
    assert hosts.how_to_enter() == ["node1: ssh bastion.example", "node2: ssh 198.18.0.2"]
    assert hosts.notes == ("node2 lacks ab: what needs it there will say so",)
