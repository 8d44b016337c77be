"""What must be permitted: least per need, all that is missing at once, and docs/rbac.yaml grants exactly that."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import yaml

from pytest_calico_perf.cluster.kubernetes.permissions import Role, Rule, check, looking_deeper, needed
from pytest_calico_perf.cluster.kubernetes.survey import survey
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.model import Mode, Provision
from tests.unit.kubernetes.objects import (
    AGGREGATED_API,
    NATIVE_API,
    RAW_API,
    InMemory,
    file,
    manifest_cluster,
    operator_cluster,
)

MANIFEST = Path(__file__).parents[3] / "docs" / "rbac.yaml"
DOCUMENTS = list(yaml.safe_load_all(MANIFEST.read_text()))
ALL = list(Mode)
OWN = "perf"  # a namespace of the user's

# (role, group, resource, subresource, name, verb)
Grant = tuple[str, str, str, str, str, str]


def rules(cluster: InMemory, provision=Provision.POOLS, modes=ALL, *, text="") -> tuple[Rule, ...]:
    return needed(provision, file(text), modes, survey(cluster, file(text)))


def grants(found: tuple[Rule, ...]) -> set[Grant]:
    """One by one; the namespace the user names is a detail of one cluster, which no ClusterRole holds."""
    return {
        (
            str(rule.role),
            rule.resource.group,
            rule.resource.plural,
            rule.subresource,
            "" if rule.name == OWN else rule.name,
            verb,
        )
        for rule in found
        for verb in rule.verbs
    }


def documented() -> set[Grant]:
    granted = set()
    for role in DOCUMENTS:
        if role["kind"] != "ClusterRole":
            continue
        for rule in role["rules"]:
            assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
            for group, resource, name, verb in product(
                rule["apiGroups"], rule["resources"], rule.get("resourceNames", [""]), rule["verbs"]
            ):
                plural, _, subresource = resource.partition("/")
                granted.add((role["metadata"]["name"], group, plural, subresource, name, verb))
    return granted


def every_need() -> tuple[Rule, ...]:
    deeper = (rule for api in (RAW_API, AGGREGATED_API, NATIVE_API) for rule in looking_deeper(api))
    return (*every_runs_need(), *deeper)


def every_runs_need() -> tuple[Rule, ...]:
    return tuple(
        rule
        for make, api, provision, text, modes in product(
            (manifest_cluster, operator_cluster),
            (RAW_API, AGGREGATED_API, NATIVE_API),
            Provision,
            ("", f"namespace: {OWN}"),
            ([Mode.CURRENT], ALL),
        )
        for rule in rules(make(api=api), provision, modes, text=text)
    )


class TestManifest:
    def test_it_grants_exactly_what_is_needed(self):
        assert documented() == grants(every_need())

    def test_it_says_what_each_verb_is_for(self):
        text = MANIFEST.read_text()
        for rule in every_need():
            assert f"  # {rule.why}" in text, rule

    def test_there_is_no_wildcard(self):
        assert "*" not in {word for grant in documented() for word in grant}

    def test_what_runs_need_by_default_is_bound_to_its_service_account(self):
        [account] = [each for each in DOCUMENTS if each["kind"] == "ServiceAccount"]
        bindings = [each for each in DOCUMENTS if each["kind"] == "ClusterRoleBinding"]
        optional = {Role.SWITCH, Role.DIAGNOSE, Role.CALICO_NODE}
        assert {each["roleRef"]["name"] for each in bindings} == set(Role) - optional
        for binding in bindings:
            [subject] = binding["subjects"]
            assert subject["kind"] == "ServiceAccount"
            assert subject["name"] == account["metadata"]["name"]
            assert subject["namespace"] == account["metadata"]["namespace"]

    def test_roles_are_there_once_each(self):
        names = [each["metadata"]["name"] for each in DOCUMENTS if each["kind"] == "ClusterRole"]
        assert sorted(names) == sorted(Role)


def required(found: tuple[Rule, ...]) -> set[str]:
    return {
        f"{verb} {rule.resource.plural}{'/' if rule.subresource else ''}{rule.subresource}"
        for rule in found
        if not rule.optional
        for verb in rule.verbs
    }


class TestNeeded:
    def test_current_needs_nothing_of_calico(self):
        found = required(rules(manifest_cluster(), modes=[Mode.CURRENT]))
        assert not {each for each in found if "pools" in each or "block" in each or "install" in each}
        assert {"create pods", "get pods/exec", "create namespaces", "get nodes"} <= found

    def test_without_calico_nothing_of_calico_is_asked_for(self):
        found = rules(InMemory(), modes=ALL)
        assert {rule.role for rule in found} == {Role.LOOK, Role.WORKLOAD, Role.NAMESPACES}

    def test_pools_are_made_through_the_api_the_cluster_has(self):
        for api in (RAW_API, AGGREGATED_API, NATIVE_API):
            made = [rule for rule in rules(manifest_cluster(api=api)) if rule.role is Role.POOLS]
            assert {rule.resource for rule in made} == {api.pools, api.blocks, api.affinities}

    def test_switching_makes_and_deletes_no_pool(self):
        for cluster in (manifest_cluster(), operator_cluster()):
            found = required(rules(cluster, Provision.SWITCH))
            assert not {"create ippools", "delete ippools"} & found

    def test_switching_patches_the_installation_where_the_operator_keeps_the_pool(self):
        assert "patch installations" in required(rules(operator_cluster(), Provision.SWITCH))
        assert "patch ippools" not in required(rules(operator_cluster(), Provision.SWITCH))
        assert "patch ippools" in required(rules(manifest_cluster(), Provision.SWITCH))
        assert "patch installations" not in required(rules(manifest_cluster(), Provision.SWITCH))

    def test_an_existing_namespace_needs_no_other(self):
        found = rules(manifest_cluster(), text="namespace: perf")
        assert {each for each in required(found) if "namespaces" in each} == {"get namespaces"}
        assert {rule.namespace for rule in found if rule.role is Role.WORKLOAD} == {"perf"}

    @pytest.mark.parametrize(
        ("version", "create"), [("v1.34.9", False), ("v1.35.0", True), ("v1.36.1+k3s1", True), ("", True)]
    )
    def test_exec_needs_create_from_1_35_on(self, version, create):
        cluster = manifest_cluster()
        cluster._version = version
        found = required(rules(cluster))
        assert "get pods/exec" in found
        assert ("create pods/exec" in found) is create


class TestCheck:
    def test_all_that_is_needed_is_asked_for_one_by_one(self):
        cluster = manifest_cluster()
        found = rules(cluster, text="namespace: perf")
        check(cluster, found)
        assert {(verb, plural) for verb, _, plural, _, _, _ in cluster.asked} >= {
            ("create", "ippools"),
            ("delete", "ippools"),
            ("list", "ipamblocks"),
        }
        assert ("get", "", "pods", "exec", "perf", "") in cluster.asked
        assert ("get", "", "namespaces", "", "perf", "perf") in cluster.asked
        assert not [each for each in cluster.asked if each[2] in ("configmaps", "daemonsets")]

    def test_all_that_is_missing_is_listed_at_once(self):
        cluster = manifest_cluster()
        cluster.denied = {
            ("create", "ippools"),
            ("delete", "ippools"),
            ("get", "pods/exec"),
            ("list", "events"),  # optional
        }
        with pytest.raises(ApiProblem) as caught:
            check(cluster, rules(cluster))
        assert caught.value.status == 403
        message = str(caught.value)
        assert message.startswith(
            "https://192.0.2.1:6443: not permitted: get pods/exec (run the tools in them"
        )
        assert "create ippools.crd.projectcalico.org (make a pool per mode" in message
        assert "delete ippools.crd.projectcalico.org (find them again" in message
        assert "patch ippools" not in message
        assert "events" not in message
        assert "kubectl apply -f docs/rbac.yaml" in message
        assert "pytest-calico-perf-pools, pytest-calico-perf-workload" in message

    def test_the_namespace_is_named(self):
        cluster = manifest_cluster()
        cluster.denied = {("create", "pods")}
        with pytest.raises(ApiProblem, match=r"create pods in namespace perf \("):
            check(cluster, rules(cluster, text="namespace: perf"))

    def test_nodes_that_may_not_be_seen_are_a_missing_permission_and_not_a_cluster_without_nodes(self):
        cluster = manifest_cluster()
        cluster.refused.add("nodes")
        cluster.denied = {("list", "nodes")}
        found = rules(cluster)
        with pytest.raises(ApiProblem, match=r"not permitted: list nodes \(choose two nodes"):
            check(cluster, found)
