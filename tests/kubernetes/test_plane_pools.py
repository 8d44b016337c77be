"""What becomes of pools: created, changed and deleted through raw CRDs, Calico's API server, native CRDs, an operator."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi, Refused
from tests.kubernetes.plane import DEFAULT_RANGE, FINALIZER, CalicoSpec, Plane
from tests.kubernetes.plane.resources import INSTALLATIONS, PODS
from tests.kubernetes.plane.trying import (
    RANGES,
    V1_POOLS,
    V3_POOLS,
    events,
    make_pod,
    make_pool,
    needs_root,
    reaches,
    run_pods,
    until,
)

pytestmark = needs_root

DEFAULT = "default-ipv4-ippool"


@pytest.fixture
def raw(fake: FakeApi) -> Iterator[Plane]:
    with Plane(fake, calico=CalicoSpec(group="crd")) as plane:
        yield plane


@pytest.fixture
def aggregated(fake: FakeApi) -> Iterator[Plane]:
    with Plane(fake, calico=CalicoSpec(group="aggregated")) as plane:
        yield plane


@pytest.fixture
def native(fake: FakeApi) -> Iterator[Plane]:
    with Plane(fake, calico=CalicoSpec(group="native")) as plane:
        yield plane


@pytest.fixture
def operated(fake: FakeApi) -> Iterator[Plane]:
    with Plane(fake, calico=CalicoSpec(group="crd", managed_by="operator")) as plane:
        yield plane


def blocks(plane: Plane, mode: Mode) -> list[str]:
    """Blocks inside a mode's range, of whatever pool."""
    cidrs = [block["spec"]["cidr"] for block in plane.calico.ipam.blocks()]
    return [cidr for cidr in cidrs if IPv4Network(cidr).subnet_of(RANGES[mode])]


def routes(plane: Plane, mode: Mode, node: str = "node1") -> list[str]:
    prefix = str(RANGES[mode]).rpartition(".")[0]
    return [route for route in plane.routes(node) if f"{prefix}." in route]


def used(plane: Plane, mode: Mode, resource=V1_POOLS) -> None:
    """A pool that pods on both nodes have lived in."""
    make_pool(plane, mode, resource)
    run_pods(plane, ("one", "node1", str(mode)), ("two", "node2", str(mode)))
    until(lambda: any("/28 via" in route for route in routes(plane, mode)))
    for name in ("one", "two"):
        plane.fake.store.delete(PODS, name, namespace="default")
        plane.wait_gone("default", name)


