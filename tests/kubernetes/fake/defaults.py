"""What the server itself puts into an object, and what it refuses in one: names, and built-in defaults."""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.kubernetes.fake.kinds import Kind
from tests.kubernetes.fake.refusal import Refused, invalid

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
# As apimachinery words them (pkg/util/validation).
_NAME_RULES = {
    "label": "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    "subdomain": "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
}
_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "
    "is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
# RBAC's objects may have names such as `system:node`.
_FREE_NAMES = {"rbac.authorization.k8s.io"}


def now() -> str:
    """This moment as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_new(kind: Kind, obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    """A new object with its identity, checked.

    Raises:
        Refused: 400 for another namespace or kind than the path's, 422 for a name or label that cannot be.
    """
    new = kind.view(_checked(kind, obj))
    metadata = dict(new.get("metadata") or {})
    for assigned in ("resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"):
        metadata.pop(assigned, None)
    if not metadata.get("name") and metadata.get("generateName"):
        alphabet = "bcdfghjklmnpqrstvwxz2456789"
        metadata["name"] = metadata["generateName"] + "".join(secrets.choice(alphabet) for _ in range(5))
    _name(kind, metadata)
    if kind.namespaced:
        if metadata.get("namespace", namespace) != namespace:
            raise Refused(
                400, "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
    metadata.pop("generation", None)
    if kind.counts:
        metadata["generation"] = 1
    new["metadata"] = metadata
    return defaulted(kind, new)


def defaulted(kind: Kind, obj: dict[str, Any]) -> dict[str, Any]:
    """The object with its kind's defaults; labels checked.

    Raises:
        Refused: 422.
    """
    metadata = obj["metadata"]
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            why = f'Invalid value: "{value}": {_LABEL_RULE}'
            raise invalid(kind.kind, kind.group, metadata["name"], "metadata.labels", why)
        if not key:
            raise invalid(
                kind.kind, kind.group, metadata["name"], "metadata.labels", "name part must be non-empty"
            )
    if kind.builtin and kind.plural in _DEFAULTS:
        _DEFAULTS[kind.plural](kind, obj)
    return obj


def _checked(kind: Kind, obj: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata", {}), dict):
        raise Refused(400, "the object provided is unrecognized (must be of type Object)")
    said = (obj.get("apiVersion", kind.api_version), obj.get("kind", kind.kind))
    if said != (kind.api_version, kind.kind):
        raise Refused(
            400,
            f"the API version in the data ({said[0]}, Kind={said[1]}) does not match the expected API version "
            f"({kind.api_version}, Kind={kind.kind})",
        )
    return obj


def _name(kind: Kind, metadata: dict[str, Any]) -> None:
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise invalid(
            kind.kind, kind.group, "", "metadata.name", "Required value: name or generateName is required"
        )
    if kind.group in _FREE_NAMES:
        return
    short = kind.plural in {"namespaces", "services"}
    pattern, longest = (_LABEL, 63) if short else (_SUBDOMAIN, 253)
    if len(name) > longest or not pattern.fullmatch(name):
        rule = _NAME_RULES["label" if short else "subdomain"]
        raise invalid(kind.kind, kind.group, name, "metadata.name", f'Invalid value: "{name}": {rule}')


def _namespace(kind: Kind, obj: dict[str, Any]) -> None:
    metadata = obj["metadata"]
    metadata["labels"] = (metadata.get("labels") or {}) | {"kubernetes.io/metadata.name": metadata["name"]}
    obj.setdefault("spec", {"finalizers": ["kubernetes"]})
    obj["status"] = {"phase": "Active"} | (obj.get("status") or {})


def _pod(kind: Kind, obj: dict[str, Any]) -> None:
    name = obj["metadata"]["name"]
    spec = obj.setdefault("spec", {})
    if not spec.get("containers"):
        raise invalid("Pod", "", name, "spec.containers", "Required value")
    for index, container in enumerate(spec["containers"]):
        for field in ("name", "image"):
            if not container.get(field):
                raise invalid("Pod", "", name, f"spec.containers[{index}].{field}", "Required value")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
    for field, value in (
        ("restartPolicy", "Always"),
        ("dnsPolicy", "ClusterFirst"),
        ("terminationGracePeriodSeconds", 30),
        ("schedulerName", "default-scheduler"),
        ("serviceAccountName", "default"),
        ("securityContext", {}),
        ("priority", 0),
        ("preemptionPolicy", "PreemptLowerPriority"),
        ("enableServiceLinks", True),
    ):
        spec.setdefault(field, value)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(toleration.get("key") in (key, None) for toleration in tolerations):
            wait = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            tolerations.append(wait)
    obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"} | (obj.get("status") or {})


def _service(kind: Kind, obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports", []):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    obj.setdefault("status", {"loadBalancer": {}})


_DEFAULTS = {"namespaces": _namespace, "pods": _pod, "services": _service}
