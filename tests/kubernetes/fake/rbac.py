"""Who may do what: the rules of a ClusterRole, enforced per request and told by SelfSubjectAccessReviews."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kubernetes.fake.refusal import Refused

USER = "system:serviceaccount:default:calico-perf"


@dataclass(frozen=True)
class Attributes:
    """What a request is about, as authorization sees it."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class Rbac:
    """The rules of the one user there is; without any, everything is allowed.

    A rule is one of a ClusterRole as in its manifest (apiGroups, resources, verbs, resourceNames). An extra key
    `namespace` makes it one of a Role bound there.
    """

    def __init__(self, rules: Iterable[Mapping[str, Any]] | None = None) -> None:
        self.rules: Sequence[Mapping[str, Any]] | None = None if rules is None else list(rules)

    def allows(self, asked: Attributes) -> bool:
        return self.rules is None or any(_grants(rule, asked) for rule in self.rules)

    def check(self, asked: Attributes) -> None:
        """Pass or refuse.

        Raises:
            Refused: 403, in the server's words (apiserver: endpoints/handlers/responsewriters/errors.go).
        """
        if self.allows(asked):
            return
        resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
        full = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
        subject = f'{full} "{asked.name}"' if asked.name else full
        details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
        raise Refused(
            403,
            f'{subject} is forbidden: User "{USER}" cannot {asked.verb} resource "{resource}" '
            f'in API group "{asked.group}" {where}',
            details={key: value for key, value in details.items() if value},
        )

    def review(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A SelfSubjectAccessReview with its status."""
        spec = body.get("spec") or {}
        wanted = spec.get("resourceAttributes")
        if wanted is None and spec.get("nonResourceAttributes") is None:
            raise Refused(
                422,
                'SelfSubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: '
                "null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        asked = Attributes(**{key: (wanted or {}).get(key) or "" for key in Attributes.__dataclass_fields__})
        allowed = self.allows(asked) if wanted is not None else True
        reason = {"reason": 'RBAC: allowed by ClusterRoleBinding "calico-perf"'} if allowed else {}
        return {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": dict(spec),
            "status": {"allowed": allowed, **reason},
        }


def _grants(rule: Mapping[str, Any], asked: Attributes) -> bool:
    if "namespace" in rule and rule["namespace"] != asked.namespace:
        return False
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    names = rule.get("resourceNames") or []
    return (
        _has(rule, "verbs", asked.verb)
        and _has(rule, "apiGroups", asked.group)
        and (
            _has(rule, "resources", resource)
            or (bool(asked.subresource) and f"*/{asked.subresource}" in rule.get("resources", ()))
        )
        and (not names or asked.name in names)
    )


def _has(rule: Mapping[str, Any], field: str, value: str) -> bool:
    values = rule.get(field) or ()
    return "*" in values or value in values
