"""What docs/rbac.yaml grants, as the rules the fake API server enforces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pytest_calico_perf.cluster.kubernetes.permissions import Role

MANIFEST = Path(__file__).parents[2] / "docs" / "rbac.yaml"

FOR_POOLS = (Role.LOOK, Role.WORKLOAD, Role.NAMESPACES, Role.POOLS)
FOR_SWITCHING = (Role.LOOK, Role.WORKLOAD, Role.NAMESPACES, Role.SWITCH)
FOR_CURRENT = (Role.LOOK, Role.WORKLOAD, Role.NAMESPACES)


def granted(*roles: Role, namespace: str = "") -> list[dict[str, Any]]:
    """The rules of some of its ClusterRoles; with a namespace, that of the workload is bound there only."""
    found = {
        each["metadata"]["name"]: each["rules"]
        for each in yaml.safe_load_all(MANIFEST.read_text())
        if each["kind"] == "ClusterRole"
    }
    return [
        {**rule, "namespace": namespace} if namespace and role is Role.WORKLOAD else dict(rule)
        for role in roles
        for rule in found[role]
    ]
