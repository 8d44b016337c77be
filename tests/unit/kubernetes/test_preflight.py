"""What is said before anything is made, and whether the nodes are as before afterwards."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from pytest_calico_perf.cluster.kubernetes.preflight import Preflight, look
from pytest_calico_perf.cluster.kubernetes.resource import CONFIG_MAPS, NODES
from pytest_calico_perf.model import Mode, Path, Provision
from tests.unit.kubernetes.objects import RAW_API, InMemory, file, manifest_cluster, named, node, pool

SERVICE = [Path.POD_TO_POD, Path.POD_TO_SERVICE]
OUTSIDE = "pod-to-service: 198.19.0.0/16 (pools.range) is outside the cluster's known pod ranges"
TUNNEL = "projectcalico.org/IPv4VXLANTunnelAddr"


def found(
    cluster: InMemory,
    fields: str = "",
    *,
    modes: Collection[Mode] = (Mode.IPIP,),
    provision: Provision = Provision.POOLS,
    paths: Collection[Path] = SERVICE,
) -> Preflight:
    return look(cluster, file(fields), list(modes), provision, paths=paths)


class TestServices:
    """kube-proxy masquerades what pods outside its clusterCIDR send to Services."""

    def test_test_pools_outside_the_pod_range_are_noted_in_facts_and_lines(self):
        ground = found(manifest_cluster())
        [note] = ground.notes
        assert note.startswith(f"{OUTSIDE} (10.244.0.0/16)")
        assert note in ground.lines()
        assert note in json.loads(json.dumps(ground.facts()))["notes"]

    def test_a_cluster_that_does_not_say_its_pod_range_is_noted_by_its_pools(self):
        cluster = manifest_cluster(pool(cidr="192.168.0.0/16", ipipMode="Always"))
        del cluster.objects[CONFIG_MAPS.group, CONFIG_MAPS.version, CONFIG_MAPS.plural]
        [note] = found(cluster).notes
        assert note.startswith(f"{OUTSIDE} (192.168.0.0/16)")

    def test_pools_of_other_runs_are_no_pod_range(self):
        cluster = manifest_cluster(
            pool(ipipMode="Always"), pool("calico-perf-bgp-zzzzzz", "198.19.0.0/16", by="pytest-calico-perf")
        )
        assert found(cluster).notes

    def test_inside_the_pod_range_and_outside_every_pool_is_the_remedy(self):
        cluster = manifest_cluster(pool(cidr="10.244.0.0/17", ipipMode="Always"))
        ground = found(cluster, "pools: {range: 10.244.192.0/18}")
        assert ground.notes == ()
        assert not any(network.prefixlen == 16 for network in ground.survey.taken)

    @pytest.mark.parametrize(
        "other",
        [
            {"paths": [Path.POD_TO_POD]},
            {"modes": [Mode.CURRENT]},
            {"modes": [Mode.VXLAN_CROSS_SUBNET]},  # not exercised: one subnet
            {"provision": Provision.SWITCH},
        ],
    )
    def test_where_no_pod_of_a_test_pool_asks_a_service_there_is_nothing_to_note(self, other):
        assert found(manifest_cluster(), **other).notes == ()

    def test_the_ebpf_data_plane_has_no_kube_proxy(self):
        cluster = manifest_cluster()
        cluster.objects[(*RAW_API.storage, "felixconfigurations")] = [
            named("default", spec={"bpfEnabled": True})
        ]
        assert found(cluster).notes == ()


class TestDifferences:
    def test_a_tunnel_address_that_comes_back_late_is_waited_for_with_few_looks(self, monkeypatch):
        cluster = manifest_cluster()
        nodes = NODES.group, NODES.version, NODES.plural
        cluster.objects[nodes] = [
            node(name, annotations={TUNNEL: "10.244.1.1"}) for name in ("node1", "node2")
        ]
        ground = found(cluster)
        before, lists = cluster.objects[nodes], []
        cluster.objects[nodes] = [node("node1"), node("node2")]
        pauses: list[float] = []
        monkeypatch.setattr("time.monotonic", lambda: sum(pauses))
        monkeypatch.setattr("time.sleep", pauses.append)
        listed = cluster.list

        def counted(*arguments, **more):
            lists.append(arguments)
            if sum(pauses) >= 60:
                cluster.objects[nodes] = before
            return listed(*arguments, **more)

        monkeypatch.setattr(cluster, "list", counted)
        assert ground.differences(cluster, deadline=120) == []
        assert len(lists) < 20

    def test_one_that_does_not_come_back_is_told(self, monkeypatch):
        cluster = manifest_cluster()
        nodes = NODES.group, NODES.version, NODES.plural
        cluster.objects[nodes] = [
            node(name, annotations={TUNNEL: "10.244.1.1"}) for name in ("node1", "node2")
        ]
        ground = found(cluster)
        cluster.objects[nodes] = [node("node1"), cluster.objects[nodes][1]]
        [said] = ground.differences(cluster, deadline=0)
        assert said == "tunnel addresses of node1 are not as before: {'vxlan': '10.244.1.1'} before, none now"
