"""Kinds of objects and where the API serves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Json = Mapping[str, Any]
"""An object as the API shows it. Untrusted: read it with `parsing.lookup`, which survives any shape."""


@dataclass(frozen=True)
class Resource:
    """A kind of object.

    Attributes:
        group: API group; empty for the core.
        version: `v1`, `v3`.
        plural: As in its path: `ippools`.
        kind: As in its manifests: `IPPool`.
        namespaced: Whether its objects live in namespaces.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As in its manifests: `v1`, `projectcalico.org/v3`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of the collection, of an object or of its subresource. Every part is quoted."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [self.plural, *([name] if name else []), *([subresource] if subresource else [])]
        return "/" + "/".join(quote(part, safe="") for part in parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
EVENTS = Resource("", "v1", "events", "Event")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
SERVICE_RANGES = Resource("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False)
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
INSTALLATIONS = Resource("operator.tigera.io", "v1", "installations", "Installation", namespaced=False)


@dataclass(frozen=True)
class CalicoApi:
    """The API group Calico's own objects are read and written through (calico.md: detect, do not assume).

    Attributes:
        group: `projectcalico.org`, or `crd.projectcalico.org` where no API server of Calico's is.
        version: `v3` or `v1`.
        storage: Group and version of `ipamblocks` and `blockaffinities`, which the aggregated API leaves out.
    """

    group: str
    version: str
    storage: tuple[str, str]

    @property
    def validates(self) -> bool:
        """Whether the server checks what is written and deletes pools properly; raw CRDs check nothing."""
        return self.group == "projectcalico.org"

    def _own(self, plural: str, kind: str) -> Resource:
        return Resource(self.group, self.version, plural, kind, namespaced=False)

    @property
    def pools(self) -> Resource:
        return self._own("ippools", "IPPool")

    @property
    def felix_configurations(self) -> Resource:
        return self._own("felixconfigurations", "FelixConfiguration")

    @property
    def bgp_configurations(self) -> Resource:
        return self._own("bgpconfigurations", "BGPConfiguration")

    @property
    def cluster_informations(self) -> Resource:
        return self._own("clusterinformations", "ClusterInformation")

    @property
    def bgp_peers(self) -> Resource:
        return self._own("bgppeers", "BGPPeer")

    @property
    def node_statuses(self) -> Resource:
        return self._own("caliconodestatuses", "CalicoNodeStatus")

    @property
    def network_policies(self) -> Resource:
        return Resource(self.group, self.version, "networkpolicies", "NetworkPolicy")

    @property
    def global_network_policies(self) -> Resource:
        return self._own("globalnetworkpolicies", "GlobalNetworkPolicy")

    @property
    def blocks(self) -> Resource:
        return Resource(*self.storage, "ipamblocks", "IPAMBlock", namespaced=False)

    @property
    def affinities(self) -> Resource:
        return Resource(*self.storage, "blockaffinities", "BlockAffinity", namespaced=False)
