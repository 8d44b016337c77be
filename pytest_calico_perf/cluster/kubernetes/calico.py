"""What Calico a cluster has, as facts: API, version, installation, data plane, pools.

`detection.py` finds them out. Fields are named as in Calico's own resources (api/pkg/apis/projectcalico/v3);
all of them are untrusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

from pytest_calico_perf.cluster.kubernetes import ours
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts
from pytest_calico_perf.cluster.kubernetes.reading import ipv4_address, text, texts, truth
from pytest_calico_perf.cluster.kubernetes.resource import CalicoApi, Json
from pytest_calico_perf.cluster.kubernetes.route_owners import Owners, route_owners
from pytest_calico_perf.model import Encapsulation, Mode
from pytest_calico_perf.parsing import lookup, mappings

OPERATOR = "tigera-operator"
"""Value of the managed-by label of pools that the operator keeps as its Installation says."""

_VERSION = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})(?:[.+-].*)?", re.ASCII)

# What changes the figures (felix/config/config_params.go, api/.../bgpconfig.go), as the reports keep it.
FELIX_FIELDS = (
    *("bpfEnabled", "bpfAttachType", "bpfRedirectToPeer", "bpfDataIfacePattern", "bpfDisableGROForIfaces"),
    *("bpfHostConntrackBypass", "bpfOverlayHostSourceIP", "bpfConnectTimeLoadBalancing"),
    *("bpfExternalServiceMode", "iptablesBackend", "nftablesMode", "nftablesFlowTableOffload"),
    *("wireguardEnabled", "wireguardThreadingEnabled", "wireguardMTU"),
    *("ipipEnabled", "ipipMTU", "vxlanEnabled", "vxlanMTU", "vxlanPort", "vxlanVNI", "mtuIfacePattern"),
    *("featureDetectOverride", "routeRefreshInterval", "programClusterRoutes", "flowLogsFlushInterval"),
    "natOutgoingExclusions",
)
BGP_FIELDS = (
    *("nodeToNodeMeshEnabled", "asNumber", "listenPort", "bindMode", "ignoredInterfaces"),
    *("programClusterRoutes", "ipv4NormalRoutePriority"),
)


class ManagedBy(StrEnum):
    """Who keeps Calico as it is."""

    OPERATOR = "operator"
    MANIFEST = "manifest"
    UNKNOWN = "unknown"


class Backend(StrEnum):
    """What calico-node runs beside Felix (node/filesystem/etc/rc.local)."""

    BIRD = "bird"
    VXLAN = "vxlan"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PoolFacts:
    """An IPPool.

    Attributes:
        name: Its name.
        range: Its addresses; None when its CIDR is none.
        mode: What its two encapsulation fields come to; None when they make no sense.
        disabled: Whether no more addresses are taken from it.
        labels: Its labels.
        spec: All of its spec.
    """

    name: str
    range: IPv4Network | IPv6Network | None
    mode: Mode | None
    disabled: bool
    labels: Mapping[str, str]
    spec: Json

    @property
    def is_ours(self) -> bool:
        """Whether a run of ours made it."""
        return self.labels.get(ours.MANAGED_BY) == ours.MANAGER

    @property
    def is_the_operators(self) -> bool:
        """Whether the operator puts it back to what its Installation says."""
        return self.labels.get(ours.MANAGED_BY) == OPERATOR

    @property
    def uses(self) -> tuple[str, ...]:
        """What its addresses are for; Calico takes unset for both."""
        return texts(self.spec.get("allowedUses")) or ("Workload", "Tunnel")

    @property
    def is_default(self) -> bool:
        """Whether a pod that asks for nothing may get an IPv4 address of it, on any node."""
        return (
            isinstance(self.range, IPv4Network)
            and not self.disabled
            and not self.is_ours
            and "Workload" in self.uses
            and text(self.spec.get("assignmentMode")) in ("", "Automatic")
            and self.selects_all_nodes
            and _selects_all(self.spec.get("namespaceSelector"))
        )

    def gives_tunnel(self, tunnel: Encapsulation) -> bool:
        """Whether nodes it selects get the addresses of their tunnels of an encapsulation from it."""
        return (
            self.mode is not None
            and self.mode.tunnel is tunnel
            and not self.disabled
            and "Tunnel" in self.uses
        )

    @property
    def selects_all_nodes(self) -> bool:
        """Whether it is surely for every node; other selectors are not evaluated here."""
        return _selects_all(self.spec.get("nodeSelector"))

    def has(self, address: IPv4Address | None) -> bool:
        """Whether an address is of its range."""
        return address is not None and isinstance(self.range, IPv4Network) and address in self.range

    def facts(self) -> dict[str, Any]:
        """It, JSON-able."""
        return {
            "name": self.name,
            "range": str(self.range) if self.range else None,
            "mode": str(self.mode) if self.mode else None,
            "disabled": self.disabled,
            "block_size": self.spec.get("blockSize"),
            "nat_outgoing": truth(self.spec.get("natOutgoing")),
            "uses": list(self.uses),
            "assignment": text(self.spec.get("assignmentMode")) or "Automatic",
            "managed_by": self.labels.get(ours.MANAGED_BY, ""),
        }


def pool_mode(spec: object) -> Mode | None:
    """The mode that a pool's `ipipMode` and `vxlanMode` come to; None when both are set, or one is no mode.

    Raw v1 CRDs up to Calico 3.31 take both at once.
    """
    ipip, vxlan = (text(lookup(spec, field)) or "Never" for field in ("ipipMode", "vxlanMode"))
    return {
        ("Never", "Never"): Mode.BGP,
        ("Always", "Never"): Mode.IPIP,
        ("CrossSubnet", "Never"): Mode.IPIP_CROSS_SUBNET,
        ("Never", "Always"): Mode.VXLAN,
        ("Never", "CrossSubnet"): Mode.VXLAN_CROSS_SUBNET,
    }.get((ipip, vxlan))


@dataclass(frozen=True)
class CalicoFacts:
    """Calico as it is in a cluster.

    Attributes:
        api: How its objects are read and written.
        version: `v3.32.1`; empty where it does not say.
        cluster_type: What it is installed for, in its own words: `k8s,bgp,kubeadm`.
        datastore_ready: False while an upgrade holds it still; None where it does not say.
        managed_by: Who keeps it as it is.
        backend: What calico-node runs beside Felix.
        dataplane: `iptables`, `nftables`, `bpf`, or another in the operator's words.
        ipam: Who hands out the pods' addresses: `calico-ipam`; empty where nobody says.
        pools: All its pools.
        felix: Spec of FelixConfiguration `default`, with what calico-node's environment overrides.
        bgp: Spec of BGPConfiguration `default`.
        installation: Spec of the operator's Installation, defaults filled in; empty without an operator.
        veth_mtu: What a manifest asks for as the pods' MTU; 0 or empty leaves it to Felix.
    """

    api: CalicoApi
    version: str = ""
    cluster_type: str = ""
    datastore_ready: bool | None = None
    managed_by: ManagedBy = ManagedBy.UNKNOWN
    backend: Backend = Backend.UNKNOWN
    dataplane: str = "iptables"
    ipam: str = ""
    pools: tuple[PoolFacts, ...] = ()
    felix: Json = field(default_factory=dict)
    bgp: Json = field(default_factory=dict)
    installation: Json = field(default_factory=dict)
    veth_mtu: str = ""

    @property
    def release(self) -> tuple[int, int] | None:
        """Major and minor version; None where it is not known."""
        return release(self.version)

    @property
    def assigns_manually(self) -> bool:
        """Whether pools have `assignmentMode` (Calico 3.30); `Manual` is for pods that ask."""
        return self.release is not None and self.release >= (3, 30)

    @property
    def wireguard(self) -> bool:
        """Whether Felix encrypts IPv4 traffic between pods of different nodes."""
        return truth(self.felix.get("wireguardEnabled"))

    @property
    def route_owners(self) -> Owners:
        """Who writes the routes of each kind of pool."""
        return route_owners(
            self.release,
            felix=text(self.felix.get("programClusterRoutes")),
            bgp=text(self.bgp.get("programClusterRoutes")),
            bird_runs=self.backend in (Backend.BIRD, Backend.UNKNOWN),
        )

    @property
    def default_pools(self) -> tuple[PoolFacts, ...]:
        """The pools that pods get their IPv4 addresses from when they ask for nothing."""
        return tuple(pool for pool in self.pools if pool.is_default)

    def gives_tunnels(self, tunnel: Encapsulation, nodes: Iterable[NodeFacts]) -> bool:
        """Whether the cluster itself gives tunnels of an encapsulation their addresses on these nodes.

        Pools of ours do not count: another run's are gone before we are. A pool for some nodes only counts
        where its selector is seen to hold them: they have an address of it (node/pkg/allocateip).
        """
        pools = [pool for pool in self.pools if pool.gives_tunnel(tunnel) and not pool.is_ours]
        if any(pool.selects_all_nodes for pool in pools):
            return True
        addresses = [ipv4_address(node.tunnel_addresses.get(str(tunnel))) for node in nodes]
        return bool(addresses) and all(any(pool.has(address) for pool in pools) for address in addresses)

    def in_installation(self, pool: PoolFacts) -> bool:
        """Whether the operator's Installation lists a pool, so that it must be changed there."""
        listed = mappings(lookup(self.installation, "calicoNetwork", "ipPools"))
        return any(str(pool.range) == text(each.get("cidr")) for each in listed)

    def about_routes(self, kind: Encapsulation) -> str:
        """What is wrong with who writes the routes of a kind of pool, in a sentence; empty if nothing is."""
        writers = self.route_owners[kind]
        if len(writers) == 1:
            return ""
        if not writers and self.backend not in (Backend.BIRD, Backend.UNKNOWN):
            return f"routes of pools with encapsulation {kind} are written by nobody: backend {self.backend}"
        by = f"by {' and '.join(sorted(writers))} at once and may flap" if writers else "by nobody"
        return (
            f"routes of pools with encapsulation {kind} are written {by}: programClusterRoutes of "
            "FelixConfiguration and BGPConfiguration must complement each other"
        )

    def facts(self) -> dict[str, Any]:
        """It, JSON-able."""
        return {
            "version": self.version,
            "api": f"{self.api.group}/{self.api.version}",
            "storage": "/".join(self.api.storage),
            "cluster_type": self.cluster_type,
            "datastore_ready": self.datastore_ready,
            "managed_by": str(self.managed_by),
            "backend": str(self.backend),
            "dataplane": self.dataplane,
            "ipam": self.ipam,
            "wireguard": self.wireguard,
            "routes_by": {str(kind): sorted(map(str, who)) for kind, who in self.route_owners.items()},
            "mtu": {
                "installation": lookup(self.installation, "calicoNetwork", "mtu"),
                "veth_mtu": self.veth_mtu,
            },
            "felix": {name: self.felix[name] for name in FELIX_FIELDS if name in self.felix},
            "bgp": {name: self.bgp[name] for name in BGP_FIELDS if name in self.bgp},
        }

    def notes(self) -> list[str]:
        """What is odd about it, in sentences."""
        notes = []
        if self.release is None:
            notes.append("Calico does not say its version: it is taken for the newest")
        if self.datastore_ready is False:
            notes.append(
                "Calico's datastore is not ready (ClusterInformation default): an upgrade is under way"
            )
        # Without BIRD it is by design that some routes have nobody to write them.
        kinds = Encapsulation if self.backend in (Backend.BIRD, Backend.UNKNOWN) else ()
        notes += [complaint for kind in kinds if (complaint := self.about_routes(kind))]
        notes += [
            f"pool {pool.name} has an ipipMode and a vxlanMode that cannot be together"
            for pool in self.pools
            if pool.mode is None
        ]
        return notes


def release(version: str) -> tuple[int, int] | None:
    """Major and minor version out of `v3.32.1`, `v1.34.1+k3s1`; None out of anything else."""
    match = _VERSION.fullmatch(version)
    return (int(match[1]), int(match[2])) if match else None


def _selects_all(selector: object) -> bool:
    return text(selector).replace(" ", "") in ("", "all()")
