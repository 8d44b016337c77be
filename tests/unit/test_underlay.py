"""The lab's underlay on paper: which ports check sources, and which paths that leaves alive."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.lab import underlay
from pytest_calico_perf.cluster.lab.topology import Topology
from pytest_calico_perf.clusterfile import LabFile, load
from pytest_calico_perf.clusterfile.lab import Router, Underlay
from pytest_calico_perf.model import Mode, Path


def plan(*checked: str, name: str = "lab", **changes: object) -> Topology:
    file = load(name)
    assert isinstance(file, LabFile)
    return Topology.of(
        file.model_copy(update={"underlay": Underlay.model_validate({"source-check": checked}), **changes}),
        tuple(Mode),
    )


def dead(topology: Topology, mode: Mode) -> set[str]:
    return {str(path) for path in Path if path.has_mode and not topology.works(path, topology.pool(mode))}


def test_no_check_no_rules() -> None:
    assert underlay.rules(plan()) == ""


def test_only_the_ports_that_check_have_a_rule() -> None:
    text = underlay.rules(plan("node2", "node1"))
    assert [line.strip() for line in text.splitlines() if "iifname" in line] == [
        'iifname "node1" ip saddr != 198.18.0.2 counter drop',
        'iifname "node2" ip saddr != 198.18.0.3 counter drop',
    ]


CHECKED = {
    "nobody": ((), Mode.BGP, set()),
    "another-node": (("node3",), Mode.BGP, set()),
    "client": (("node1",), Mode.BGP, {"pod-to-host", "pod-to-pod", "pod-to-service"}),
    "server": (("node2",), Mode.BGP, {"host-to-pod", "pod-to-pod", "pod-to-service"}),
    "both": (("node1", "node2"), Mode.BGP, {"host-to-pod", "pod-to-host", "pod-to-pod", "pod-to-service"}),
    # What a pod sends to a host travels bare.
    "both-ipip": (("node1", "node2"), Mode.IPIP, {"host-to-pod", "pod-to-host"}),
    "both-vxlan": (("node1", "node2"), Mode.VXLAN, {"host-to-pod", "pod-to-host"}),
    "server-ipip": (("node2",), Mode.IPIP, {"host-to-pod"}),
    "client-cross-subnet": (
        ("node1",),
        Mode.IPIP_CROSS_SUBNET,
        {"pod-to-host", "pod-to-pod", "pod-to-service"},
    ),
}


@pytest.mark.parametrize(("checked", "mode", "expected"), CHECKED.values(), ids=CHECKED)
def test_what_a_check_kills(checked: tuple[str, ...], mode: Mode, expected: set[str]) -> None:
    assert dead(plan(*checked), mode) == expected


def test_a_router_that_knows_no_pods_still_counts() -> None:
    across = {"host-to-pod", "pod-to-host", "pod-to-pod", "pod-to-service"}
    assert dead(plan(name="lab-two-subnets"), Mode.BGP) == across
    assert dead(plan(name="lab-two-subnets", router=Router(bgp=True)), Mode.BGP) == set()
    assert dead(plan(name="lab-two-subnets"), Mode.IPIP_CROSS_SUBNET) == set()


def test_the_published_lab_lacks_what_the_article_lacked() -> None:
    file = load("published")
    assert isinstance(file, LabFile)
    topology = Topology.of(file, (Mode.IPIP, Mode.BGP))
    assert topology.pair == ("node2", "node3")
    published = (Path.HOST_TO_POD, Path.POD_TO_POD)
    assert [topology.works(path, topology.pool(Mode.BGP)) for path in published] == [True, False]
    assert [topology.works(path, topology.pool(Mode.IPIP)) for path in published] == [True, True]
