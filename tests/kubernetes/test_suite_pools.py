"""The whole suite through the kubernetes client, with real packets, every mode in a pool of its own."""

from __future__ import annotations

import json

import pytest

from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root
from tests.kubernetes.world import QUICK

pytestmark = needs_root

RAW = CalicoSpec(group="crd", managed_by="manifest", mode=Mode.IPIP)
SERVED = CalicoSpec(group="aggregated", managed_by="operator", mode=Mode.VXLAN)
NATIVE = CalicoSpec(group="native", managed_by="operator", mode=Mode.BGP)
OLD = CalicoSpec(version="v3.28.5", group="crd", managed_by="manifest", mode=Mode.BGP)
DEVICES = {"ipip": "tunl0", "vxlan": "vxlan.calico", "bgp": "eth0"}


def test_every_mode_on_every_path_of_one_subnet(make_world: MakeWorld):
    world = make_world(RAW)
    world.populate()
    before = world.theirs()
    run = world.run(
        "--calico-mode=bgp,ipip,vxlan,ipip-cross-subnet,current",
        "--calico-path=host-to-host,host-to-pod,pod-to-host,pod-to-pod,pod-to-pod-same-node,pod-to-service",
        "--calico-probe=ping,connect",
        "-k",
        "ping or pod-to-service",
        "--calico-rounds=1",
        "--calico-duration=0.2",
        "--html=report.html",
        "--self-contained-html",
    )
    assert run.code == 0, run.output
    assert world.ours() == []
    assert world.theirs() == before
    for (probe, path, mode), outcome in run.outcomes().items():
        assert outcome == ("unsupported" if mode == "ipip-cross-subnet" else "ok"), (probe, path, mode)
    for mode, device in DEVICES.items():
        evidence = run.cells["ping", "pod-to-pod", mode]["evidence"]
        assert evidence["forward"]["device"] == evidence["backward"]["device"] == device
        assert evidence["client"]["node"] != evidence["server"]["node"]
    assert run.cells["ping", "pod-to-pod", "current"]["evidence"]["forward"]["device"] == "tunl0"
    cross = run.cells["ping", "pod-to-pod", "ipip-cross-subnet"]
    assert cross["reason"].startswith("not exercised: one subnet")
    assert {path for _, path, mode in run.cells if mode == "bgp"} >= {
        "pod-to-service",
        "pod-to-pod-same-node",
    }

    facts = run.record["cluster"]
    assert facts["calico"]["version"] == RAW.version
    assert {node["name"] for node in facts["nodes"]} == {"node1", "node2"}
    assert len({pool["range"] for pool in facts["test_pools"]}) == 3
    # One VXLAN pool is enough to make all new pods smaller: that is said, not hidden.
    assert set(facts["pod_mtu"].values()) == {1450}
    assert "equal pod MTU (1450)" in run.output
    assert (
        "masquerade" in run.output
    )  # test pools lie outside the pods' range, so kube-proxy does so to Services
    assert "to repeat: nodes: {pair: [node1, node2]}" in run.output
    report = (world.folder / "report.html").read_text()
    assert "equal pod MTU (1450)" in report
    assert RAW.version in report


def test_cross_subnet_modes_between_two_subnets(make_world: MakeWorld):
    """Nodes of two subnets: both CrossSubnet modes wrap packets, and plain BGP finds no way."""
    world = make_world(SERVED, nodes=3, subnets=2)
    world.populate()
    before = world.theirs()
    run = world.run(
        "--calico-mode=ipip-cross-subnet,vxlan-cross-subnet,bgp", "--calico-path=pod-to-pod", *QUICK
    )
    outcomes = run.outcomes()
    assert outcomes["ping", "pod-to-pod", "ipip-cross-subnet"] == "ok", run.output
    assert outcomes["ping", "pod-to-pod", "vxlan-cross-subnet"] == "ok"
    assert outcomes["ping", "pod-to-pod", "bgp"] == "unreachable"
    assert run.cells["ping", "pod-to-pod", "ipip-cross-subnet"]["evidence"]["forward"]["device"] == "tunl0"
    assert (
        run.cells["ping", "pod-to-pod", "vxlan-cross-subnet"]["evidence"]["forward"]["device"]
        == "vxlan.calico"
    )
    assert run.code == 1
    assert world.ours() == []
    assert world.theirs() == before


@pytest.mark.parametrize("calico", [SERVED, NATIVE, OLD], ids=["aggregated", "native", "v3.28"])
def test_whatever_api_and_version_calico_has(make_world: MakeWorld, calico: CalicoSpec):
    world = make_world(calico)
    world.populate()
    before = world.theirs()
    run = world.run("--calico-mode=bgp,ipip,vxlan", "--calico-path=pod-to-pod", *QUICK)
    assert run.code == 0, run.output
    for mode, device in DEVICES.items():
        assert run.cells["ping", "pod-to-pod", mode]["evidence"]["forward"]["device"] == device
    assert world.ours() == []
    assert world.theirs() == before


def test_mode_current_writes_no_pool(make_world: MakeWorld):
    world = make_world(RAW)
    run = world.run("--calico-mode=current", "--calico-path=pod-to-pod", *QUICK)
    assert run.code == 0, run.output
    written = [each for each in world.fake.requests if each.verb not in ("get", "list", "watch")]
    assert {each.resource for each in written} == {"namespaces", "pods", "selfsubjectaccessreviews"}
    assert world.ours() == []


def test_hostile_names_reach_no_report_unescaped(make_world: MakeWorld):
    world = make_world(RAW)
    information = ("crd.projectcalico.org", "v1", "clusterinformations")
    world.fake.store.patch(information, "default", {"spec": {"clusterType": "<script>alert(1)</script>"}})
    world.fields["description"] = "<img src=x onerror=alert(2)> $(touch pwned) `touch pwned`"
    run = world.run(
        "--calico-mode=current",
        "--calico-path=pod-to-pod",
        *QUICK,
        "--html=report.html",
        "--self-contained-html",
    )
    assert run.code == 0, run.output
    report = (world.folder / "report.html").read_text()
    assert "<script>alert(1)" not in report
    assert "<img src=x" not in report
    assert not (world.folder / "pwned").exists()
    assert "alert(2)" in json.dumps(run.record)  # it is recorded as it is, and harmless


def test_with_wireguard_only_the_network_as_it_is_can_be_measured(make_world: MakeWorld):
    world = make_world(CalicoSpec(group="crd", mode=Mode.IPIP, wireguard=True))
    run = world.run("--calico-mode=current,ipip", "--calico-path=pod-to-pod", *QUICK)
    assert run.outcomes()["ping", "pod-to-pod", "current"] == "ok", run.output
    assert run.cells["ping", "pod-to-pod", "current"]["evidence"]["expected_encapsulation"] is None
    assert run.outcomes()["ping", "pod-to-pod", "ipip"] == "unsupported"
    assert "WireGuard" in run.cells["ping", "pod-to-pod", "ipip"]["reason"]
    assert world.ours() == []