class TestAddresses:
    def test_come_from_the_default_pool_unless_another_is_named(self, raw):
        make_pool(raw, Mode.BGP)
        plain, named = map(IPv4Address, run_pods(raw, ("plain", "node1"), ("named", "node1", "bgp")))
        assert plain in DEFAULT_RANGE
        assert named in RANGES[Mode.BGP]

    def test_a_namespace_names_one_for_its_pods(self, raw):
        make_pool(raw, Mode.BGP)
        annotations = {"cni.projectcalico.org/ipv4pools": f'["{RANGES[Mode.BGP]}"]'}
        raw.fake.store.create(
            ("", "v1", "namespaces"), {"metadata": {"name": "apart", "annotations": annotations}}
        )
        make_pod(raw, "web", "node1", namespace="apart")
        assert IPv4Address(raw.wait_ready("apart", "web")["status"]["podIP"]) in RANGES[Mode.BGP]

    @pytest.mark.parametrize("spec", [{"disabled": True}, {"allowedUses": ["Tunnel"]}, None])
    def test_a_pool_that_cannot_be_used_keeps_the_pod_waiting_and_says_why(self, raw, spec):
        if spec:
            make_pool(raw, Mode.BGP, **spec)
        make_pod(raw, "web", "node1", "bgp")
        until(lambda: "FailedCreatePodSandBox" in events(raw, "web"))
        assert (
            "the given pool (bgp) does not exist, or is not enabled"
            in events(raw, "web")["FailedCreatePodSandBox"]
        )
        assert raw.fake.store.get(PODS, "web", namespace="default")["status"]["phase"] == "Pending"

    def test_it_comes_up_once_the_pool_is_there(self, raw):
        make_pod(raw, "web", "node1", "bgp")
        until(lambda: "FailedCreatePodSandBox" in events(raw, "web"))
        make_pool(raw, Mode.BGP)
        raw.wait_ready("default", "web")

    def test_are_booked_in_blocks_and_given_back(self, raw):
        make_pool(raw, Mode.BGP)
        (address,) = run_pods(raw, ("web", "node1", "bgp"))
        (block,) = [
            block for block in raw.calico.ipam.blocks() if block["spec"]["cidr"] in blocks(raw, Mode.BGP)
        ]
        ordinal = list(IPv4Network(block["spec"]["cidr"])).index(IPv4Address(address))
        assert block["spec"]["affinity"] == "host:node1"
        assert block["spec"]["allocations"][ordinal] == 0
        assert block["spec"]["attributes"][0]["secondary"]["pod"] == "web"
        raw.fake.store.delete(PODS, "web", namespace="default")
        raw.wait_gone("default", "web")
        (block,) = [
            block for block in raw.calico.ipam.blocks() if block["spec"]["cidr"] in blocks(raw, Mode.BGP)
        ]
        assert block["spec"]["allocations"] == [None] * 16
        assert f"{address} dev" not in "\n".join(raw.routes("node1"))

    def test_run_out(self, raw):
        make_pool(raw, Mode.BGP, cidr="198.19.0.0/31", blockSize=32)
        run_pods(raw, ("one", "node1", "bgp"))
        make_pod(raw, "two", "node1", "bgp")
        until(lambda: "FailedCreatePodSandBox" in events(raw, "two"))
        assert "Assigned 0 out of 1 requested IPv4 addresses" in events(raw, "two")["FailedCreatePodSandBox"]


class TestRaw:
    def test_nothing_is_checked_but_the_encapsulations(self, raw):
        make_pool(raw, Mode.BGP, cidr=str(DEFAULT_RANGE))
        with pytest.raises(Refused, match="cannot both be enabled"):
            make_pool(raw, Mode.IPIP, vxlanMode="Always")

    def test_an_old_release_knows_fewer_fields_and_checks_less(self, fake):
        with Plane(fake, calico=CalicoSpec(version="v3.28.5")) as plane:
            make_pool(plane, Mode.BGP)
            assert "assignmentMode" not in plane.fake.store.get(V1_POOLS, "bgp")["spec"]
            make_pool(plane, Mode.IPIP, vxlanMode="Always")
            make_pool(plane, Mode.VXLAN, nodeSelector="!all()")
            (address,) = run_pods(plane, ("named", "node1", "vxlan"))
            assert IPv4Address(address) in RANGES[Mode.VXLAN]

    def test_deletion_releases_nothing_until_garbage_is_collected(self, raw):
        used(raw, Mode.IPIP)
        assert len(blocks(raw, Mode.IPIP)) == 2
        raw.fake.store.delete(V1_POOLS, "ipip")
        raw.settle()
        assert len(blocks(raw, Mode.IPIP)) == 2
        # BIRD still announces the block, and nobody knows any more that it wants a tunnel.
        until(lambda: any("via 198.18.0.12 dev eth0" in route for route in routes(raw, Mode.IPIP)))
        assert any("blackhole" in route for route in routes(raw, Mode.IPIP))
        raw.calico.ipam.collect_garbage()
        raw.settle()
        assert blocks(raw, Mode.IPIP) == []
        until(lambda: not routes(raw, Mode.IPIP))

    def test_felix_forgets_the_routes_of_a_deleted_vxlan_pool_at_once(self, raw):
        used(raw, Mode.VXLAN)
        raw.fake.store.delete(V1_POOLS, "vxlan")
        raw.settle()
        assert not any("vxlan.calico" in route for route in raw.routes("node1"))


