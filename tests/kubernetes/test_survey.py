"""The page of facts of clusters as they are installed, over the wire and with no more rights than docs/rbac.yaml's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.nodes import choose
from pytest_calico_perf.cluster.kubernetes.survey import Survey, survey, unsupported
from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.granted import FOR_POOLS, granted
from tests.kubernetes.plane import DEFAULT_RANGE, SERVICE_RANGE, CalicoSpec, NodeSpec, Plane
from tests.unit.kubernetes.objects import AGGREGATED_API, NATIVE_API, RAW_API, file


@contextmanager
def surveyed(
    folder: Path, calico: CalicoSpec, nodes: int | list[NodeSpec] = 2, **more: int
) -> Iterator[Survey]:
    with FakeApi() as fake, Plane(fake, nodes=nodes, calico=calico, **more):
        fake.rbac.rules = granted(*FOR_POOLS)
        api = Api(
            Access(kubeconfig=str(fake.kubeconfig(folder / "kubeconfig"))), request_seconds=10, patience=5
        )
        try:
            yield survey(api, file())
        finally:
            api.close()


@pytest.mark.parametrize("managed_by", ["manifest", "operator"])
@pytest.mark.parametrize(
    ("group", "api"), [("crd", RAW_API), ("aggregated", AGGREGATED_API), ("native", NATIVE_API)]
)
def test_both_installations_through_every_api(tmp_path, group, api, managed_by):
    spec = CalicoSpec(group=group, managed_by=managed_by, mode=Mode.IPIP)
    with surveyed(tmp_path, spec) as found:
        assert found.calico is not None
        assert found.calico.api == api
        assert found.calico.managed_by == managed_by
        assert found.calico.version == spec.version
        assert found.calico.backend == "bird"
        assert found.calico.dataplane == "iptables"
        assert [pool.mode for pool in found.calico.default_pools] == [Mode.IPIP]
        assert found.calico.in_installation(found.calico.pools[0]) is (managed_by == "operator")
        assert found.taken[DEFAULT_RANGE] == f"pool {spec.pool}"
        assert SERVICE_RANGE in found.taken
        assert all(node.ready and node.subnet and node.tunnel_addresses.get("ipip") for node in found.nodes)
        assert found.unseen == ()
        json.dumps(found.facts(), allow_nan=False)


@pytest.mark.parametrize("managed_by", ["manifest", "operator"])
def test_a_cluster_without_bird(tmp_path, managed_by):
    spec = CalicoSpec(managed_by=managed_by, backend="vxlan", mode=Mode.VXLAN)
    with surveyed(tmp_path, spec, subnets=2) as found:
        client, server, _ = choose(found.nodes, file())
        lost = unsupported(found, list(Mode), client, server)
        assert set(lost) == {Mode.BGP, Mode.IPIP, Mode.IPIP_CROSS_SUBNET}


def test_cross_subnet_takes_two_subnets(tmp_path):
    nodes = [
        NodeSpec("node1"),
        NodeSpec("node2"),
        NodeSpec("node3", subnet=1),
        NodeSpec("lead", control_plane=True),
    ]
    modes = [Mode.BGP, Mode.VXLAN_CROSS_SUBNET]
    with surveyed(tmp_path, CalicoSpec(), nodes) as found:
        client, server, said = choose(found.nodes, file(), modes)
        assert (client.name, server.name) == ("node1", "node3")
        assert said.endswith("chosen of 4; to repeat: nodes: {pair: [node1, node3]}")
        assert unsupported(found, modes, client, server) == {}
        client, server, _ = choose(found.nodes, file("nodes: {pair: [node1, node2]}"), modes)
        reason = str(unsupported(found, modes, client, server)[Mode.VXLAN_CROSS_SUBNET])
        assert reason.startswith("not exercised: one subnet")
        assert "nodes: {pair: [node1, node3]}" in reason
