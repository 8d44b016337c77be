"""Label and field selectors (Kubernetes documentation, "Labels and Selectors" and "Field Selectors")."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.kubernetes.fake.refusal import Refused

Test = Callable[[Mapping[str, Any]], bool]

# Fields each kind can be selected by; every kind knows the name, every namespaced one its namespace
# (pkg/apis/core/v1/conversion.go, AddFieldLabelConversionsFor*).
_FIELDS = {
    "pods": {
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
    },
    "nodes": {"spec.unschedulable"},
    "namespaces": {"status.phase"},
    "secrets": {"type"},
    "services": {"spec.clusterIP", "spec.type"},
    "events": {
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    },
}  # fmt: skip

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s=!]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s=!]*)$")
_KEY = re.compile(r"^(?P<absent>!?)\s*(?P<key>[A-Za-z0-9][-A-Za-z0-9_./]*)$")
_COMMA = re.compile(r",(?![^()]*\))")


def by_labels(selector: str) -> Test:
    """Whether an object's labels match.

    Raises:
        Refused: 400, the selector cannot be read.
    """
    tests = [_label(part.strip()) for part in _COMMA.split(selector) if part.strip()]

    def matches(obj: Mapping[str, Any]) -> bool:
        labels = obj.get("metadata", {}).get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def by_fields(selector: str, plural: str) -> Test:
    """Whether an object's fields match: the few a server can select by.

    Raises:
        Refused: 400, the selector cannot be read or that field cannot be selected by.
    """
    known = {"metadata.name", "metadata.namespace"} | _FIELDS.get(plural, set())
    wanted = []
    for part in [part for part in selector.split(",") if part.strip()]:
        found = _EQUAL.match(part.strip())
        if not found:
            raise Refused(400, f"invalid selector: '{selector}'; can't understand '{part}'")
        if found["key"] not in known:
            raise Refused(400, f"field label not supported: {found['key']}")
        wanted.append((found["key"], found["operator"] != "!=", found["value"]))

    def matches(obj: Mapping[str, Any]) -> bool:
        return all((_text(obj, path) == value) is equal for path, equal, value in wanted)

    return matches


def _text(obj: Mapping[str, Any], path: str) -> str:
    value: Any = obj
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _label(part: str) -> Test:
    if found := _SET.match(part):
        values = {value.strip() for value in found["values"].split(",")}
        key, inside = found["key"], found["operator"] == "in"
        # As in the server, an absent label is `notin` every set.
        return lambda labels: (labels.get(key) in values) is inside
    if found := _EQUAL.match(part):
        key, value, equal = found["key"], found["value"], found["operator"] != "!="
        return lambda labels: (labels.get(key) == value) is equal
    if found := _KEY.match(part):
        key, present = found["key"], not found["absent"]
        return lambda labels: (key in labels) is present
    raise Refused(400, f"unable to parse requirement: found '{part}', expected: a label selector")
