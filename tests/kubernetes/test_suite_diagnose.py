"""--calico-diagnose on a cluster: which paths are dead and why, in words, by the exit code, and nothing left behind."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.diagnosis.faults import FAULTS
from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.granted import FOR_POOLS, granted
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root
from tests.kubernetes.world import Run, World

pytestmark = needs_root

RAW = CalicoSpec(group="crd", mode=Mode.BGP)
JUNIT = "--junitxml=junit.xml"
PODS = ("--calico-diagnose", "--calico-path=pod-to-pod", JUNIT)


def drop(*matches: str) -> str:
    """Rules by which the network between the nodes drops such packets, in place of what it dropped before."""
    rules = "".join(f"    {match} drop\n" for match in matches)
    return (
        "table bridge fault\ndelete table bridge fault\ntable bridge fault {\n  chain between {\n"
        f"    type filter hook forward priority 0;\n{rules}  }}\n}}\n"
    )


def dead(world: World, run: Run, mode: str) -> str:
    """What is told of pod-to-pod in a mode, on one line."""
    assert run.cells["reachability", "pod-to-pod", mode]["outcome"] == "unreachable", run.output
    cases = ET.parse(world.folder / "junit.xml").iter("testcase")
    (failure,) = (case.find("failure") for case in cases if case.get("name") == f"pod-to-pod-{mode}")
    assert failure is not None
    return " ".join(str(failure.text).split())


def faults(told: str) -> list[str]:
    """The catalogue's keys of the faults that were found."""
    assert told.count("it means: ") == sum(fault.meaning in told for fault in FAULTS.values())
    return [key for key, fault in FAULTS.items() if fault.meaning in told]


def test_a_whole_cluster(make_world: MakeWorld):
    world = make_world(RAW)
    run = world.run(
        "--calico-diagnose",
        "--calico-mode=bgp,ipip,vxlan",
        "--calico-path=host-to-host,pod-to-pod",
        JUNIT,
    )
    assert run.code == 0, run.output
    assert "4 of 4 paths carry payload" in run.output
    assert "host-to-host: ok (path MTU 1500, route dev eth0" in run.output
    assert "pod-to-pod vxlan: ok (path MTU 1450, route dev vxlan.calico via" in run.output
    assert set(run.outcomes().values()) == {"ok"}
    assert not any(cell["samples"] for cell in run.cells.values())
    names = [case.get("name") for case in ET.parse(world.folder / "junit.xml").iter("testcase")]
    assert names == ["host-to-host", "pod-to-pod-bgp", "pod-to-pod-ipip", "pod-to-pod-vxlan"]
    assert world.ours() == []


def test_one_mode_at_a_time(make_world: MakeWorld):
    world = make_world(RAW)
    switching = ("--calico-provision=switch", "--calico-mode=bgp,vxlan")
    run = world.run(*PODS, *switching, "--calico-path=host-to-host")
    assert run.code == 0, run.output
    told = [
        run.output.index(words)
        for words in ("host-to-host: ok", "pod-to-pod bgp: ok", "pod-to-pod vxlan: ok")
    ]
    assert told == sorted(told)
    assert "has ipipMode Never, vxlanMode Never again, as before" in run.output
    assert world.ours() == []


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One whose user may do no more than docs/rbac.yaml grants by default."""
    one = make_world(RAW)
    one.fake.rbac.rules = granted(*FOR_POOLS)
    return one


def test_a_network_that_takes_nodes_addresses_only_and_no_ipip(world: World):
    world.plane.set_rules(FABRIC, drop("ip saddr 198.19.0.0/16", "ip protocol 4"))
    run = world.run(*PODS, "--calico-mode=bgp,ipip,vxlan")
    assert run.code == 1
    assert faults(dead(world, run, "bgp")) == ["pod-addresses-dropped"]
    assert faults(dead(world, run, "ipip")) == ["ipip-dropped"]
    assert run.cells["reachability", "pod-to-pod", "vxlan"]["outcome"] == "ok"
    assert "1 of 3 paths carries payload; unreachable: pod-to-pod bgp, pod-to-pod ipip" in run.output
    assert "  do: " in run.output
    assert "FAILED calico-diagnose::pod-to-pod-bgp" in run.output
    assert world.ours() == []


def test_a_network_that_lets_no_bgp_pass(world: World):
    world.plane.set_rules(FABRIC, drop("tcp dport 179", "tcp sport 179"))
    for node in ("node1", "node2"):
        socket = f"{world.plane.sandbox.scratch(node)}/bird.ctl"
        world.plane.run(node, "birdc", "-s", socket, "restart", "all").check()
    run = world.run(*PODS, "--calico-mode=bgp,vxlan")
    assert run.code == 1
    told = dead(world, run, "bgp")
    assert faults(told) == ["bgp-port-blocked"]
    assert "would work, as far as was seen: vxlan" in told
    assert run.cells["reachability", "pod-to-pod", "vxlan"]["outcome"] == "ok"
    assert "179" in run.output
    assert world.ours() == []
