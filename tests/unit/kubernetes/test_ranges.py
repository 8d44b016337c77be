"""Room for pools: what the cluster uses is found, and nothing of it is ever handed out."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.ranges import free
from pytest_calico_perf.cluster.kubernetes.resource import CONFIG_MAPS, NODES, SERVICE_RANGES, SERVICES
from pytest_calico_perf.cluster.kubernetes.survey import survey
from pytest_calico_perf.errors import ClusterProblem
from tests.unit.kubernetes.objects import (
    NATIVE_API,
    RAW,
    RAW_API,
    InMemory,
    calico_config,
    file,
    kubeadm_config,
    manifest_cluster,
    named,
    node,
    operator_cluster,
    pool,
)


def net(text: str) -> IPv4Network:
    return IPv4Network(text)


def first(_: int) -> int:
    return 0


class TestFree:
    def test_the_first_ones(self):
        assert free(2, 24, net("198.19.0.0/16"), {}, start=first) == [
            net("198.19.0.0/24"),
            net("198.19.1.0/24"),
        ]

    def test_from_a_place_on_and_around(self):
        inside = net("198.19.0.0/22")
        found = free(3, 24, inside, {net("198.19.3.0/24"): "pool a"}, start=lambda places: places - 2)
        assert found == [net("198.19.2.0/24"), net("198.19.0.0/24"), net("198.19.1.0/24")]

    def test_by_chance_so_that_two_runs_seldom_choose_the_same(self):
        inside = net("198.19.0.0/16")
        assert len({free(1, 30, inside, {})[0] for _ in range(20)}) > 1

    def test_a_range_with_no_place_at_all(self):
        with pytest.raises(ClusterProblem, match="room for 0 of 1"):
            free(1, 22, net("198.19.0.0/24"), {})

    def test_around_what_is_taken(self):
        taken = {
            net("198.19.0.128/25"): "pool a",
            net("198.19.2.0/23"): "subnet of node b",
            net("10.0.0.0/8"): "c",
        }
        assert free(3, 24, net("198.19.0.0/16"), taken, start=first) == [
            net("198.19.1.0/24"),
            net("198.19.4.0/24"),
            net("198.19.5.0/24"),
        ]

    def test_none_left_says_what_is_in_the_way_and_which_field_to_change(self):
        with pytest.raises(ClusterProblem) as caught:
            free(2, 24, net("198.19.0.0/23"), {net("198.19.0.0/24"): "pool mine", net("10.0.0.0/8"): "else"})
        assert str(caught.value) == (
            "pools.range: 198.19.0.0/23 has room for 1 of 2 ranges of /24: it overlaps 198.19.0.0/24 (pool mine); "
            "set pools.range in the cluster file to a wider range that nothing in the cluster uses"
        )

    def test_all_of_it_inside_something_taken(self):
        with pytest.raises(ClusterProblem, match=r"198.18.0.0/15 \(pods\)"):
            free(1, 24, net("198.19.0.0/16"), {net("198.18.0.0/15"): "pods"})

    def test_a_wide_range_full_of_holes_is_searched_quickly(self):
        taken = {IPv4Network((0x0A000000 + 512 * index, 24)): f"pool {index}" for index in range(2000)}
        found = free(1, 23, net("10.0.0.0/8"), taken, start=first)
        assert found == [IPv4Network((0x0A000000 + 512 * 2000, 23))]

    @given(
        count=st.integers(1, 8),
        prefix=st.integers(24, 30),
        taken=st.lists(st.tuples(st.integers(0, 255), st.integers(20, 32)), max_size=12),
        chance=st.floats(0, 1, exclude_max=True),
    )
    def test_free_ranges_are_inside_apart_and_the_first_from_a_place_on(self, count, prefix, taken, chance):
        inside = net("198.19.0.0/24")
        used = {
            IPv4Network((int(inside.network_address) + offset, length), strict=False): "something"
            for offset, length in taken
        }
        places = list(inside.subnets(new_prefix=prefix))
        begin = int(chance * len(places))
        room = [
            each
            for each in places[begin:] + places[:begin]
            if not any(each.overlaps(network) for network in used)
        ]
        if len(room) >= count:
            assert free(count, prefix, inside, used, start=lambda _: begin) == room[:count]
        else:
            with pytest.raises(ClusterProblem, match=f"room for {len(room)} of {count}"):
                free(count, prefix, inside, used, start=lambda _: begin)


def taken(cluster: InMemory) -> dict[str, str]:
    return {str(network): what for network, what in survey(cluster, file()).taken.items()}


class TestTaken:
    def test_kubeadm(self):
        assert taken(manifest_cluster()) == {
            "10.244.0.0/16": "pool default-ipv4-ippool",
            "10.0.0.0/24": "subnet of node master",
            "10.0.0.10/32": "address of node master",
            "10.0.0.11/32": "address of node node1",
            "10.0.0.12/32": "address of node node2",
            "10.96.0.0/12": "Services (serviceSubnet of kubeadm-config)",
        }

    def test_service_cidrs(self):
        assert taken(operator_cluster())["10.96.0.0/16"] == "Services (ServiceCIDR kubernetes)"

    def test_a_service_cidr_of_each_and_kubeadms(self):
        cluster = manifest_cluster()
        cluster.add(SERVICE_RANGES, named("extra", spec={"cidrs": ["10.112.0.0/20"]}))
        assert {"10.112.0.0/20", "10.96.0.0/12"} <= set(taken(cluster))

    def test_services_that_exist_where_nobody_tells_their_range(self):
        cluster = manifest_cluster()
        del cluster.objects[CONFIG_MAPS.group, CONFIG_MAPS.version, CONFIG_MAPS.plural]
        cluster.add(
            SERVICES,
            named("headless", "default", spec={"clusterIP": "None"}),
            named("six", "default", spec={"clusterIP": "fd00::1"}),
        )
        found = survey(cluster, file())
        assert found.taken[net("10.96.0.0/16")] == "Services (guessed around existing ClusterIPs)"
        assert (
            "range of ClusterIPs: not told by the cluster; taken for 10.96.0.0/16, around those that exist"
            in (found.unseen)
        )

    def test_dual_stack_settings(self):
        cluster = manifest_cluster()
        cluster.objects["", "v1", "configmaps"] = [
            kubeadm_config("10.244.0.0/16,fd00:10:244::/56", "fd00:10:96::/112,10.100.0.0/16")
        ]
        assert taken(cluster)["10.100.0.0/16"] == "Services (serviceSubnet of kubeadm-config)"

    def test_what_kubeadm_keeps_for_pods_has_room_outside_of_every_pool_where_calico_hands_out(self):
        cluster = manifest_cluster(pool(cidr="10.244.0.0/17"))
        assert set(taken(cluster)) >= {"10.244.0.0/17"}
        assert "10.244.0.0/16" not in taken(cluster)
        [found] = free(1, 24, net("10.244.0.0/16"), survey(cluster, file()).taken)
        assert found.subnet_of(net("10.244.128.0/17"))

    def test_what_kubeadm_keeps_for_pods_is_in_use_where_others_hand_it_out(self):
        cluster = manifest_cluster(pool(cidr="192.168.0.0/16"))
        cluster.objects["", "v1", "configmaps"] = [calico_config(ipam="host-local"), kubeadm_config()]
        assert taken(cluster)["10.244.0.0/16"] == "pods (podSubnet of kubeadm-config)"

    def test_pod_ranges_of_nodes(self):
        cluster = manifest_cluster(pool(cidr="192.168.0.0/16"))
        cluster.add(NODES, node("node3", "10.0.2.13", podCIDR="172.20.3.0/24"))
        assert taken(cluster)["172.20.3.0/24"] == "pods of node node3"

    def test_blocks_that_outlived_their_pool(self):
        cluster = manifest_cluster()
        block = {"cidr": "198.19.7.16/28", "affinity": "host:node1"}
        inside = {"cidr": "10.244.36.0/26", "affinity": "host:node1"}
        cluster.add(RAW_API.blocks, named("198-19-7-16-28", spec=block), named("10-244-36-0-26", spec=inside))
        found = taken(cluster)
        assert found["198.19.7.16/28"] == "left-over address block 198-19-7-16-28"
        assert "10.244.36.0/26" not in found

    def test_ranges_that_bgp_announces(self):
        cluster = manifest_cluster(api=NATIVE_API)
        spec = {"serviceLoadBalancerIPs": [{"cidr": "203.0.113.0/24"}]}
        cluster.add(NATIVE_API.bgp_configurations, named("default", spec=spec))
        assert taken(cluster)["203.0.113.0/24"] == "Services (serviceLoadBalancerIPs of BGPConfiguration)"

    @pytest.mark.parametrize(
        "document", ["{", "- 1", "networking: 7", "!!python/object:os.system {}", "&a [*a]", ""]
    )
    def test_a_kubeadm_configuration_that_is_none(self, document):
        cluster = InMemory(RAW)
        data = {"ClusterConfiguration": document}
        cluster.add(CONFIG_MAPS, named("kubeadm-config", "kube-system", data=data))
        assert taken(cluster) == {}
