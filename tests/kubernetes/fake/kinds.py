"""What the server serves, and the discovery documents that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tests.kubernetes.fake.refusal import unknown

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
VERSION = {
    "major": "1",
    "minor": "35",
    "gitVersion": "v1.35.2",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.24.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}


class Named(Protocol):
    """The product's `Resource`, and whatever else names a collection by these three."""

    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def plural(self) -> str: ...


Resource = tuple[str, str, str] | Named
"""(group, version, plural); the core group is empty."""


@dataclass(frozen=True)
class Kind:
    """A collection of the API.

    Attributes:
        storage: Group and plural under which its objects are kept. Versions of a group share it, and so does a
            view such as `projectcalico.org/v3` of Calico's aggregated API over `crd.projectcalico.org/v1`.
        builtin: Part of Kubernetes itself: lists leave out the items' kinds, and strategic patches work.
        status: Whether it has the status subresource.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    storage: tuple[str, str]
    builtin: bool = False
    status: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def counts(self) -> bool:
        """Whether its objects have a generation: the ones with a desired state that controllers chase."""
        return not self.builtin or bool(self.group) or self.plural == "pods"

    def view(self, obj: dict[str, Any]) -> dict[str, Any]:
        """An object of the storage in this version."""
        return {"apiVersion": self.api_version, "kind": self.kind} | {
            key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}
        }


class Kinds:
    """The registry of kinds: built-ins at first, and whatever is registered."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        for group, version, plural, kind, namespaced in _BUILTINS:
            self.register(group, version, plural, kind, namespaced=namespaced, builtin=True, status=True)

    def register(
        self,
        group: str,
        version: str,
        plural: str,
        kind: str,
        *,
        namespaced: bool = False,
        storage: tuple[str, str] | None = None,
        builtin: bool = False,
        status: bool = False,
    ) -> Kind:
        """Serve a collection from now on.

        Args:
            storage: Group and plural of the collection whose objects it shows; its own without.
        """
        new = Kind(group, version, plural, kind, namespaced, storage or (group, plural), builtin, status)
        self._kinds[group, version, plural] = new
        return new

    def unregister(self, group: str, version: str = "") -> None:
        """Serve a group, or one version of it, no more. Its objects stay stored."""
        for key in [key for key in self._kinds if key[0] == group and version in ("", key[1])]:
            del self._kinds[key]

    def of(self, resource: Resource) -> Kind:
        """The kind of that name.

        Raises:
            Refused: 404, it is not served.
        """
        key = resource if isinstance(resource, tuple) else (resource.group, resource.version, resource.plural)
        if key not in self._kinds:
            raise unknown()
        return self._kinds[key]

    def serves(self, group: str, version: str) -> bool:
        return any(key[:2] == (group, version) for key in self._kinds)

    def stored(self) -> list[Kind]:
        """One kind of each storage: the one that stores it."""
        owners: dict[tuple[str, str], Kind] = {}
        for kind in self._kinds.values():
            if kind.storage not in owners or kind.storage == (kind.group, kind.plural):
                owners[kind.storage] = kind
        return list(owners.values())

    def discovery(self, path: str) -> dict[str, Any] | None:
        """The document at a path of discovery; None when there is none."""
        match path.strip("/").split("/"):
            case ["version"]:
                return dict(VERSION)
            case ["api"]:
                return {
                    "kind": "APIVersions",
                    "versions": ["v1"],
                    "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
                }
            case ["api", "v1"]:
                return self._resources("", "v1")
            case ["apis"]:
                groups = [self._group(group) for group in self._groups()]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["apis", group] if group in self._groups():
                return {"kind": "APIGroup", "apiVersion": "v1", **self._group(group)}
            case ["apis", group, version] if group and self.serves(group, version):
                return self._resources(group, version)
        return None

    def _groups(self) -> list[str]:
        return list(dict.fromkeys(group for group, _, _ in self._kinds if group))

    def _group(self, name: str) -> dict[str, Any]:
        served = dict.fromkeys(version for group, version, _ in self._kinds if group == name)
        versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in served]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def _resources(self, group: str, version: str) -> dict[str, Any]:
        resources = []
        for kind in self._kinds.values():
            if (kind.group, kind.version) != (group, version):
                continue
            entry = {"singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind}
            verbs = ["create"] if kind.plural in _REVIEWS else VERBS
            resources.append({"name": kind.plural, **entry, "verbs": verbs})
            if kind.status and kind.plural not in _REVIEWS:
                resources.append(
                    {"name": f"{kind.plural}/status", **entry, "verbs": ["get", "patch", "update"]}
                )
            if kind.plural == "pods":
                resources += [
                    {"name": "pods/exec", **entry, "kind": "PodExecOptions", "verbs": ["create", "get"]},
                    {"name": "pods/log", **entry, "verbs": ["get"]},
                ]
        full = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": full, "resources": resources}


_REVIEWS = {"selfsubjectaccessreviews"}
_BUILTINS = (
    ("", "v1", "namespaces", "Namespace", False),
    ("", "v1", "nodes", "Node", False),
    ("", "v1", "pods", "Pod", True),
    ("", "v1", "services", "Service", True),
    ("", "v1", "endpoints", "Endpoints", True),
    ("", "v1", "events", "Event", True),
    ("", "v1", "configmaps", "ConfigMap", True),
    ("", "v1", "secrets", "Secret", True),
    ("", "v1", "serviceaccounts", "ServiceAccount", True),
    ("", "v1", "resourcequotas", "ResourceQuota", True),
    ("", "v1", "limitranges", "LimitRange", True),
    ("apps", "v1", "daemonsets", "DaemonSet", True),
    ("apps", "v1", "deployments", "Deployment", True),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True),
    ("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", False),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False),
    ("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False),
)
