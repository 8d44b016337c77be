"""Pools of a run: which of them give tunnels their addresses, who may take addresses, what was really made."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes.calico import CalicoFacts
from pytest_calico_perf.cluster.kubernetes.detection import find_calico
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts
from pytest_calico_perf.cluster.kubernetes.pools import (
    PoolPlan,
    await_condition,
    make_pools,
    manifest,
    plan_pools,
)
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.resource import Json, Resource
from pytest_calico_perf.errors import ApiProblem, ClusterProblem
from pytest_calico_perf.model import Mode
from tests.unit.kubernetes.objects import InMemory, file, manifest_cluster, pool

RUN, OWNER = "bcdfgh", "tester"
PLAIN = (NodeFacts("node1"), NodeFacts("node2"))


class Writable(InMemory):
    """A cluster whose CRDs know some fields only; implements the part of `Api` that makes pools."""

    def __init__(self, *, drops: Sequence[str] = (), makes: Mapping[str, str] | None = None) -> None:
        looked_at = manifest_cluster()
        self.__dict__.update(looked_at.__dict__)
        self.drops, self.makes = drops, makes or {}
        self.deleted: list[tuple[str, str]] = []

    def apply(self, resource: Resource, body: Json) -> Json:
        made: Any = copy.deepcopy(dict(body))
        made["metadata"]["uid"] = f"uid of {made['metadata']['name']}"
        made["spec"] = {key: each for key, each in made["spec"].items() if key not in self.drops} | self.makes
        self.add(resource, made)
        return made

    def delete(self, resource: Resource, name: str, *, namespace: str = "", uid: str = "") -> bool:
        assert not namespace
        self.deleted.append((name, uid))
        all_ = self._all(resource)
        all_[:] = [each for each in all_ if each["metadata"]["name"] != name]
        return True


def calico(*pools: Json, version: str = "v3.32.1") -> CalicoFacts:
    found = find_calico(Look(manifest_cluster(*pools, version=version)))
    assert found is not None
    return found


def plans(
    facts: CalicoFacts, *modes: Mode, pair: Sequence[NodeFacts] = PLAIN, taken: Mapping[IPv4Network, str] = {}
) -> tuple[PoolPlan, ...]:
    return plan_pools(modes, facts, file(), RUN, node_count=3, taken=taken, pair=pair, start=lambda _: 0)


def spec(plan: PoolPlan, facts: CalicoFacts) -> Mapping[str, Any]:
    body = manifest(plan, facts.api, RUN, manual=facts.assigns_manually, file=file(), owner=OWNER)
    found = body["spec"]
    assert isinstance(found, dict)
    return found


class TestTunnels:
    """The first pool of an encapsulation must give tunnels their addresses; no other may."""

    def uses(self, facts: CalicoFacts, pair: Sequence[NodeFacts] = PLAIN) -> list[tuple[str, ...]]:
        return [plan.uses for plan in plans(facts, Mode.IPIP, Mode.IPIP_CROSS_SUBNET, Mode.BGP, pair=pair)]

    NEEDED = [("Workload", "Tunnel"), ("Workload",), ("Workload",)]  # noqa: RUF012 - nobody changes it
    THERE = [("Workload",)] * 3

    def test_the_clusters_own_pool_does(self):
        assert self.uses(calico(pool(ipipMode="Always"))) == self.THERE

    @pytest.mark.parametrize(
        "other",
        [
            pool(vxlanMode="Always"),
            pool(ipipMode="Always", disabled=True),
            pool(ipipMode="Always", allowedUses=["Workload"]),
            pool("calico-perf-ipip-zzzzzz", by="pytest-calico-perf", ipipMode="Always"),
            pool(ipipMode="Always", nodeSelector="zone == 'elsewhere'"),
        ],
        ids=["other encapsulation", "disabled", "not for tunnels", "of another run", "for other nodes"],
    )
    def test_where_none_of_the_cluster_does_ours_must(self, other):
        assert self.uses(calico(other)) == self.NEEDED

    def test_a_pool_for_some_nodes_is_enough_when_both_nodes_have_an_address_of_it(self):
        facts = calico(pool(ipipMode="Always", nodeSelector="zone == 'here'"))
        there = [NodeFacts(name, tunnel_addresses={"ipip": "10.244.1.1"}) for name in ("node1", "node2")]
        assert self.uses(facts, there) == self.THERE
        assert self.uses(facts, [there[0], PLAIN[1]]) == self.NEEDED

    def test_before_3_30_tunnels_get_a_pool_of_their_own(self):
        facts = calico(pool(vxlanMode="Always"), version="v3.29.1")
        found = plans(facts, Mode.IPIP)
        assert [(plan.mode, plan.uses) for plan in found] == [
            (Mode.IPIP, ("Workload",)),
            (None, ("Tunnel",)),
        ]
        assert [spec(plan, facts)["nodeSelector"] for plan in found] == ["!all()", "all()"]
        assert not any("assignmentMode" in spec(plan, facts) for plan in found)


class TestWhoMayTakeAddresses:
    def test_a_pool_for_workloads_alone_selects_no_node_and_is_manual(self):
        facts = calico(pool(ipipMode="Always"))
        [plan] = plans(facts, Mode.IPIP)
        found = spec(plan, facts)
        assert (found["nodeSelector"], found["assignmentMode"]) == ("!all()", "Manual")

    def test_one_that_tunnels_use_too_selects_every_node_and_is_manual(self):
        facts = calico(pool(vxlanMode="Always"))
        [plan] = plans(facts, Mode.IPIP)
        found = spec(plan, facts)
        assert (found["nodeSelector"], found["assignmentMode"]) == ("all()", "Manual")


class TestMaking:
    def make(self, cluster: Writable, *modes: Mode) -> Mapping[Mode, ClusterProblem]:
        facts = find_calico(Look(cluster))
        assert facts is not None
        return make_pools(cluster, plans(facts, *modes), facts, file(), run=RUN, owner=OWNER)

    def test_as_asked(self):
        cluster = Writable()
        assert self.make(cluster, Mode.IPIP, Mode.VXLAN) == {}
        assert cluster.deleted == []

    @pytest.mark.parametrize(
        ("drops", "makes", "words"),
        [
            (["assignmentMode"], {}, "no assignmentMode Manual"),
            ([], {"assignmentMode": "Automatic"}, "assignmentMode Automatic for Manual"),
            ([], {"nodeSelector": "all()"}, r"nodeSelector all\(\) for !all\(\)"),
        ],
    )
    def test_what_the_api_does_not_keep_as_asked_is_deleted_at_once(self, drops, makes, words):
        cluster = Writable(drops=drops, makes=makes)
        problems = self.make(cluster, Mode.IPIP)
        name = f"calico-perf-ipip-{RUN}"
        assert cluster.deleted == [(name, f"uid of {name}")]
        assert list(problems) == [Mode.IPIP]
        with pytest.raises(ClusterProblem, match=f"pool {name}: the cluster keeps {words}"):
            raise problems[Mode.IPIP]

    def test_one_that_cannot_be_deleted_is_the_modes_problem_and_the_others_go_on(self):
        class Stubborn(Writable):
            def delete(self, *_: object, **__: object) -> bool:
                raise ApiProblem("it failed", status=500)

        cluster = Stubborn(drops=["assignmentMode"])
        assert list(self.make(cluster, Mode.IPIP, Mode.BGP)) == [Mode.IPIP, Mode.BGP]

    def test_one_that_somebody_made_there_meanwhile_ends_it(self):
        cluster = Writable()
        cluster_pools = find_calico(Look(cluster)).api.pools
        facts = find_calico(Look(cluster))
        assert facts is not None
        planned = plans(facts, Mode.IPIP)
        cluster.add(cluster_pools, pool("theirs", str(planned[0].range)))
        with pytest.raises(ClusterProblem, match=r"pool theirs .* was made meanwhile"):
            make_pools(cluster, planned, facts, file(), run=RUN, owner=OWNER)


class TestWaiting:
    @pytest.fixture
    def slept(self, monkeypatch) -> list[float]:
        """Pauses, which pass at once by the clock the waiting reads."""
        pauses: list[float] = []
        monkeypatch.setattr("time.monotonic", lambda: sum(pauses))
        monkeypatch.setattr("time.sleep", pauses.append)
        return pauses

    def test_pauses_grow_up_to_the_longest_and_end_with_the_deadline(self, slept):
        asked = []
        assert not await_condition(lambda: asked.append(1), deadline=30, longest_pause=5)
        assert slept[:3] == [0.5, 0.75, 1.125]
        assert max(slept) == 5
        assert sum(slept) == 30
        assert len(asked) == len(slept) + 1 < 15

    def test_pauses_stay_short_where_no_longer_ones_are_asked_for(self, slept):
        answers = iter([False, False, False, True])
        assert await_condition(lambda: next(answers), deadline=30)
        assert slept == [0.5, 0.5, 0.5]
