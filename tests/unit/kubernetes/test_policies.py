"""Which policies choose a pod: Calico's selectors, Kubernetes' selectors, and objects of any shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.calico_selector import selects
from pytest_calico_perf.cluster.kubernetes.policies import Target, of_calico, of_everywhere, of_kubernetes
from tests.unit.kubernetes.objects import named
from tests.unit.kubernetes.test_any_json import VALUES

LABELS = {"role": "db", "in-use": "yes", "app.kubernetes.io/name": "web-1", "not": "x"}
POD = Target("shop", LABELS, namespace_labels={"team": "red"})


class TestSelector:
    @pytest.mark.parametrize(
        "selector",
        [
            "",
            "all()",
            " all( ) ",
            "role == 'db'",
            'role == "db"',
            "role != 'web'",
            "absent != 'web'",
            "role in {'web', 'db'}",
            'role in { "db" }',
            "role not in {'web'}",
            "absent not in {'web'}",
            "role not in {}",
            "has(role)",
            "has( app.kubernetes.io/name )",
            "!has(absent)",
            "app.kubernetes.io/name contains 'eb-'",
            "app.kubernetes.io/name starts with 'web'",
            "app.kubernetes.io/name ends  with '-1'",
            "in-use == 'yes'",
            "not == 'x'",
            "role == 'web' || role == 'db' && has(in-use)",
            "!(role == 'web' || has(absent)) && all()",
            "!!has(role)",
        ],
    )
    def test_that_chooses(self, selector):
        assert selects(selector, LABELS) is True

    @pytest.mark.parametrize(
        "selector",
        [
            "global()",
            "role == 'web'",
            "role != 'db'",
            "role in {}",
            "role not in {'db'}",
            "absent == ''",
            "absent contains ''",
            "absent starts with ''",
            "has(absent)",
            "!all()",
            "role == 'db' && role == 'web'",
            "(role == 'db' || has(absent)) && has(absent)",
        ],
    )
    def test_that_does_not(self, selector):
        assert selects(selector, LABELS) is False

    @pytest.mark.parametrize(
        "selector",
        ["role = 'db'", "role == db", "has()", "(all()", "all() all()", "&& all()", "role in 'db'", "role == 'd", "!",
         "(" * 500 + "all()" + ")" * 500, "!" * 500 + "all()", "has(role) || " * 2000 + "all()"],
        ids=["one-sign", "bare-word", "no-label", "open", "two", "no-left", "no-set", "no-end", "sign", "deep", "nots", "long"],
    )  # fmt: skip
    def test_that_cannot_be_read(self, selector):
        assert selects(selector, LABELS) is None

    @given(
        st.text()
        | st.lists(st.sampled_from(["all()", "has(role)", "role", "==", "'db'", "&&", "||", "!", "(", ")", "in", "{", "}"]))
        .map(" ".join)
    )  # fmt: skip
    def test_any_text(self, text):
        assert selects(text, LABELS) in (True, False, None)


class TestKubernetes:
    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [
            ({}, True),
            (None, True),
            ({"matchLabels": {"role": "db"}}, True),
            ({"matchLabels": {"role": "web"}}, False),
            ({"matchExpressions": [{"key": "role", "operator": "In", "values": ["db"]}]}, True),
            ({"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["db"]}]}, False),
            ({"matchExpressions": [{"key": "role", "operator": "Exists"}]}, True),
            ({"matchExpressions": [{"key": "absent", "operator": "DoesNotExist"}]}, True),
            ({"matchExpressions": [{"key": "role", "operator": "Likes"}]}, False),
        ],
        ids=["empty", "none", "label", "other-label", "in", "not-in", "exists", "does-not-exist", "unknown"],
    )
    def test_by_labels(self, selector, chosen):
        policy = named("one", "shop", spec={"podSelector": selector})
        assert list(of_kubernetes([policy], POD)) == (["NetworkPolicy shop/one"] if chosen else [])

    def test_of_its_namespace_only(self):
        assert list(of_kubernetes([named("one", "other", spec={"podSelector": {}})], POD)) == []


class TestCalico:
    def everywhere(self, target: Target = POD, **spec: object) -> list[str]:
        return list(of_everywhere([named("one", spec=spec)], target))

    def test_by_what_calico_adds_to_the_labels(self):
        policy = named("one", "shop", spec={"selector": "projectcalico.org/namespace == 'shop'"})
        assert list(of_calico([policy], POD)) == ["Calico's NetworkPolicy shop/one"]

    def test_kubernetes_own_are_not_counted_twice(self):
        assert list(of_calico([named("knp.default.one", "shop", spec={})], POD)) == []

    def test_by_namespace(self):
        assert self.everywhere(namespaceSelector="team == 'red'")
        assert not self.everywhere(namespaceSelector="team == 'blue'")
        assert self.everywhere(namespaceSelector="projectcalico.org/name == 'shop'")

    def test_for_hosts_only(self):
        assert not self.everywhere(selector="all()", preDNAT=True)
        assert not self.everywhere(selector="all()", doNotTrack="true")
        assert self.everywhere(selector="all()", applyOnForward=True)

    @pytest.mark.parametrize(
        ("target", "spec"),
        [
            (POD, {"selector": "role ="}),
            (POD, {"serviceAccountSelector": "team == 'red'"}),
            (Target("shop", LABELS), {"namespaceSelector": "team == 'red'"}),
        ],
        ids=["unreadable", "service-account", "namespace-unseen"],
    )
    def test_doubt_is_told(self, target, spec):
        assert self.everywhere(target, **spec) == [
            "GlobalNetworkPolicy one (its selector could not be evaluated)"
        ]

    def test_what_surely_does_not_apply_is_no_doubt(self):
        assert self.everywhere(selector="role == 'web'", serviceAccountSelector="x == 'y'") == []


@given(st.lists(st.fixed_dictionaries({"metadata": VALUES, "spec": VALUES}), max_size=3))
def test_policies_of_any_shape(policies):
    for read in (of_kubernetes, of_calico, of_everywhere):
        assert all(name.isprintable() for name in read(policies, POD))
