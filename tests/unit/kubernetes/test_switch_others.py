"""Others at the same object: another run, a person, the operator; none is overwritten."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from pytest_calico_perf.cluster.kubernetes.journal import ANNOTATION
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotRestored
from pytest_calico_perf.model import Mode
from tests.unit.kubernetes.switchable import (
    CIDR,
    DEAD,
    POOL,
    Cluster,
    journal,
    manifest,
    operator,
    switch,
)


@pytest.fixture(params=[manifest, operator])
def cluster(request) -> Cluster:
    return request.param()


def their(cluster: Cluster, **fields: str) -> dict:
    """Somebody else's change of mode."""
    if cluster.by_operator:
        pools = [{"cidr": CIDR, "encapsulation": fields["encapsulation"]}]
        return {"spec": {"calicoNetwork": {"ipPools": pools}}}
    return {"spec": {"ipipMode": fields["ipipMode"], "vxlanMode": fields["vxlanMode"]}}


CHANGED = {"ipipMode": "CrossSubnet", "vxlanMode": "Never", "encapsulation": "IPIPCrossSubnet"}


@pytest.mark.parametrize("make", [manifest, operator])
def test_what_somebody_else_changed_since_is_left_alone_and_said_with_the_command(make, tmp_path):
    cluster = make()
    one = switch(cluster, tmp_path)
    one.to(Mode.VXLAN)
    cluster.somebody_writes(*cluster.holder, their(cluster, **CHANGED))
    state = cluster.state
    with pytest.raises(NotRestored, match="somebody changed it since") as caught:
        one.restore()
    assert cluster.state == state
    assert journal(cluster, tmp_path).path.exists()
    words = shlex.split(caught.value.remedy.removeprefix("to have it as before: ").partition("; to keep")[0])
    assert words[:2] == ["kubectl", "patch"]
    patch = json.loads(words[-1].removeprefix("--patch="))
    if make is manifest:
        assert words[2:5] == ["ippools.crd.projectcalico.org", POOL, "--type=merge"]
        assert patch == {
            "spec": {"ipipMode": "Always", "vxlanMode": "Never"},
            "metadata": {"annotations": {ANNOTATION: None}},
        }
    else:
        assert words[2:5] == ["installations.operator.tigera.io", "default", "--type=json"]
        assert patch == [
            {"op": "test", "path": "/spec/calicoNetwork/ipPools/0/cidr", "value": CIDR},
            {"op": "add", "path": "/spec/calicoNetwork/ipPools/0/encapsulation", "value": "IPIP"},
            {"op": "remove", "path": "/metadata/annotations/pytest-calico-perf~1original"},
        ]
    assert f"kubectl annotate {words[2]} {words[3]} {ANNOTATION}-" in caught.value.remedy


@pytest.mark.parametrize("make", [manifest, operator])
def test_no_switch_goes_over_somebody_elses_change(make, tmp_path):
    cluster = make()
    one = switch(cluster, tmp_path)
    one.to(Mode.VXLAN)
    cluster.somebody_writes(*cluster.holder, their(cluster, **CHANGED))
    state = cluster.state
    with pytest.raises(ClusterProblem, match="somebody changed it meanwhile"):
        one.to(Mode.BGP)
    assert cluster.state == state


def test_a_change_of_something_else_in_between_is_kept(cluster, tmp_path):
    one = switch(cluster, tmp_path)
    theirs = {"metadata": {"labels": {"team": "blue"}}, "spec": {"natOutgoing": False}}
    cluster.meanwhile = [lambda: cluster.somebody_writes(*cluster.holder, theirs)] * 2
    one.to(Mode.BGP)
    cluster.meanwhile = [lambda: cluster.somebody_writes(*cluster.holder, {"spec": {"blockSize": 27}})]
    one.restore()
    state = cluster.state
    assert state["metadata"]["labels"]["team"] == "blue"
    assert (state["spec"]["natOutgoing"], state["spec"]["blockSize"]) == (False, 27)


def test_an_object_that_others_write_all_the_time_is_given_up(tmp_path):
    cluster = manifest()
    one = switch(cluster, tmp_path)
    one.to(Mode.BGP)
    cluster.meanwhile = [
        lambda: cluster.somebody_writes(*cluster.holder, {"spec": {"blockSize": 27}}) for _ in range(50)
    ]
    with pytest.raises(ApiProblem):
        one.to(Mode.IPIP)
    with pytest.raises(NotRestored, match="not put back to ipipMode Always"):
        one.restore()
    cluster.meanwhile = []
    one.restore()
    assert cluster.modes == ("Always", "Never")


