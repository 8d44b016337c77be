"""Objects of a cluster are untrusted: whatever their shape, they give facts, and never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.nodes import choose
from pytest_calico_perf.cluster.kubernetes.permissions import needed
from pytest_calico_perf.cluster.kubernetes.reading import quantity, text
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.cluster.kubernetes.survey import Survey, survey, unsupported
from pytest_calico_perf.errors import ApiProblem, ClusterProblem
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

WORDS = st.sampled_from(
    [
        *("", "Always", "CrossSubnet", "all()", "Enabled", "Disabled", "true", "default", "calico-node"),
        *("10.0.0.0/8", "10.0.0.11/24", "10.0.0.11/33", "fd00::/8", "0.0.0.0/0", "v3.33.1", "1e999Ki", "٣Gi"),
        *("CALICO_NETWORKING_BACKEND", "FELIX_BPFENABLED", "NoSchedule", "InternalIP", "Ready", "\0\x1b[31m"),
        *("networking: {podSubnet: [1], serviceSubnet: 10.0.0.0/8}", "networking: *a", "9" * 400),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
VALUES = st.recursive(
    SCALARS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "value", "cidr", "spec", "type"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(document: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document where something else could stand."""
    inner = (
        document.items()
        if isinstance(document, Mapping)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def replaced(document: Json, path: tuple[Any, ...], value: object) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return document


def look_all_over(cluster: InMemory) -> Survey:
    """Everything that is made of what was found; what goes wrong is one of ours, with a message."""
    found = survey(cluster, file())
    json.dumps(found.facts(), allow_nan=False)
    assert all(line.isprintable() for line in found.lines())
    for provision in Provision:
        needed(provision, file(), list(Mode), found)
    try:
        client, server, explanation = choose(found.nodes, file(), list(Mode))
    except ClusterProblem as problem:
        assert str(problem).isprintable()
    else:
        assert explanation.isprintable()
        for provision in Provision:
            reasons = unsupported(found, list(Mode), client, server, provision)
            assert all(str(reason).isprintable() for reason in reasons.values())
        for rule in needed(Provision.POOLS, file(), list(Mode), found):
            assert str(rule).isprintable()
    return found


class Loose(InMemory):
    """Does not mind what its objects look like, as the wire does not."""

    def find(self, resource, name, *, namespace=""):
        objects = self._all(resource)
        return objects[0] if objects else None

    def list(self, resource, *, namespace="", labels="", fields=""):
        return list(self._all(resource))


CLUSTERS = [
    lambda api=api, make=make: make(api=api)
    for api in (RAW_API, AGGREGATED_API, NATIVE_API)
    for make in (manifest_cluster, operator_cluster)
]


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_one_thing_that_is_not_as_expected(data):
    whole = data.draw(st.sampled_from(CLUSTERS))()
    cluster = Loose()
    cluster.served, cluster.objects = whole.served, whole.objects
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(sorted(cluster.objects)))
        index = data.draw(st.integers(0, len(cluster.objects[kind]) - 1))
        changed = cluster.objects[kind][index]
        place = data.draw(st.sampled_from(places(changed)))
        cluster.objects[kind][index] = replaced(changed, place, data.draw(VALUES))
    look_all_over(cluster)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_nothing_that_is_as_expected(data):
    whole = operator_cluster()
    cluster = Loose()
    cluster.served = whole.served
    cluster.objects = {kind: data.draw(st.lists(VALUES, max_size=3)) for kind in whole.objects}
    look_all_over(cluster)


@given(st.text() | VALUES)
def test_a_quantity_is_finite_or_unknown(value):
    amount = quantity(value)
    assert amount is None or 0 <= amount < float("inf")


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("4", 4.0),
        ("3920m", 3.92),
        ("16393244Ki", 16393244 * 1024.0),
        ("1.5Gi", 1.5 * 2**30),
        ("2G", 2e9),
        ("4 CPUs", None),
        ("-1", None),
        (4, None),
    ],
)
def test_quantities(written, amount):
    assert quantity(written) == amount


def test_a_text_is_one_line_and_moves_no_cursor():
    assert text("bird") == "bird"
    assert text("no\n\thope\x1b[2J\u202e") == "no hope[2J"
    assert text(7) == text(None) == ""


def test_a_version_that_is_none():
    class Odd(InMemory):
        def version(self):
            raise ApiProblem("no", status=403)

    assert "could not look at version of the API server: not permitted" in survey(Odd(), file()).notes()
