"""Which network policies choose a pod: Kubernetes' own and Calico's. Pure functions of objects of any shape.

What a policy permits is not judged here: a diagnosis names those that apply, and a person reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pytest_calico_perf.cluster.kubernetes.calico_selector import selects
from pytest_calico_perf.cluster.kubernetes.reading import labels_of, name_of, text, texts, truth
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.parsing import lookup, mappings

# Labels that Calico itself gives (docs.tigera.io, "Calico automatic labels").
_NAMESPACE = "projectcalico.org/namespace"
_ORCHESTRATOR = "projectcalico.org/orchestrator"
_ACCOUNT = "projectcalico.org/serviceaccount"
_NAME = "projectcalico.org/name"
# Calico's API server lists the policies of Kubernetes among its own, under these names.
_KUBERNETES_OWN = ("knp.default.", "kcnp.")


@dataclass(frozen=True)
class Target:
    """A pod as policies see it.

    Attributes:
        namespace: Its namespace.
        labels: Its labels.
        account: Name of its service account.
        namespace_labels: Labels of its namespace.
    """

    namespace: str
    labels: Mapping[str, str]
    account: str = "default"
    namespace_labels: Mapping[str, str] | None = None

    @classmethod
    def of(cls, pod: Json, namespace: Json | None) -> Target:
        """A pod of the API's, with its namespace where that was seen."""
        return cls(
            namespace=text(lookup(pod, "metadata", "namespace")),
            labels=labels_of(pod),
            account=text(lookup(pod, "spec", "serviceAccountName")) or "default",
            namespace_labels=None if namespace is None else labels_of(namespace),
        )

    @property
    def to_calico(self) -> dict[str, str]:
        """Its labels with those that Calico adds."""
        added = {_NAMESPACE: self.namespace, _ORCHESTRATOR: "k8s", _ACCOUNT: self.account}
        return {**self.labels, **added}


def of_kubernetes(policies: Iterable[Json], target: Target) -> Iterator[str]:
    """Names of the NetworkPolicies of Kubernetes that choose the pod."""
    for policy in policies:
        if text(lookup(policy, "metadata", "namespace")) == target.namespace and _has(
            lookup(policy, "spec", "podSelector"), target.labels
        ):
            yield f"NetworkPolicy {target.namespace}/{name_of(policy)}"


def of_calico(policies: Iterable[Json], target: Target) -> Iterator[str]:
    """Names of Calico's NetworkPolicies that choose the pod."""
    for policy in policies:
        name = name_of(policy)
        if text(lookup(policy, "metadata", "namespace")) == target.namespace and not name.startswith(
            _KUBERNETES_OWN
        ):
            yield from _chosen(policy, target, f"Calico's NetworkPolicy {target.namespace}/{name}")


def of_everywhere(policies: Iterable[Json], target: Target) -> Iterator[str]:
    """Names of Calico's GlobalNetworkPolicies that choose the pod."""
    for policy in policies:
        spec, name = lookup(policy, "spec"), name_of(policy)
        # These two are for host endpoints alone (api/pkg/apis/projectcalico/v3/globalnetworkpolicy.go).
        if name.startswith(_KUBERNETES_OWN) or any(
            truth(lookup(spec, field)) for field in ("doNotTrack", "preDNAT")
        ):
            continue
        yield from _chosen(policy, target, f"GlobalNetworkPolicy {name}")


def _chosen(policy: Json, target: Target, shown: str) -> Iterator[str]:
    """The policy's name if it applies, with a word of doubt where that cannot be seen."""
    spec = lookup(policy, "spec")
    namespaces = (
        None
        if target.namespace_labels is None
        else {**target.namespace_labels, _NAME: target.namespace, _NAMESPACE: target.namespace}
    )
    answers = [
        _selects(lookup(spec, "selector"), target.to_calico),
        _selects(lookup(spec, "namespaceSelector"), namespaces),
        # Labels of a service account are not looked at: its name is the one that is known.
        _selects(lookup(spec, "serviceAccountSelector"), {_NAME: target.account}, all_known=False),
    ]
    if False in answers:
        return
    yield f"{shown} (its selector could not be evaluated)" if None in answers else shown


def _selects(selector: object, labels: Mapping[str, str] | None, *, all_known: bool = True) -> bool | None:
    said = text(selector)
    if not said.strip():
        return True
    if labels is None:
        return None
    answer = selects(said, labels)
    return answer if all_known or answer else None


def _has(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches (k8s.io/apimachinery, meta/v1, LabelSelector): an empty one does."""
    wanted = lookup(selector, "matchLabels")
    if isinstance(wanted, Mapping) and any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_meets(each, labels) for each in mappings(lookup(selector, "matchExpressions")))


def _meets(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = text(expression.get("key")), texts(expression.get("values"))
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(text(expression.get("operator")), False)
