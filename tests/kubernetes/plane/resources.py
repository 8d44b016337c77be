"""Kinds of objects the plane reads and writes, and which of Calico's a cluster serves."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kubernetes.fake.api import FakeApi
from tests.kubernetes.plane.spec import CalicoSpec, Group

Resource = tuple[str, str, str]

NAMESPACES = ("", "v1", "namespaces")
NODES = ("", "v1", "nodes")
PODS = ("", "v1", "pods")
SERVICES = ("", "v1", "services")
ENDPOINTS = ("", "v1", "endpoints")
EVENTS = ("", "v1", "events")
CONFIG_MAPS = ("", "v1", "configmaps")
QUOTAS = ("", "v1", "resourcequotas")
DAEMON_SETS = ("apps", "v1", "daemonsets")
ENDPOINT_SLICES = ("discovery.k8s.io", "v1", "endpointslices")
SERVICE_RANGES = ("networking.k8s.io", "v1", "servicecidrs")
INSTALLATIONS = ("operator.tigera.io", "v1", "installations")
TIGERA_STATUSES = ("operator.tigera.io", "v1", "tigerastatuses")

_V1, _V3 = "crd.projectcalico.org", "projectcalico.org"
_OTHER = "cni.example"  # where the plane keeps its books in a cluster without Calico
_STATUS = frozenset({"ippools", "caliconodestatuses"})
_SHOWN = {
    "ippools": "IPPool",
    "felixconfigurations": "FelixConfiguration",
    "bgpconfigurations": "BGPConfiguration",
    "bgppeers": "BGPPeer",
    "clusterinformations": "ClusterInformation",
    "caliconodestatuses": "CalicoNodeStatus",
    "globalnetworkpolicies": "GlobalNetworkPolicy",
}
# Of which Calico has one for each namespace.
_NAMESPACED = {"networkpolicies": "NetworkPolicy"}
_STORED_ONLY = {"ipamblocks": "IPAMBlock", "blockaffinities": "BlockAffinity", "ipamhandles": "IPAMHandle"}


@dataclass(frozen=True)
class CalicoResources:
    """Where Calico's own objects are stored.

    Attributes:
        group: The storage's API group.
        version: Its version.
    """

    group: str
    version: str

    @classmethod
    def register(cls, fake: FakeApi, spec: CalicoSpec) -> CalicoResources:
        """Serve what a cluster of that kind serves; what its aggregated API shows are the stored objects."""
        native = spec.group == Group.NATIVE
        stored = cls(_OTHER, "v1") if spec.absent else cls(_V3, "v3") if native else cls(_V1, "v1")
        for plural, kind in (_SHOWN | _STORED_ONLY | _NAMESPACED).items():
            fake.register(
                stored.group,
                stored.version,
                plural,
                kind,
                plural in _NAMESPACED,
                status=native and plural in _STATUS,
            )
        if spec.group == Group.AGGREGATED:
            # blockaffinities are in the aggregated API, blocks and handles are not (calico.md 1.1).
            for plural, kind in (_SHOWN | _NAMESPACED | {"blockaffinities": "BlockAffinity"}).items():
                fake.register(
                    _V3,
                    "v3",
                    plural,
                    kind,
                    plural in _NAMESPACED,
                    storage=(_V1, plural),
                    status=plural in _STATUS,
                )
        if spec.managed_by == "operator":
            fake.register("operator.tigera.io", "v1", "installations", "Installation", status=True)
            fake.register("operator.tigera.io", "v1", "tigerastatuses", "TigeraStatus", status=True)
        return stored

    def of(self, plural: str) -> Resource:
        """The stored collection of that name."""
        return (self.group, self.version, plural)

    @property
    def pools(self) -> Resource:
        return self.of("ippools")

    @property
    def blocks(self) -> Resource:
        return self.of("ipamblocks")

    @property
    def affinities(self) -> Resource:
        return self.of("blockaffinities")
