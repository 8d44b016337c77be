"""Turning a cluster's own pool, and back again: to the byte, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.kubernetes.journal import ANNOTATION, Entry
from pytest_calico_perf.cluster.kubernetes.resource import INSTALLATIONS
from pytest_calico_perf.cluster.kubernetes.unfinished import recover, restore
from pytest_calico_perf.model import Mode
from tests.unit.kubernetes.switchable import (
    CIDR,
    Cluster,
    Killed,
    environment,
    journal,
    manifest,
    operator,
    switch,
)

CLUSTERS: dict[str, Callable[[], Cluster]] = {
    "manifest": manifest,
    "operator": operator,
    # Raw CRDs fill in no default, and an absent field must be absent again.
    "manifest with fields absent": lambda: manifest(ipipMode="CrossSubnet", vxlanMode=None),
    "manifest with all fields absent": lambda: manifest(ipipMode=None, vxlanMode=None),
    "operator with the field absent": lambda: operator(None),
}
MODES = (Mode.BGP, Mode.VXLAN, Mode.IPIP, Mode.CURRENT, Mode.VXLAN_CROSS_SUBNET)


@pytest.fixture(params=CLUSTERS)
def cluster(request) -> Cluster:
    return CLUSTERS[request.param]()


@pytest.mark.parametrize(
    ("mode", "pool"),
    [
        (Mode.BGP, ("Never", "Never")),
        (Mode.IPIP, ("Always", "Never")),
        (Mode.IPIP_CROSS_SUBNET, ("CrossSubnet", "Never")),
        (Mode.VXLAN, ("Never", "Always")),
        (Mode.VXLAN_CROSS_SUBNET, ("Never", "CrossSubnet")),
    ],
)
def test_every_mode_is_had_and_all_is_as_before_afterwards(cluster, mode, pool, tmp_path):
    before = cluster.state
    one = switch(cluster, tmp_path)
    one.to(mode)
    assert cluster.modes == pool
    one.restore()
    assert cluster.state == before
    assert not journal(cluster, tmp_path).path.exists()


def test_notes_are_there_before_the_first_change_and_say_how_it_was(tmp_path):
    cluster = manifest()
    seen = []
    cluster.meanwhile = [
        lambda: seen.append((journal(cluster, tmp_path).read(), cluster.note)),
        lambda: seen.append((journal(cluster, tmp_path).read(), cluster.note)),
    ]
    switch(cluster, tmp_path).to(Mode.VXLAN)
    (on_disk, nothing_yet), (about_to, noted) = seen
    assert on_disk.original == {"ipipMode": "Always", "vxlanMode": "Never"}
    assert on_disk.written == ()
    assert nothing_yet is None
    assert about_to.written == ({"ipipMode": "Never", "vxlanMode": "Always"},)
    assert Entry.parse(noted, "", remedy="") == on_disk
    first, second = cluster.patches
    assert "spec" not in first[1]
    assert second[1]["spec"] == {"ipipMode": "Never", "vxlanMode": "Always"}


def test_under_an_operator_the_installation_is_patched_and_nothing_of_it_is_lost(tmp_path):
    cluster = operator()
    one = switch(cluster, tmp_path)
    one.to(Mode.BGP)
    assert [name for name, _ in cluster.patches] == ["default", "default"]
    calico = cluster.raw(INSTALLATIONS, "default")["spec"]["calicoNetwork"]
    assert calico == {
        "bgp": "Enabled",
        "ipPools": [
            {"cidr": "2001:db8::/64", "encapsulation": "None"},
            {"cidr": CIDR, "blockSize": 26, "encapsulation": "None"},
        ],
    }


def test_current_is_the_mode_it_had(cluster, tmp_path):
    one = switch(cluster, tmp_path)
    had = cluster.modes
    one.to(Mode.CURRENT)
    assert cluster.modes == had
    one.to(Mode.VXLAN)
    one.to(Mode.CURRENT)
    assert cluster.modes == had
    assert cluster.note is not None


def test_restoring_without_a_switch_asks_nothing(tmp_path):
    cluster = manifest()
    one = switch(cluster, tmp_path)
    asked = cluster.steps
    one.restore()
    assert cluster.steps == asked


def test_restoring_twice_is_restoring_once(tmp_path):
    cluster = manifest()
    one = switch(cluster, tmp_path)
    one.to(Mode.BGP)
    one.restore()
    patches = len(cluster.patches)
    one.restore()
    assert len(cluster.patches) == patches


def steps_of(make: Callable[[], Cluster], folder: Path) -> int:
    cluster = make()
    one = switch(cluster, folder)
    before = cluster.steps
    for mode in MODES:
        one.to(mode)
    steps = cluster.steps - before
    one.restore()
    return steps


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_ctrl_c_at_any_step_leaves_everything_as_it_was(name, late, tmp_path):
    steps = steps_of(CLUSTERS[name], tmp_path)
    assert steps > 20
    for moment in range(1, steps + 1):
        cluster = CLUSTERS[name]()
        before = cluster.state
        one = switch(cluster, tmp_path)
        cluster.end_at, cluster.late = cluster.steps + moment, late
        with pytest.raises(KeyboardInterrupt):
            for mode in MODES:
                one.to(mode)
        one.restore()
        assert cluster.state == before, f"interrupted at step {moment}"
        assert not journal(cluster, tmp_path).path.exists()


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_after_a_kill_at_any_step_the_next_run_restores_first_and_says_so(name, late, tmp_path):
    for moment in range(1, steps_of(CLUSTERS[name], tmp_path) + 1):
        cluster = CLUSTERS[name]()
        before = cluster.state
        one = switch(cluster, tmp_path)
        cluster.end, cluster.end_at, cluster.late = Killed, cluster.steps + moment, late
        with pytest.raises(Killed):
            for mode in MODES:
                one.to(mode)
        noted = cluster.note is not None or journal(cluster, tmp_path).path.exists()
        said = recover(cluster, deadline=0.0, environment=environment(tmp_path))
        assert len(said) == noted
        assert all("as before" in sentence and "run bcdfgh" in sentence for sentence in said)
        assert cluster.state == before, f"killed at step {moment}"
        assert not journal(cluster, tmp_path).path.exists()
        assert recover(cluster, deadline=0.0, environment=environment(tmp_path)) == []
        switch(cluster, tmp_path, run="second").to(Mode.BGP)
        journal(cluster, tmp_path).path.unlink()


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_after_a_kill_while_restoring_too(name, late, tmp_path):
    moment = 0
    while True:
        moment += 1
        cluster = CLUSTERS[name]()
        before = cluster.state
        one = switch(cluster, tmp_path)
        one.to(Mode.VXLAN)
        cluster.end, cluster.end_at, cluster.late = Killed, cluster.steps + moment, late
        try:
            one.restore()
        except Killed:
            recover(cluster, deadline=0.0, environment=environment(tmp_path))
            assert cluster.state == before, f"killed at step {moment} of restoring"
            assert not journal(cluster, tmp_path).path.exists()
        else:
            break
    assert moment > 5


def test_the_annotation_alone_is_enough_where_the_disk_is_gone(cluster, tmp_path):
    before = cluster.state
    switch(cluster, tmp_path / "lost").to(Mode.VXLAN)
    assert restore(cluster, deadline=0.0, environment=environment(tmp_path / "new"))
    assert cluster.state == before


def test_the_disk_alone_is_enough_where_the_annotation_was_removed(cluster, tmp_path):
    before = cluster.state
    switch(cluster, tmp_path).to(Mode.VXLAN)
    resource, name = cluster.holder
    cluster.somebody_writes(resource, name, {"metadata": {"annotations": {ANNOTATION: None}}})
    assert restore(cluster, deadline=0.0, environment=environment(tmp_path))
    assert cluster.state == before
    assert not journal(cluster, tmp_path).path.exists()
