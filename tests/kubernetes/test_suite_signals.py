"""Signals as CI systems send them: one, and some seconds later another."""

from __future__ import annotations

import signal
import time

from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.fake import delay
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root

pytestmark = needs_root

POOL = ("crd.projectcalico.org", "v1", "ippools")


def test_a_second_signal_does_not_keep_the_pool_from_being_put_back(make_world: MakeWorld):
    world = make_world(CalicoSpec(group="crd", mode=Mode.BGP))
    world.populate()
    process = world.start(
        "--calico-provision=switch", "--calico-mode=ipip", "--calico-path=pod-to-pod", "--calico-probe=ping",
        "--calico-rounds=200",
    )  # fmt: skip
    world.wait_for_line("round 2/200")
    pool = world.fake.store.list(POOL)[0]["metadata"]["name"]
    assert world.fake.store.get(POOL, pool)["spec"]["ipipMode"] == "Always"
    world.fake.faults.add(("PATCH", r"/ippools/"), delay(2.0))  # putting back takes a while
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    run = world.finish(process)
    assert run.code != 0
    put_back = world.fake.store.get(POOL, pool)
    assert put_back["spec"].get("ipipMode", "Never") == "Never", run.output
    assert not put_back["metadata"].get("annotations")
    assert not list((world.folder / "state").rglob("*.json"))
    # What the second signal cut short is named with the command that ends it.
    if world.ours():
        assert "--calico-cleanup" in run.output
        assert world.run("--calico-cleanup").code == 0
    assert world.ours() == []