def test_a_second_run_is_refused_and_told_who_and_since_when(cluster, tmp_path):
    switch(cluster, tmp_path / "one").to(Mode.VXLAN)
    state = cluster.state
    second = switch(cluster, tmp_path / "two", run="second")
    for mode in (Mode.BGP, Mode.CURRENT):
        with pytest.raises(
            ClusterProblem, match=rf"switched already, by run bcdfgh \({re.escape(DEAD)}\), since \d{{4}}-"
        ):
            second.to(mode)
    assert not (tmp_path / "two").exists()
    second.restore()
    assert cluster.state == state
    assert not journal(cluster, tmp_path / "two").path.exists()


def test_of_two_runs_that_begin_at_the_same_moment_one_is_refused_and_takes_nothing_away(cluster, tmp_path):
    first, second = switch(cluster, tmp_path / "one"), switch(cluster, tmp_path / "two", run="second")
    cluster.meanwhile = [lambda: first.to(Mode.VXLAN)]  # when the second has looked, and not yet noted itself
    for mode in (Mode.BGP, Mode.IPIP):
        with pytest.raises(ClusterProblem, match="switched already, by run bcdfgh"):
            second.to(mode)
    second.restore()
    assert not journal(cluster, tmp_path / "two").path.exists()
    assert "bcdfgh" in (cluster.note or "")
    before = cluster.modes
    assert before == ("Never", "Always")


def test_of_two_runs_with_one_journal_the_second_leaves_that_of_the_first(tmp_path):
    cluster = manifest()
    first, second = switch(cluster, tmp_path), switch(cluster, tmp_path, run="second")
    first.to(Mode.VXLAN)
    resource, name = cluster.holder
    cluster.somebody_writes(resource, name, {"metadata": {"annotations": {ANNOTATION: None}}})
    with pytest.raises(ClusterProblem, match="another run has noted"):
        second.to(Mode.BGP)
    second.restore()
    found = journal(cluster, tmp_path).read()
    assert found is not None
    assert found.run == "bcdfgh"


def test_a_run_whose_note_is_gone_changes_nothing_more(cluster, tmp_path):
    one = switch(cluster, tmp_path)
    one.to(Mode.VXLAN)
    resource, name = cluster.holder
    cluster.somebody_writes(resource, name, {"metadata": {"annotations": {ANNOTATION: None}}})
    with pytest.raises(ClusterProblem, match="note of this run"):
        one.to(Mode.BGP)


def test_a_pool_that_was_made_anew_is_not_ours_to_put_back(tmp_path):
    cluster = manifest()
    one = switch(cluster, tmp_path)
    one.to(Mode.VXLAN)
    metadata = cluster.raw(*cluster.holder)["metadata"]
    metadata["uid"], metadata["annotations"] = "pool-uid-2", {}
    said = []
    one._tell = said.append
    one.restore()
    assert said == [f"pool {POOL} was deleted and made anew since: left as it is"]
    assert cluster.modes == ("Never", "Always")
    assert not journal(cluster, tmp_path).path.exists()


@pytest.mark.parametrize("make", [manifest, operator])
def test_a_kind_that_is_not_served_any_more_is_not_an_object_that_is_gone(make, tmp_path):
    cluster = make()
    one = switch(cluster, tmp_path)
    one.to(Mode.VXLAN)
    target = one.target.resource
    group, key = (target.group, target.version), (target.group, target.version, target.plural)
    served, objects = cluster.served.pop(group), cluster.objects.pop(key)
    with pytest.raises(NotRestored, match=f"the cluster serves no {target} now") as caught:
        one.restore()
    assert "--calico-restore" in str(caught.value)
    assert journal(cluster, tmp_path).path.exists()
    cluster.served[group], cluster.objects[key] = served, objects
    one.restore()
    assert cluster.modes == ("Always", "Never")
    assert not journal(cluster, tmp_path).path.exists()


def test_a_pool_that_is_gone_while_its_kind_is_served_is_done_with(tmp_path):
    cluster = manifest()
    one = switch(cluster, tmp_path)
    one.to(Mode.VXLAN)
    cluster.objects.pop((one.target.resource.group, one.target.resource.version, one.target.resource.plural))
    said = []
    one._tell = said.append
    one.restore()
    assert said == [f"pool {POOL} is gone: nothing to put back"]
    assert not journal(cluster, tmp_path).path.exists()
