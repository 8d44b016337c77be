"""docs/rbac.yaml is enough for whole runs, none of it is for nothing, and less is noticed before anything is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes import open_cluster
from pytest_calico_perf.cluster.kubernetes.permissions import Role, Rule, check, needed
from pytest_calico_perf.cluster.kubernetes.survey import Survey, survey
from pytest_calico_perf.errors import ApiProblem, ClusterProblem
from pytest_calico_perf.model import Mode, Provision
from pytest_calico_perf.model import Path as TrafficPath
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.fake.rbac import Attributes
from tests.kubernetes.granted import FOR_CURRENT, FOR_POOLS, FOR_SWITCHING, granted
from tests.kubernetes.plane import CalicoSpec, Plane
from tests.kubernetes.transport import api_of
from tests.unit.kubernetes.objects import file

NAMESPACES = ("", "v1", "namespaces")
CLUSTERS = {
    "raw": CalicoSpec(group="crd", managed_by="manifest"),
    "aggregated": CalicoSpec(group="aggregated", managed_by="operator"),
    "native": CalicoSpec(group="native", managed_by="operator"),
}
# A pool without tunnels has them after a switch only: where there were some, their addresses would be others after.
PLAIN = {name: replace(calico, mode=Mode.BGP) for name, calico in CLUSTERS.items()}
EACH_CLUSTER = pytest.mark.parametrize("calico", CLUSTERS.values(), ids=CLUSTERS.keys())
QUICK = "timeouts: {request: 5, pods: 15, pools: 15, switch: 20, removal: 10}"

# Asked for where blocks of a raw CRD outlive their pool, and gladly refused: garbage collection drops them.
REFUSED = {
    ("delete", "crd.projectcalico.org", "ipamblocks"),
    ("delete", "crd.projectcalico.org", "blockaffinities"),
}

Rules = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _journals_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@contextmanager
def cluster(calico: CalicoSpec, rules: Rules | None = None) -> Iterator[FakeApi]:
    with FakeApi() as fake, Plane(fake, nodes=2, calico=calico):
        fake.rbac.rules = rules
        fake.requests.clear()
        yield fake


def run(
    fake: FakeApi,
    folder: Path,
    modes: Sequence[Mode],
    *,
    provision: Provision = Provision.POOLS,
    text: str = "",
) -> list[str]:
    """A whole run but for its probes; returns what it said."""
    of = file(f"kubeconfig: {fake.kubeconfig(folder / 'kubeconfig')}\n{QUICK}\n{text}")
    said: list[str] = []
    paths = [TrafficPath.POD_TO_POD, TrafficPath.POD_TO_SERVICE, TrafficPath.HOST_TO_HOST]
    with open_cluster(of, tuple(modes), paths=paths, provision=provision, tell=said.append) as opened:
        for mode in modes:
            opened.turn_to(mode)
            for path in (TrafficPath.POD_TO_POD, TrafficPath.POD_TO_SERVICE):
                assert opened.pair(path, mode).client.run(["echo", "here"], limit=5).stdout == "here\n"
    return said


def look(
    fake: FakeApi, folder: Path, modes: Sequence[Mode], provision: Provision = Provision.POOLS, text: str = ""
) -> Survey:
    """What comes before anything is made."""
    api = api_of(fake, folder)
    try:
        found = survey(api, file(text))
        check(api, needed(provision, file(text), modes, found))
        return found
    finally:
        api.close()


def refused(fake: FakeApi) -> set[tuple[str, str, str]]:
    """What was asked for in vain."""
    return {
        (each.verb, each.group, each.resource)
        for each in fake.requests
        if each.resource != "selfsubjectaccessreviews" and not fake.rbac.allows(_attributes(each))
    }


def _attributes(request: Any) -> Attributes:
    namespace = request.name if request.resource == "namespaces" else request.namespace
    return Attributes(
        request.verb, request.group, request.resource, request.subresource, namespace, request.name
    )


class TestEnough:
    @EACH_CLUSTER
    def test_for_pools_and_current(self, tmp_path, calico):
        with cluster(calico, granted(*FOR_POOLS)) as fake:
            said = run(fake, tmp_path, [Mode.BGP, Mode.VXLAN, Mode.CURRENT])
            assert not [line for line in said if "could not look" in line]
            assert refused(fake) <= REFUSED

    @EACH_CLUSTER
    def test_for_current_alone(self, tmp_path, calico):
        with cluster(calico, granted(*FOR_CURRENT)) as fake:
            run(fake, tmp_path, [Mode.CURRENT])
            assert refused(fake) == set()

    @pytest.mark.parametrize("calico", PLAIN.values(), ids=PLAIN.keys())
    def test_for_switching(self, tmp_path, calico):
        with cluster(calico, granted(*FOR_SWITCHING)) as fake:
            run(fake, tmp_path, [Mode.VXLAN, Mode.BGP], provision=Provision.SWITCH)
            assert refused(fake) == set()

    def test_in_an_existing_namespace_and_nothing_outside_it(self, tmp_path):
        with cluster(CLUSTERS["aggregated"]) as fake:
            fake.store.create(NAMESPACES, {"metadata": {"name": "perf"}})
            fake.rbac.rules = granted(Role.LOOK, Role.WORKLOAD, Role.POOLS, namespace="perf")
            run(fake, tmp_path, [Mode.BGP], text="namespace: perf")
            assert refused(fake) <= REFUSED | {("list", "", "namespaces")}
            assert fake.store.find(NAMESPACES, "perf") is not None

    @pytest.mark.parametrize("modes", [[Mode.CURRENT], [Mode.BGP, Mode.VXLAN]], ids=["current", "pools"])
    def test_without_what_is_optional_and_then_it_is_said(self, tmp_path, modes):
        with cluster(CLUSTERS["raw"]) as fake:
            rules = needed(Provision.POOLS, file(), modes, look(fake, tmp_path, modes))
            fake.rbac.rules = [_as_granted(rule) for rule in rules if not rule.optional]
            said = run(fake, tmp_path, modes)
            assert [line for line in said if line.startswith("could not look at ")]


def _as_granted(rule: Rule) -> dict[str, Any]:
    """A rule as a ClusterRole has it."""
    plural = rule.resource.plural
    return {
        "apiGroups": [rule.resource.group],
        "resources": [f"{plural}/{rule.subresource}" if rule.subresource else plural],
        "verbs": list(rule.verbs),
        **({"resourceNames": [rule.name]} if rule.name else {}),
    }


class TestMissing:
    def test_roles_are_named_before_anything_is_made(self, tmp_path):
        with cluster(CLUSTERS["raw"], granted(*FOR_CURRENT)) as fake:
            with pytest.raises(ApiProblem) as caught:
                run(fake, tmp_path, [Mode.BGP])
            message = str(caught.value)
            assert message.startswith(
                f"{fake.url}: not permitted: create, patch ippools.crd.projectcalico.org ("
            )
            assert "list blockaffinities.crd.projectcalico.org (" in message
            assert "kubectl apply -f docs/rbac.yaml" in message
            assert "pytest-calico-perf-pools" in message
            assert "namespaces" not in message
            assert {each.verb for each in fake.requests} <= {"get", "list", "create"}
            created = {each.resource for each in fake.requests if each.verb == "create"}
            assert created == {"selfsubjectaccessreviews"}

    def test_nothing_granted_is_all_of_it_missing(self, tmp_path):
        everything = r"not permitted: get, list nodes .*; create, patch pods "
        with cluster(CLUSTERS["native"], []) as fake, pytest.raises(ApiProblem, match=everything):
            look(fake, tmp_path, [Mode.BGP])

    def test_the_loss_of_any_verb_is_noticed_before_anything_is_made(self, tmp_path):
        """The check refuses, or the page says what could not be seen."""
        rules = granted(*FOR_POOLS)
        verbs = {(what, verb) for rule in rules for what in rule["resources"] for verb in rule["verbs"]}
        unnoticed = []
        with cluster(CLUSTERS["aggregated"]) as fake:
            for resource, verb in sorted(verbs):
                fake.rbac.rules = _without(rules, resource, verb)
                try:
                    unseen = look(fake, tmp_path, [Mode.BGP]).unseen
                except ApiProblem as problem:
                    assert verb in problem.what
                    assert resource in problem.what
                else:
                    if not any(resource in each for each in unseen):
                        unnoticed.append((resource, verb))
        # Events tell why a pod is not ready; without, its status must do.
        assert unnoticed == [("events", "list")]


def _without(rules: Rules, resource: str, verb: str) -> Rules:
    """The rules, but nowhere that verb on that resource."""
    rest = [{**rule, "resources": [each for each in rule["resources"] if each != resource]} for rule in rules]
    lesser = [
        {**rule, "resources": [resource], "verbs": [each for each in rule["verbs"] if each != verb]}
        for rule in rules
        if resource in rule["resources"]
    ]
    return [*rest, *lesser]


class TestNothingForNothing:
    def test_each_verb_is_used_by_some_run(self, tmp_path):
        rules = granted(*Role)
        # Requests do not tell: creations by server-side apply, and the API server's second look at exec.
        applied = ("namespaces", "pods", "services", "ippools", "pods/exec", "caliconodestatuses")
        used = {("create", what) for what in applied}
        # Calico's API server itself asks for these when it lists policies (its RBAC for tiered policies).
        used |= {("get", "tiers"), ("list", "tier.networkpolicies"), ("list", "tier.globalnetworkpolicies")}
        for fake in self.runs(tmp_path, rules):
            used |= {
                (each.verb, f"{each.resource}/{each.subresource}".rstrip("/"))
                for each in fake.requests
                if fake.rbac.allows(_attributes(each))
            }
        verbs = {(verb, what) for rule in rules for what in rule["resources"] for verb in rule["verbs"]}
        assert verbs - used == set()

    def runs(self, folder: Path, rules: Rules) -> Iterator[FakeApi]:
        with cluster(CLUSTERS["raw"], rules) as fake:
            run(fake, folder, [Mode.VXLAN])
            yield fake
        with cluster(CLUSTERS["native"]) as fake:
            fake.store.create(NAMESPACES, {"metadata": {"name": "perf"}})
            fake.rbac.rules = rules
            run(fake, folder, [Mode.BGP], text="namespace: perf")
            yield fake
        with cluster(PLAIN["aggregated"], rules) as fake:
            run(fake, folder, [Mode.VXLAN], provision=Provision.SWITCH)
            yield fake
        with cluster(CLUSTERS["aggregated"], rules) as fake:
            self.inspect(fake, folder, rules)
            yield fake
        with cluster(CLUSTERS["raw"], rules) as fake, pytest.raises(ClusterProblem):
            missing = "images: {tools: registry.example/missing:1, pull-policy: Never}"
            run(fake, folder, [Mode.BGP], text=missing)
        yield fake

    def inspect(self, fake: FakeApi, folder: Path, rules: Rules) -> None:
        """Every look a diagnosis takes, the first of them where blocks and then reports may not be seen."""
        of = file(f"kubeconfig: {fake.kubeconfig(folder / 'kubeconfig')}\n{QUICK}")
        paths = [TrafficPath.POD_TO_POD]
        with open_cluster(
            of, (Mode.BGP,), paths=paths, provision=Provision.POOLS, tell=lambda _: None
        ) as opened:
            inspector, server = opened.inspector(), opened.pair(paths[0], Mode.BGP).server
            fake.rbac.rules = _without(rules, "ipamblocks", "list")
            assert inspector.blocks().value
            fake.rbac.rules = _without(rules, "caliconodestatuses", "create")
            inspector.sessions(server.node)
            fake.rbac.rules = rules
            assert inspector.mesh().value is True
            # By a report, unless BIRD was just then busy with its sessions: then it is asked itself.
            assert inspector.sessions(server.node).value
            assert inspector.daemons(server.node).value == {"bird": True, "felix": True}
            assert inspector.policies(server.node, server.own_address).value == ()
