"""What tests of the inspector share: a cluster with one, and what its user may do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.detection import find_api
from pytest_calico_perf.cluster.kubernetes.inspection import KubernetesInspector
from pytest_calico_perf.cluster.kubernetes.permissions import Role
from pytest_calico_perf.cluster.kubernetes.reading import Look as Reading
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.granted import FOR_POOLS, granted
from tests.kubernetes.plane import Plane

DIAGNOSIS = (*FOR_POOLS, Role.DIAGNOSE, Role.CALICO_NODE)
Rules = list[dict[str, Any]]


class Case:
    """A cluster and an inspector of it."""

    def __init__(self, fake: FakeApi, plane: Plane, inspector: Any, pods: dict[str, str]) -> None:
        self.fake, self.plane, self.inspector, self.pods = fake, plane, inspector, pods

    @property
    def statuses(self) -> list[dict[str, Any]]:
        return self.fake.store.list(self.plane.resources.of("caliconodestatuses"))

    @contextmanager
    def allowing(self, rules: Rules) -> Iterator[None]:
        self.fake.rbac.rules = rules
        try:
            yield
        finally:
            self.fake.rbac.rules = granted(*DIAGNOSIS)


def without(*resources: str, rules: Rules | None = None) -> Rules:
    """All that docs/rbac.yaml grants for a diagnosis, but for some resources."""
    return [
        {**rule, "resources": [each for each in rule["resources"] if each not in resources]}
        for rule in rules or granted(*DIAGNOSIS)
    ]


def inspector_of(api: Api) -> KubernetesInspector:
    calico = find_api(Reading(api))
    assert calico is not None
    return KubernetesInspector(api, calico, "bcdfgh", tuple)
