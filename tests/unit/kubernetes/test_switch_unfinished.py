"""Finding what a run did not live to take back, and whose it is."""

from __future__ import annotations

import json

import pytest

from pytest_calico_perf.cluster.kubernetes.journal import ANNOTATION
from pytest_calico_perf.cluster.kubernetes.ours import owner
from pytest_calico_perf.cluster.kubernetes.resource import NAMESPACES, CalicoApi
from pytest_calico_perf.cluster.kubernetes.unfinished import recover, restore, unfinished, warn
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotRestored
from pytest_calico_perf.model import Mode
from tests.unit.kubernetes.objects import RAW, RAW_API, V3
from tests.unit.kubernetes.switchable import (
    DEAD,
    ELSEWHERE,
    POOL,
    Cluster,
    environment,
    journal,
    manifest,
    operator,
    switch,
)


@pytest.fixture(params=[manifest, operator])
def cluster(request) -> Cluster:
    return request.param()


def recovered(cluster, folder) -> list[str]:
    return recover(cluster, deadline=0.0, environment=environment(folder))


def restored(cluster, folder) -> list[str]:
    return restore(cluster, deadline=0.0, environment=environment(folder))


def warned(cluster, folder) -> list[str]:
    return warn(cluster, environment=environment(folder))


def test_where_nothing_was_switched_there_is_nothing_to_do(cluster, tmp_path):
    assert warned(cluster, tmp_path) == []
    assert restored(cluster, tmp_path) == []
    assert recovered(cluster, tmp_path) == []
    assert not cluster.patches
    assert not list(tmp_path.iterdir())


def test_a_run_that_goes_on_is_not_disturbed_by_anybody(cluster, tmp_path):
    switch(cluster, tmp_path, owner=owner()).to(Mode.VXLAN)
    state = cluster.state
    for act in (recovered, restored):
        with pytest.raises(ClusterProblem, match=r"switched right now, by run bcdfgh \(.*\), since "):
            act(cluster, tmp_path)
    assert cluster.state == state


def test_a_run_of_another_machine_is_put_back_only_when_a_person_asks(cluster, tmp_path):
    before = cluster.state
    switch(cluster, tmp_path / "there", owner=ELSEWHERE).to(Mode.VXLAN)
    state = cluster.state
    with pytest.raises(ClusterProblem, match="of another machine, so nobody here knows") as caught:
        recovered(cluster, tmp_path / "here")
    assert "--calico-restore" in str(caught.value)
    assert cluster.state == state
    [said] = restored(cluster, tmp_path / "here")
    assert f"(left by run bcdfgh ({ELSEWHERE})" in said
    assert cluster.state == before


def test_a_note_on_disk_and_on_the_object_are_one_switch(cluster, tmp_path):
    switch(cluster, tmp_path).to(Mode.VXLAN)
    [found] = unfinished(cluster, journal(cluster, tmp_path))
    assert found.target.where == (
        "Installation default, pool 10.244.0.0/16" if cluster.by_operator else f"pool {POOL}"
    )


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"version": 1}', "\x1b[31m"])
def test_a_note_that_cannot_be_read_changes_nothing_and_says_how_to_go_on(text, cluster, tmp_path):
    resource, name = cluster.holder
    cluster.somebody_writes(resource, name, {"metadata": {"annotations": {ANNOTATION: text}}})
    state = cluster.state
    for act in (
        lambda: restored(cluster, tmp_path),
        lambda: recovered(cluster, tmp_path),
        lambda: switch(cluster, tmp_path).to(Mode.BGP),
    ):
        with pytest.raises(NotRestored, match="cannot be read") as caught:
            act()
        assert f"kubectl annotate {resource} {name} {ANNOTATION}-" in str(caught.value)
    assert cluster.state == state


def test_a_note_of_another_cluster_is_not_believed(cluster, tmp_path):
    switch(cluster, tmp_path / "there").to(Mode.VXLAN)
    cluster.raw(NAMESPACES, "kube-system")["metadata"]["uid"] = "0a1b2c3d-0000-4000-8000-000000000002"
    state = cluster.state
    with pytest.raises(NotRestored, match="of another cluster"):
        restored(cluster, tmp_path)
    assert cluster.state == state