class TestAggregated:
    def test_both_groups_show_the_same_pools(self, aggregated):
        make_pool(aggregated, Mode.BGP, V3_POOLS)
        assert aggregated.fake.store.get(V1_POOLS, "bgp")["apiVersion"] == "crd.projectcalico.org/v1"
        assert aggregated.fake.store.get(V3_POOLS, DEFAULT)["spec"]["cidr"] == str(DEFAULT_RANGE)

    def test_what_is_left_out_is_filled_in(self, aggregated):
        body = {"metadata": {"name": "bare"}, "spec": {"cidr": "198.19.9.7/24"}}
        spec = aggregated.fake.store.create(V3_POOLS, body)["spec"]
        assert spec["cidr"] == "198.19.9.0/24"
        assert (spec["blockSize"], spec["ipipMode"], spec["nodeSelector"]) == (26, "Never", "all()")

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ({"cidr": str(DEFAULT_RANGE)}, r"IPPool\(bgp\) CIDR overlaps with IPPool\(default-ipv4-ippool\)"),
            ({"cidr": "nonsense"}, "must be a valid subnet"),
            ({"blockSize": 23}, "too small"),
            ({"blockSize": 19}, "between 20 and 32"),
            ({"ipipMode": "Always", "vxlanMode": "Always"}, "cannot both be enabled"),
        ],
    )
    def test_what_cannot_be_is_refused(self, aggregated, spec, message):
        with pytest.raises(Refused, match=message) as caught:
            make_pool(aggregated, Mode.BGP, V3_POOLS, **spec)
        assert caught.value.code == 422
        assert aggregated.fake.store.find(V3_POOLS, "bgp") is None

    def test_its_range_stays_as_it_is(self, aggregated):
        make_pool(aggregated, Mode.BGP, V3_POOLS)
        with pytest.raises(Refused, match="CIDR cannot be modified"):
            aggregated.fake.store.patch(V3_POOLS, "bgp", {"spec": {"cidr": "198.19.200.0/24"}})
        aggregated.fake.store.patch(V3_POOLS, "bgp", {"spec": {"disabled": True}})

    def test_deletion_gives_up_its_blocks(self, aggregated):
        used(aggregated, Mode.IPIP, V3_POOLS)
        aggregated.fake.store.delete(V3_POOLS, "ipip")
        assert blocks(aggregated, Mode.IPIP) == []
        aggregated.settle()
        until(lambda: not routes(aggregated, Mode.IPIP))

    def test_deleted_under_a_pod_it_takes_the_way_to_it_along(self, aggregated):
        make_pool(aggregated, Mode.IPIP, V3_POOLS)
        _, server = run_pods(aggregated, ("client", "node1", "ipip"), ("server", "node2", "ipip"))
        until(lambda: reaches(aggregated, "client", server))
        aggregated.fake.store.delete(V3_POOLS, "ipip")
        aggregated.settle()
        until(lambda: not reaches(aggregated, "client", server))
        assert blocks(aggregated, Mode.IPIP) != []
        for name in ("client", "server"):
            aggregated.fake.store.delete(PODS, name, namespace="default")
            aggregated.wait_gone("default", name)
        assert blocks(aggregated, Mode.IPIP) == []

    def test_blocks_of_another_size_are_in_the_way(self, aggregated):
        used(aggregated, Mode.BGP, V1_POOLS)
        aggregated.fake.store.delete(V1_POOLS, "bgp")
        aggregated.settle()
        with pytest.raises(
            Refused, match="conflicts with existing allocations that use a different blockSize"
        ):
            make_pool(aggregated, Mode.BGP, V3_POOLS, blockSize=29)


