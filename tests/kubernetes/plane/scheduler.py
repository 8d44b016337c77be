"""Which node a pod may run on, and why on none: the filters of kube-scheduler that our pods meet.

Node name, selector and required node affinity, taints, CPU, memory and number of pods. Left out: preferences,
affinity between pods, topology spread, host ports, volumes, priorities and preemption.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

_FACTORS = {
    "": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_QUANTITY = re.compile(r"([0-9.]+)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def quantity(text: object) -> Decimal:
    """A quantity of Kubernetes as a number: `500m`, `64Mi`."""
    found = _QUANTITY.fullmatch(str(text))
    if not found:
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(found[1]) * _FACTORS[found[2] or ""]


def place(pod: Json, nodes: Sequence[Json], pods: Sequence[Json]) -> tuple[str, str]:
    """The name of a node that takes a pod, the emptiest; or an empty name, and why none does.

    Args:
        pod: The pod.
        nodes: All nodes.
        pods: All pods, for what is taken already.
    """
    refusals: Counter[str] = Counter()
    fitting: list[tuple[int, str]] = []
    for node in nodes:
        there = [
            each for each in pods if each["spec"].get("nodeName") == node["metadata"]["name"] and _lives(each)
        ]
        why = _refusals(pod, node, there)
        refusals.update(why)
        if not why:
            fitting.append((len(there), node["metadata"]["name"]))
    if fitting:
        return min(fitting)[1], ""
    total = len(nodes)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(refusals.items()))
    helpless = f"preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling."
    return "", f"0/{total} nodes are available: {reasons or 'no nodes'}. {helpless}"


def untolerated(pod: Json, node: Json, effects: Sequence[str]) -> Json | None:
    """The first taint of these effects that the pod does not tolerate."""
    for taint in (node["spec"].get("taints") or ()) if node["spec"] else ():
        if taint["effect"] in effects and not any(
            _tolerates(each, taint) for each in pod["spec"].get("tolerations") or ()
        ):
            return taint
    return None


def selected(pod: Json, node: Json) -> bool:
    """Whether the pod's node selector and required affinity match a node."""
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(_matches(each, labels) for each in term.get("matchExpressions") or ())
        and all(_matches(each, fields) for each in term.get("matchFields") or ())
        for term in required["nodeSelectorTerms"]
        if term.get("matchExpressions") or term.get("matchFields")
    )


def requests(pod: Json, resource: str) -> Decimal:
    """What a pod's containers ask for."""
    return sum(
        (
            quantity(((each.get("resources") or {}).get("requests") or {}).get(resource, 0))
            for each in pod["spec"]["containers"]
        ),
        Decimal(0),
    )


def _refusals(pod: Json, node: Json, there: Sequence[Json]) -> list[str]:
    if node["spec"].get("unschedulable") and not any(
        _tolerates(each, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
        for each in pod["spec"].get("tolerations") or ()
    ):
        return ["node(s) were unschedulable"]
    if not selected(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if taint := untolerated(pod, node, ("NoSchedule", "NoExecute")):
        value = f": {taint['value']}" if taint.get("value") else ": "
        return [f"node(s) had untolerated taint {{{taint['key']}{value}}}"]
    allocatable = node["status"]["allocatable"]
    short = [
        f"Insufficient {resource}"
        for resource in ("cpu", "memory")
        if requests(pod, resource) + sum(requests(each, resource) for each in there)
        > quantity(allocatable[resource])
    ]
    return [*short, *(["Too many pods"] if len(there) >= quantity(allocatable["pods"]) else [])]


def _lives(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"the plane does not understand the operator {expression['operator']!r}")
