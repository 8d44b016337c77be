"""When a switch counts as done, and what is not switched at all."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.kubernetes.effect import TIGERA_STATUSES
from pytest_calico_perf.cluster.kubernetes.resource import DAEMON_SETS, INSTALLATIONS
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotReady, NotRestored, Unsupported
from pytest_calico_perf.model import Mode
from tests.unit.kubernetes.objects import RAW_API, named, pool
from tests.unit.kubernetes.switchable import (
    Cluster,
    journal,
    manifest,
    operator,
    switch,
)


@pytest.fixture(params=[manifest, operator])
def cluster(request) -> Cluster:
    return request.param()


def test_a_pool_that_the_operator_does_not_follow_is_not_ready_and_is_put_back(tmp_path):
    cluster = operator()
    before = cluster.state
    one = switch(cluster, tmp_path)
    cluster.operator_works = False
    with pytest.raises(NotReady, match="the pool has ipipMode Always, vxlanMode Never"):
        one.to(Mode.VXLAN)
    one.restore()
    assert cluster.state == before


def test_a_failed_switch_does_not_keep_the_next_from_working(tmp_path):
    cluster = operator()
    one = switch(cluster, tmp_path)
    cluster.operator_works = False
    with pytest.raises(NotReady):
        one.to(Mode.VXLAN)
    cluster.operator_works = True
    one.to(Mode.BGP)
    assert cluster.modes == ("Never", "Never")


def test_a_note_the_api_refuses_is_tried_again_at_the_next_switch(cluster, tmp_path):
    before = cluster.state
    one = switch(cluster, tmp_path)
    cluster.meanwhile = [lambda: setattr(cluster, "down", True)]
    with pytest.raises(ApiProblem):
        one.to(Mode.BGP)
    cluster.down = False
    one.to(Mode.VXLAN)
    assert cluster.modes == ("Never", "Always")
    one.restore()
    assert cluster.state == before


def test_a_switch_the_api_refuses_does_not_keep_the_next_from_working(cluster, tmp_path):
    before = cluster.state
    one = switch(cluster, tmp_path)
    one.to(Mode.BGP)
    cluster.down = True
    with pytest.raises(ApiProblem):
        one.to(Mode.VXLAN)
    cluster.down = False
    one.to(Mode.IPIP_CROSS_SUBNET)
    one.restore()
    assert cluster.state == before


def test_calico_node_that_does_not_come_back_is_not_ready(tmp_path):
    cluster = manifest()
    status = cluster.raw_namespaced(DAEMON_SETS, "calico-node", "kube-system")["status"]
    one = switch(cluster, tmp_path)
    one.to(Mode.BGP)
    status["numberReady"] = 2
    with pytest.raises(NotReady, match="calico-node is ready on 2 of 3 nodes"):
        one.to(Mode.IPIP)
    with pytest.raises(NotRestored, match="its mode is put back, but Calico has not followed"):
        one.restore()
    assert cluster.modes == ("Always", "Never")
    assert cluster.note is None
    assert not journal(cluster, tmp_path).path.exists()


def test_a_node_that_was_down_before_is_not_waited_for(tmp_path):
    cluster = manifest()
    cluster.raw_namespaced(DAEMON_SETS, "calico-node", "kube-system")["status"]["numberReady"] = 2
    switch(cluster, tmp_path).to(Mode.BGP)
    assert cluster.modes == ("Never", "Never")


@pytest.mark.parametrize("kind", ["Degraded", "Progressing", "Available"])
def test_the_operators_status_is_waited_for_unless_it_was_bad_before(kind, tmp_path):
    bad = [{"type": kind, "status": "False" if kind == "Available" else "True", "message": "no\nhope"}]
    cluster = operator()
    cluster.add(TIGERA_STATUSES, named("calico", status={"conditions": []}))
    one = switch(cluster, tmp_path)
    one.to(Mode.BGP)
    cluster.raw(TIGERA_STATUSES, "calico")["status"]["conditions"] = bad
    with pytest.raises(NotReady, match=rf"TigeraStatus calico: {kind} .*\(no hope\)"):
        one.to(Mode.VXLAN)
    with pytest.raises(NotRestored):
        one.restore()
    # Now it is bad from the beginning.
    switch(cluster, tmp_path).to(Mode.BGP)


def test_routes_have_the_last_word(tmp_path):
    cluster = manifest()
    asked = []

    def settled(mode: Mode, seconds: float) -> None:
        asked.append((mode, cluster.modes))
        if mode is Mode.VXLAN:
            raise NotReady("node1 has no route through vxlan.calico", where="node1")

    one = switch(cluster, tmp_path, settled=settled)
    one.to(Mode.BGP)
    one.to(Mode.CURRENT)
    with pytest.raises(NotReady, match=r"vxlan\.calico"):
        one.to(Mode.VXLAN)
    assert asked == [
        (Mode.BGP, ("Never", "Never")),
        (Mode.IPIP, ("Always", "Never")),
        (Mode.VXLAN, ("Never", "Always")),
    ]


def test_nothing_is_touched_without_a_journal(tmp_path):
    cluster = manifest()
    before = cluster.state
    (tmp_path / "file").write_text("")
    one = switch(cluster, tmp_path / "file")
    with pytest.raises(ClusterProblem, match="cannot be written") as caught:
        one.to(Mode.BGP)
    assert "XDG_STATE_HOME" in str(caught.value)
    assert cluster.state == before
    assert not cluster.patches


def test_a_pool_with_a_mode_calico_does_not_know_is_not_touched(tmp_path):
    cluster = manifest(ipipMode="Sometimes")
    with pytest.raises(ClusterProblem, match="Sometimes"):
        switch(cluster, tmp_path).to(Mode.BGP)
    assert not cluster.patches
    assert not journal(cluster, tmp_path).path.exists()


def test_two_pools_to_choose_from_are_no_target(tmp_path):
    cluster = manifest()
    cluster.add(RAW_API.pools, pool("other", "10.245.0.0/16"))
    with pytest.raises(Unsupported, match=r"no one pool to switch: .* default-ipv4-ippool, other"):
        switch(cluster, tmp_path)


def test_an_installation_that_lost_the_pool_is_not_touched(tmp_path):
    cluster = operator()
    one = switch(cluster, tmp_path)
    cluster.raw(INSTALLATIONS, "default")["spec"]["calicoNetwork"]["ipPools"] = []
    with pytest.raises(ClusterProblem, match=r"does not list that pool"):
        one.to(Mode.BGP)
    assert not cluster.patches
