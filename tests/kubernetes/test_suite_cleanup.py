"""What a run that was killed leaves is shown, removed, and nothing else is."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.kubernetes import ours
from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.fake import status
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root
from tests.kubernetes.world import QUICK

pytestmark = needs_root

RAW = CalicoSpec(group="crd", mode=Mode.BGP)


def test_kill_9_and_cleanup(make_world: MakeWorld):
    world = make_world(RAW)
    world.populate()
    before = world.theirs()
    process = world.start(
        "--calico-mode=bgp,ipip", "--calico-path=pod-to-pod", "--calico-probe=ping", "--calico-rounds=200"
    )
    world.wait_for_line("round 2/200")
    left = world.ours()

    alive = world.run("--calico-cleanup")
    assert "left alone, its run goes on" in alive.output
    assert world.ours() == left

    process.kill()
    process.wait(10)
    shown = world.run("--calico-cleanup", "--collect-only")
    assert shown.code == 0
    assert shown.output.count("would remove") == 4  # two namespaces, two pools
    assert world.ours() == left

    cleaned = world.run("--calico-cleanup")
    assert cleaned.code == 0, cleaned.output
    assert "all of it is gone" in cleaned.output
    world.plane.settle()
    assert world.ours() == []
    assert world.theirs() == before
    assert "nothing of ours is left" in world.run("--calico-cleanup").output


def test_a_pool_that_may_not_be_deleted_is_named_with_the_command_that_will(make_world: MakeWorld):
    world = make_world(RAW)
    world.fake.faults.add(("DELETE", r"/ippools/"), status(403), times=99)
    run = world.run("--calico-mode=ipip", "--calico-path=pod-to-pod", *QUICK)
    assert run.outcomes()["ping", "pod-to-pod", "ipip"] == "ok", run.output
    assert run.code == 1  # what was measured counts, and so does what was left behind
    assert "kubectl delete ippools.crd.projectcalico.org calico-perf-ipip-" in run.output
    assert "--calico-cleanup" in run.output
    world.fake.faults.clear()
    assert world.run("--calico-cleanup").code == 0
    assert world.ours() == []


def test_an_interrupt_while_it_comes_up_leaves_nothing(make_world: MakeWorld):
    world = make_world(RAW)
    world.populate()
    before = world.theirs()
    process = world.start("--calico-mode=bgp,ipip,vxlan", "--calico-path=pod-to-pod", *QUICK)
    world.wait_for_line("to repeat: nodes:")
    process.send_signal(2)
    run = world.finish(process)
    assert run.code == pytest.ExitCode.INTERRUPTED, run.output
    assert world.ours() == []
    assert world.theirs() == before


def test_keep_leaves_everything_and_says_how_to_enter_it(make_world: MakeWorld):
    world = make_world(RAW)
    run = world.run("--calico-mode=bgp", "--calico-path=pod-to-pod", *QUICK, "--calico-keep")
    assert run.code == 0, run.output
    assert "exec -it bgp-client" in run.output
    assert any(each.startswith("IPPool calico-perf-bgp-") for each in world.ours())
    assert world.run("--calico-cleanup").code == 0
    assert world.ours() == []


def test_the_label_decides_and_not_the_name(make_world: MakeWorld):
    """Only the label decides; a namespace that is merely called like ours stays."""
    world = make_world(RAW)
    world.fake.store.create(("", "v1", "namespaces"), {"metadata": {"name": "calico-perf-bcdfgh"}})
    world.fake.store.create(
        ("", "v1", "namespaces"), {"metadata": {"name": "left", "labels": dict(ours.labels("bcdfgh"))}}
    )
    assert world.run("--calico-cleanup").code == 0
    names = {each["metadata"]["name"] for each in world.fake.store.list(("", "v1", "namespaces"))}
    assert "calico-perf-bcdfgh" in names
    assert "left" not in names
