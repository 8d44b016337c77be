"""What a run that was killed leaves is shown, removed, and nothing else is."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.kubernetes import ours
from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.fake import status
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import make_pod, needs_root
from tests.kubernetes.world import QUICK
from tests.unit.kubernetes.switchable import DEAD

pytestmark = needs_root

TCP = ("--calico-probe=tcp", "--calico-rounds=1", "--calico-duration=1")
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


def test_label_and_name_decide_together(make_world: MakeWorld):
    """What is merely called like ours stays, and so does what is merely labelled so: that is said."""
    world = make_world(RAW)
    labels = dict(ours.labels("bcdfgh"))
    annotations = {ours.OWNER: DEAD}
    for name, more in (
        ("calico-perf-bcdfgh", {"labels": labels, "annotations": annotations}),
        ("calico-perf-ghjkmn", {}),
        ("shop", {"labels": labels, "annotations": annotations}),
    ):
        world.fake.store.create(("", "v1", "namespaces"), {"metadata": {"name": name, **more}})
    run = world.run("--calico-cleanup")
    assert run.code == 0, run.output
    names = {each["metadata"]["name"] for each in world.fake.store.list(("", "v1", "namespaces"))}
    assert {"calico-perf-ghjkmn", "shop"} <= names
    assert "calico-perf-bcdfgh" not in names
    assert "not removed: it bears our label but not our name: namespaces shop" in run.output


def test_in_a_namespace_of_the_users_their_pods_of_like_names_stay(make_world: MakeWorld):
    """As two runs of old would have called theirs, and somebody else may: nothing is taken over."""
    world = make_world(RAW, fields={"namespace": "perf"})
    world.fake.store.create(("", "v1", "namespaces"), {"metadata": {"name": "perf"}})
    service = {"spec": {"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP"}]}}
    for name in ("bgp-server", "host-1"):
        body = {"metadata": {"name": name}, **service}
        world.fake.store.create(("", "v1", "services"), body, namespace="perf")
        make_pod(world.plane, name, "node1", namespace="perf")
        world.plane.wait_ready("perf", name)
    world.plane.settle()
    before = world.theirs()
    run = world.run("--calico-mode=bgp", "--calico-path=pod-to-service", *TCP)
    assert run.code == 0, run.output
    assert world.ours() == []
    world.plane.settle()
    assert world.theirs() == before