def test_a_note_with_a_made_up_original_cannot_write_anything_but_a_mode(tmp_path):
    cluster = manifest()
    switch(cluster, tmp_path / "lost").to(Mode.VXLAN)
    entry = json.loads(cluster.note or "")
    entry["original"]["natOutgoing"] = "false"
    resource, name = cluster.holder
    cluster.somebody_writes(resource, name, {"metadata": {"annotations": {ANNOTATION: json.dumps(entry)}}})
    with pytest.raises(NotRestored):
        restored(cluster, tmp_path)
    assert cluster.modes == ("Never", "Always")


def test_a_pool_switched_before_an_api_server_of_calicos_came_is_put_back_through_it(tmp_path):
    cluster = manifest()
    switch(cluster, tmp_path).to(Mode.VXLAN)
    # The aggregated API shows the annotations of a pool from elsewhere (projectcalico.org/metadata): none here.
    aggregated = CalicoApi(*V3, storage=RAW)
    cluster.raw(RAW_API.pools, POOL)["metadata"].pop("annotations")
    cluster.add(aggregated.pools, cluster.raw(RAW_API.pools, POOL))
    assert restored(cluster, tmp_path)
    assert cluster.modes == ("Always", "Never")


def test_without_calicos_api_a_journal_is_kept_and_said(tmp_path):
    cluster = manifest()
    switch(cluster, tmp_path).to(Mode.VXLAN)
    cluster.served.pop(RAW)
    with pytest.raises(NotRestored, match="serves no pools now"):
        restored(cluster, tmp_path)
    assert journal(cluster, tmp_path).path.exists()


def test_what_somebody_changed_since_the_kill_is_left_alone_by_the_next_run(tmp_path):
    cluster = manifest()
    switch(cluster, tmp_path).to(Mode.VXLAN)
    cluster.somebody_writes(*cluster.holder, {"spec": {"vxlanMode": "CrossSubnet"}})
    state = cluster.state
    for act in (recovered, restored):
        with pytest.raises(NotRestored, match="somebody changed it since"):
            act(cluster, tmp_path)
    assert cluster.state == state
    assert journal(cluster, tmp_path).path.exists()


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (DEAD, f"was switched and not put back, by run bcdfgh ({DEAD})"),
        (ELSEWHERE, f"was switched and not put back, by run bcdfgh ({ELSEWHERE})"),
    ],
)
def test_a_run_that_only_measures_is_told_of_a_switch_that_was_not_put_back(who, words, cluster, tmp_path):
    switch(cluster, tmp_path, owner=who).to(Mode.VXLAN)
    state = cluster.state
    [said] = warned(cluster, tmp_path)
    assert words in said
    assert "put back what it changed: pytest --calico-cluster=FILE --calico-restore" in said
    assert cluster.state == state
    restored(cluster, tmp_path)
    assert warned(cluster, tmp_path) == []


def test_a_run_that_only_measures_is_told_of_one_that_switches_right_now(cluster, tmp_path):
    switch(cluster, tmp_path, owner=owner()).to(Mode.VXLAN)
    [said] = warned(cluster, tmp_path)
    assert "is switched right now, by run bcdfgh" in said
    assert "--calico-restore" not in said


def test_permission_to_look_is_enough_to_be_told_by_the_note_on_the_object(cluster, tmp_path):
    cluster.refused.add(NAMESPACES.plural)
    assert warned(cluster, tmp_path) == []
    cluster.refused.clear()
    switch(cluster, tmp_path / "elsewhere").to(Mode.VXLAN)
    cluster.refused.add(NAMESPACES.plural)
    [said] = warned(cluster, tmp_path)
    assert "not put back, by run bcdfgh" in said


def test_a_journal_alone_is_told_too(tmp_path):
    cluster = manifest()
    switch(cluster, tmp_path).to(Mode.VXLAN)
    resource, name = cluster.holder
    cluster.somebody_writes(resource, name, {"metadata": {"annotations": {ANNOTATION: None}}})
    assert len(warned(cluster, tmp_path)) == 1
    cluster.served.pop(RAW)
    with pytest.raises(NotRestored, match="serves no pools now"):
        warned(cluster, tmp_path)


def test_a_note_that_cannot_be_read_is_no_cluster_to_measure(cluster, tmp_path):
    resource, name = cluster.holder
    cluster.somebody_writes(resource, name, {"metadata": {"annotations": {ANNOTATION: "{}"}}})
    with pytest.raises(NotRestored, match="cannot be read"):
        warned(cluster, tmp_path)


def test_an_api_that_fails_is_not_a_cluster_that_nobody_switched(tmp_path):
    cluster = manifest()
    cluster.down = True
    with pytest.raises(ApiProblem):
        warned(cluster, tmp_path)