class TestNative:
    def condition(self, plane: Plane, name: str) -> tuple[str, str]:
        (condition,) = plane.fake.store.get(V3_POOLS, name)["status"]["conditions"]
        return condition["status"], condition["reason"]

    def test_there_is_no_v1(self, native):
        with pytest.raises(Refused, match="could not find"):
            native.fake.store.list(V1_POOLS)

    def test_an_overlapping_pool_is_taken_and_gives_no_address(self, native):
        make_pool(native, Mode.BGP, V3_POOLS, cidr=str(DEFAULT_RANGE))
        assert self.condition(native, "bgp") == ("False", "CIDROverlap")
        assert self.condition(native, DEFAULT) == ("True", "OK")
        make_pod(native, "web", "node1", "bgp")
        until(lambda: "FailedCreatePodSandBox" in events(native, "web"))

    def test_a_disabled_pool_says_so(self, native):
        make_pool(native, Mode.BGP, V3_POOLS, disabled=True)
        assert self.condition(native, "bgp") == ("False", "PoolDisabled")

    def test_an_unused_pool_goes_with_its_blocks(self, native):
        used(native, Mode.IPIP, V3_POOLS)
        assert native.fake.store.get(V3_POOLS, "ipip")["metadata"]["finalizers"] == [FINALIZER]
        native.fake.store.delete(V3_POOLS, "ipip")
        native.settle()
        assert native.fake.store.find(V3_POOLS, "ipip") is None
        assert blocks(native, Mode.IPIP) == []

    def test_a_pod_holds_its_pool(self, native):
        make_pool(native, Mode.VXLAN, V3_POOLS)
        run_pods(native, ("web", "node1", "vxlan"))
        native.fake.store.delete(V3_POOLS, "vxlan")
        native.settle()
        assert self.condition(native, "vxlan") == ("False", "Terminating")
        native.fake.store.delete(PODS, "web", namespace="default")
        native.wait_gone("default", "web")
        native.settle()
        assert native.fake.store.find(V3_POOLS, "vxlan") is None


class TestOperator:
    def test_the_default_pool_is_its_own(self, operated):
        pool = operated.fake.store.get(V1_POOLS, DEFAULT)
        assert pool["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "tigera-operator"}
        assert pool["spec"]["ipipMode"] == "Always"

    def test_a_patched_installation_changes_the_pool_and_the_packets(self, operated):
        run_pods(operated, ("one", "node1"), ("two", "node2"))
        until(lambda: any("dev tunl0 proto bird" in route for route in operated.routes("node1")))
        installation = operated.fake.store.get(INSTALLATIONS, "default")
        installation["spec"]["calicoNetwork"]["ipPools"][0]["encapsulation"] = "VXLANCrossSubnet"
        operated.fake.store.replace(INSTALLATIONS, installation)
        operated.settle()
        assert operated.fake.store.get(V1_POOLS, DEFAULT)["spec"]["vxlanMode"] == "CrossSubnet"
        assert any("via 198.18.0.12 dev eth0 proto 80 onlink" in route for route in operated.routes("node1"))

    def test_a_patched_pool_of_its_is_put_back(self, operated):
        operated.fake.store.patch(V1_POOLS, DEFAULT, {"spec": {"ipipMode": "Never"}})
        operated.settle()
        assert operated.fake.store.get(V1_POOLS, DEFAULT)["spec"]["ipipMode"] == "Always"

    def test_a_deleted_one_comes_back(self, operated):
        operated.fake.store.delete(V1_POOLS, DEFAULT)
        operated.settle()
        assert operated.fake.store.get(V1_POOLS, DEFAULT)["spec"]["cidr"] == str(DEFAULT_RANGE)

    def test_others_are_left_alone(self, operated):
        make_pool(operated, Mode.VXLAN)
        operated.fake.store.patch(V1_POOLS, "vxlan", {"spec": {"vxlanMode": "CrossSubnet"}})
        operated.settle()
        assert operated.fake.store.get(V1_POOLS, "vxlan")["spec"]["vxlanMode"] == "CrossSubnet"

    def test_an_unlisted_one_of_its_goes(self, operated):
        labels = {"app.kubernetes.io/managed-by": "tigera-operator"}
        body = {"metadata": {"name": "old", "labels": labels}, "spec": {"cidr": "198.19.77.0/24"}}
        operated.fake.store.create(V1_POOLS, body)
        operated.settle()
        assert operated.fake.store.find(V1_POOLS, "old") is None
