"""The whole suite with the cluster's own pool turned from mode to mode, and put back however the run ends."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root
from tests.kubernetes.world import QUICK, World

pytestmark = needs_root

MANIFEST = CalicoSpec(group="crd", managed_by="manifest", mode=Mode.BGP)
OPERATOR = CalicoSpec(group="aggregated", managed_by="operator", mode=Mode.BGP)
KINDS = pytest.mark.parametrize("calico", [MANIFEST, OPERATOR], ids=["manifest", "operator"])
SWITCH = ("--calico-provision=switch", "--calico-path=pod-to-pod")


@KINDS
def test_modes_are_measured_one_at_a_time_there_and_back(make_world: MakeWorld, calico: CalicoSpec):
    world = make_world(calico)
    world.populate()
    before = world.theirs()
    run = world.run("--calico-mode=bgp,ipip,vxlan", *SWITCH, *QUICK)
    assert run.code == 0, run.output
    turns = [
        line.split()[-1] for line in run.output.splitlines() if line.startswith("turning the cluster to")
    ]
    assert turns == ["bgp", "ipip", "vxlan", "ipip", "bgp"]
    devices = {"bgp": "eth0", "ipip": "tunl0", "vxlan": "vxlan.calico"}
    for mode, device in devices.items():
        cell = run.cells["ping", "pod-to-pod", mode]
        assert cell["outcome"] == "ok"
        assert len(cell["samples"]) == 2
        assert cell["evidence"]["forward"]["device"] == device
    # Pods are made anew after each switch, so each mode has the MTU it would have alone.
    assert run.record["cluster"]["pod_mtu"] == {"bgp": 1500, "ipip": 1480, "vxlan": 1450}
    assert "different pod MTUs" in run.output
    assert world.ours() == []
    assert world.theirs() == before
    assert not list((world.folder / "state").rglob("*.json"))


def test_pods_made_before_felix_had_restarted_are_made_anew(make_world: MakeWorld):
    """Ready all the while, and routes come when pods are there already, with the MTU of the mode before."""
    world = make_world(replace(MANIFEST, felix_notices=4.0))
    run = world.run("--calico-mode=vxlan,bgp", *SWITCH, *QUICK)
    assert run.code == 0, run.output
    assert run.record["cluster"]["pod_mtu"] == {"vxlan": 1450, "bgp": 1500}
    stale = "mode vxlan: its pods have the MTU of the mode before, 1500, not 1450; making them anew"
    assert stale in run.output
    assert world.ours() == []


@pytest.mark.parametrize(
    ("calico", "number"),
    [(MANIFEST, signal.SIGINT), (OPERATOR, signal.SIGTERM)],
    ids=["manifest-SIGINT", "operator-SIGTERM"],
)
def test_an_interrupt_puts_the_mode_back(make_world: MakeWorld, calico: CalicoSpec, number: signal.Signals):
    world = make_world(calico)
    world.populate()
    before = world.theirs()
    process = world.start("--calico-mode=ipip,vxlan", *SWITCH, "--calico-probe=ping", "--calico-rounds=200")
    world.wait_for_line("round 2/200")
    process.send_signal(number)
    run = world.finish(process)
    assert run.code == pytest.ExitCode.INTERRUPTED
    assert run.record["interrupted"] is True
    assert len(run.cells["ping", "pod-to-pod", "ipip"]["samples"]) >= 1
    assert world.ours() == []
    assert world.theirs() == before


def killed(world: World) -> None:
    """A run that was killed while the cluster was switched."""
    process = world.start("--calico-mode=vxlan,ipip", *SWITCH, "--calico-probe=ping", "--calico-rounds=200")
    world.wait_for_line("round 2/200")
    process.kill()
    process.wait(10)


def test_after_kill_9_a_person_puts_it_back(make_world: MakeWorld):
    world = make_world(OPERATOR)
    world.populate()
    before = world.theirs()
    killed(world)
    assert world.theirs() != before
    assert world.ours() != []
    run = world.run("--calico-restore")
    assert run.code == 0, run.output
    assert "as before" in run.output
    cleaned = world.run("--calico-cleanup")
    assert cleaned.code == 0, cleaned.output
    world.plane.settle()
    assert world.ours() == []
    assert world.theirs() == before
    again = world.run("--calico-restore")
    assert again.code == 0
    assert "no switch of ours is left" in again.output


def test_cleanup_of_a_run_killed_while_switched_says_what_is_not_cleaned_up(make_world: MakeWorld):
    world = make_world(MANIFEST)
    world.populate()
    before = world.theirs()
    killed(world)
    cleaned = world.run("--calico-cleanup")
    assert cleaned.code == 1, cleaned.output
    assert "is still switched, by run " in cleaned.output
    assert f"pytest --calico-cluster={world.cluster_file} --calico-restore puts it back" in cleaned.output
    assert world.ours() == []
    switched = world.theirs()
    shown = world.run("--calico-restore", "--collect-only")
    assert shown.code == 0, shown.output
    assert "would put back pool " in shown.output
    assert world.theirs() == switched != before
    assert world.run("--calico-restore").code == 0
    assert world.run("--calico-cleanup").code == 0
    world.plane.settle()
    assert world.theirs() == before


def test_after_kill_9_the_next_run_puts_it_back_first(make_world: MakeWorld):
    world = make_world(MANIFEST)
    world.populate()
    before = world.theirs()
    killed(world)
    run = world.run("--calico-mode=ipip", *SWITCH, *QUICK)
    assert run.code == 0, run.output
    assert "as before (left by" in run.output
    assert world.run("--calico-cleanup").code == 0
    world.plane.settle()
    assert world.theirs() == before


def test_a_switch_that_does_not_come_into_effect_poisons_its_mode_only(make_world: MakeWorld):
    """An operator that is content with what it has: the pool never follows."""
    world = make_world(OPERATOR, fields={"timeouts": {"switch": 3.0}})
    world.populate()
    before = world.theirs()

    def stubborn(operation: str, new: dict, old: dict | None) -> dict:
        if new["kind"] == "IPPool" and old and new["spec"].get("vxlanMode") == "Always":
            return old
        return new

    world.fake.store.admit(stubborn)
    run = world.run("--calico-mode=bgp,vxlan,ipip", *SWITCH, *QUICK)
    outcomes = run.outcomes()
    assert outcomes["ping", "pod-to-pod", "bgp"] == "ok", run.output
    assert outcomes["ping", "pod-to-pod", "ipip"] == "ok"
    assert outcomes["ping", "pod-to-pod", "vxlan"] == "tool-error"
    assert (
        "not in mode vxlan 3 s after it was asked for" in run.cells["ping", "pod-to-pod", "vxlan"]["reason"]
    )
    assert run.code == 1
    assert world.ours() == []
    assert world.theirs() == before


def test_a_run_that_switches_nothing_refuses_a_cluster_that_is_still_switched(make_world: MakeWorld):
    """It would take the mode a killed run left behind for the user's own."""
    world = make_world(MANIFEST)
    world.populate()
    killed(world)
    run = world.run("--calico-mode=current", "--calico-path=pod-to-pod", *QUICK)
    assert run.code == 1
    assert "--calico-restore" in run.output
    assert not run.record["cells"]
    assert world.run("--calico-restore").code == 0
    assert world.run("--calico-cleanup").code == 0
    assert world.run("--calico-mode=current", "--calico-path=pod-to-pod", *QUICK).code == 0
