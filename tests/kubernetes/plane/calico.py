"""Calico's controllers: what IPPools and an Installation bring about in the network, and in Calico's own objects.

What kube-controllers, confd, Felix, the tunnel address allocator and Tigera's operator do with pools (calico.md 1, 2
and 7). Left out: FelixConfiguration's overrides of encapsulations, peers and route reflectors, policies.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

from pytest_calico_perf.model import Encapsulation
from tests.kubernetes.fake.defaults import now
from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.fake.store import Store
from tests.kubernetes.plane import pools as pool_rules
from tests.kubernetes.plane.dataplane import DataPlane
from tests.kubernetes.plane.ipam import Ipam
from tests.kubernetes.plane.pools import IPPool
from tests.kubernetes.plane.reconciler import Reconciler
from tests.kubernetes.plane.resources import DAEMON_SETS, INSTALLATIONS, NODES, PODS, CalicoResources
from tests.kubernetes.plane.spec import CalicoSpec, Group

Json = dict[str, Any]

FINALIZER = "projectcalico.org/ippool-finalizer"
OPERATORS = {"app.kubernetes.io/managed-by": "tigera-operator"}
TUNNEL_ANNOTATION = {
    Encapsulation.IPIP: "projectcalico.org/IPv4IPIPTunnelAddr",
    Encapsulation.VXLAN: "projectcalico.org/IPv4VXLANTunnelAddr",
}
AGENT = {"k8s-app": "calico-node"}
RUN = "/var/run/calico"
"""Where calico-node finds BIRD's socket."""
_WATCHED = frozenset(
    {"IPPool", "Installation", "Node", "IPAMBlock", "FelixConfiguration", "BGPConfiguration"}
)
_SINCE = {"assignmentMode": (3, 30), "namespaceSelector": (3, 31)}  # calico.md 1.2
_WRITES = {
    "Disabled": frozenset[Encapsulation](),
    "EnabledIPIPOnly": frozenset({Encapsulation.IPIP}),
    "EnabledNoEncapOnly": frozenset({Encapsulation.NONE}),
    "Enabled": frozenset({Encapsulation.IPIP, Encapsulation.NONE}),
}


class Calico:
    """The controllers of a cluster's Calico.

    Attributes:
        ipam: Gives out addresses.
    """

    def __init__(
        self, store: Store, resources: CalicoResources, spec: CalicoSpec, data_plane: DataPlane
    ) -> None:
        self._store = store
        self._resources = resources
        self._spec = spec
        self._data_plane = data_plane
        self._felix_runs: frozenset[Encapsulation] | None = None
        self._age: dict[str, int] = {}  # order in which pools came: their timestamps tell seconds only
        self.ipam = Ipam(store, resources)
        self._loop = Reconciler("calico", self._reconcile)

    def on_change(self, _type: str, obj: Json) -> None:
        """Look again if that kind of object matters."""
        if obj["kind"] == "IPPool":
            self._age.setdefault(obj["metadata"]["uid"], len(self._age) + 1)
        if obj["kind"] in _WATCHED:
            self.kick()

    def kick(self) -> None:
        """Look again."""
        self._loop.kick()

    def settle(self, timeout: float) -> bool:
        """Wait until all that was asked for has been brought about."""
        return self._loop.settle(timeout)

    def close(self) -> None:
        """End; raise what a controller failed with."""
        self._loop.close()
        if self._loop.error:
            raise self._loop.error

    def pools(self) -> list[IPPool]:
        """The pools Calico can use."""
        found = (IPPool.of(obj) for obj in self._store.list(self._resources.pools))
        return [pool for pool in found if pool]

    def admit(self, operation: str, new: Json, old: Json | None) -> Json | None:
        """What Calico's API server, or its CRDs, refuse and complete."""
        if new["kind"] != "IPPool":
            return None
        aggregated = self._spec.group == Group.AGGREGATED and new["apiVersion"] == "projectcalico.org/v3"
        if operation == "DELETE":
            if aggregated and (pool := IPPool.of(new)):
                self.ipam.release_affinities(pool.range)
            return None
        new = self._pruned(new)
        if aggregated:
            others = self._store.list(self._resources.pools)
            return self._pruned(
                pool_rules.validated(new, old, others, self.ipam.blocks() if old is None else [])
            )
        both = all((new["spec"].get(field) or "Never") != "Never" for field in ("ipipMode", "vxlanMode"))
        if both and self._spec.release >= (3, 32):
            why = "ipipMode and vxlanMode cannot both be enabled on the same IP pool"
            raise Refused(
                422, f'IPPool.{self._resources.group} "{new["metadata"]["name"]}" is invalid: spec: {why}'
            )
        return new

    def _pruned(self, pool: Json) -> Json:
        """Without what a schema of this release does not know: the API server drops it."""
        unknown = {field for field, since in _SINCE.items() if self._spec.release < since}
        spec = {field: value for field, value in (pool.get("spec") or {}).items() if field not in unknown}
        return pool | {"spec": spec}

    # One look

    def _reconcile(self) -> None:
        if self._spec.managed_by == "operator":
            self._install()
        if self._spec.group == Group.NATIVE:
            for pool in self.pools():
                self._finalize(pool)
        pools = self.pools()
        tunnels = {
            node["metadata"]["name"]: self._tunnel_addresses(node, pools) for node in self._store.list(NODES)
        }
        encapsulations = frozenset(pool.mode.tunnel for pool in pools) - {Encapsulation.NONE}
        restart = self._felix_runs is not None and encapsulations != self._felix_runs
        self._felix_runs = encapsulations
        if restart:
            # "Exiting for encapsulation change" (felix/daemon): runit starts it again, the pod itself stays.
            time.sleep(self._spec.felix_notices)
            self._set_agents(ready=False)
            time.sleep(self._spec.felix_restart)
        writers = self._route_writers()
        self._data_plane.want(
            [pool.planned(self._data_plane.pod_mtu) for pool in pools],
            self.ipam.blocks_of(list(tunnels), pools),
            tunnels,
            [pool.range for pool in pools if pool.nat_outgoing],
            felix_routes=writers[0],
            bird_routes=writers[1],
        )
        if restart:
            self._set_agents(ready=True)

    def _route_writers(self) -> tuple[frozenset[Encapsulation], frozenset[Encapsulation]]:
        """Encapsulations whose routes Felix writes, and BIRD ([C] design/cluster-route-programming/DESIGN.md)."""
        asked = [
            ((self._store.find(self._resources.of(plural), "default") or {}).get("spec") or {}).get(
                "programClusterRoutes"
            )
            for plural in ("felixconfigurations", "bgpconfigurations")
        ]
        if self._spec.release >= (3, 33):
            felix, bird = (
                _WRITES[each] for each in (asked[0] or "EnabledIPIPOnly", asked[1] or "EnabledNoEncapOnly")
            )
        elif self._spec.release >= (3, 31) and asked[0] == "Enabled":
            felix, bird = _WRITES["Enabled"], _WRITES["Disabled"]
        else:
            felix, bird = _WRITES["Disabled"], _WRITES["Disabled" if asked[1] == "Disabled" else "Enabled"]
        return felix | {Encapsulation.VXLAN}, bird

    def _install(self) -> None:
        """The operator's pool controller: its own pools are as the Installation says, or go."""
        installation = self._store.find(INSTALLATIONS, "default")
        entries = ((installation or {}).get("spec", {}).get("calicoNetwork") or {}).get("ipPools") or []
        wanted = {entry.get("name") or self._spec.pool: pool_rules.installed(entry) for entry in entries}
        have = {obj["metadata"]["name"]: obj for obj in self._store.list(self._resources.pools)}
        for name, obj in have.items():
            if not OPERATORS.items() <= (obj["metadata"].get("labels") or {}).items():
                continue
            if name not in wanted:
                self.ipam.release_affinities(IPPool.of(obj).range)
                self._store.delete(self._resources.pools, name)
            elif wanted[name] != obj["spec"]:
                self._store.update(
                    self._resources.pools, name, lambda live, spec=wanted[name]: live | {"spec": spec}
                )
        for name in wanted.keys() - have.keys():
            metadata = {"name": name, "labels": dict(OPERATORS)}
            self._store.create(self._resources.pools, {"metadata": metadata, "spec": wanted[name]})

    def _finalize(self, pool: IPPool) -> None:
        """Kube-controllers' care of native pools: a finalizer until no block is left, and the condition."""
        if pool.going:
            self.ipam.release_affinities(pool.range)
        older = [other for other in self.pools() if self._age.get(other.uid, 0) < self._age.get(pool.uid, 0)]
        if pool.going:
            verdict = ("False", "Terminating", "IPPool is being deleted.")
        elif any(other.range.overlaps(pool.range) for other in older):
            verdict = ("False", "CIDROverlap", "IPPool CIDR overlaps with another IPPool.")
        elif pool.obj["spec"].get("disabled"):
            verdict = ("False", "PoolDisabled", "IPPool is disabled.")
        else:
            verdict = ("True", "OK", "IPPool is available for IP allocation.")
        free = not self.ipam.in_use(pool.range)
        try:
            self._store.update(self._resources.pools, pool.name, lambda live: _with(live, verdict, free))
        except Refused as refused:
            if refused.code != 404:
                raise

    def _tunnel_addresses(self, node: Json, pools: Sequence[IPPool]) -> dict[Encapsulation, IPv4Address]:
        """`allocate-tunnel-addrs` (node/pkg/allocateip): an address per encapsulation, and the node's annotations."""
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        addresses: dict[Encapsulation, IPv4Address] = {}
        for kind in TUNNEL_ANNOTATION:
            handle = f"{kind}-tunnel-addr-{name}"
            serving = [
                pool
                for pool in pools
                if pool.mode.tunnel is kind
                and not pool.disabled
                and "Tunnel" in pool.uses
                and pool.selects(labels)
            ]
            address = self.ipam.address_of(handle)
            if address and not any(address in pool.range for pool in serving):
                self.ipam.release(handle)
                address = None
            if serving and address is None:
                attributes = {"node": name, "type": f"{kind}TunnelAddress"}
                address = self.ipam.assign(name, serving, handle, attributes)
            if address:
                addresses[kind] = address
        said = {
            TUNNEL_ANNOTATION[kind]: str(addresses[kind]) if kind in addresses else None
            for kind in TUNNEL_ANNOTATION
        }
        present = node["metadata"].get("annotations") or {}
        if any(present.get(key) != value for key, value in said.items()):
            self._store.patch(NODES, name, {"metadata": {"annotations": said}})
        return addresses

    def _set_agents(self, *, ready: bool) -> None:
        """Readiness of calico-node's pods and of their DaemonSet."""
        selector = ",".join(f"{key}={value}" for key, value in AGENT.items())
        for pod in self._store.list(PODS, namespace=self._spec.namespace, labels=selector):
            self._store.update(
                PODS,
                pod["metadata"]["name"],
                lambda live: readied(live, ready=ready),
                namespace=self._spec.namespace,
            )
        count_daemons(self._store, "calico-node", self._spec.namespace)


def count_daemons(store: Store, name: str, namespace: str) -> None:
    """Bring a DaemonSet's status up to date with its pods."""
    daemon_set = store.get(DAEMON_SETS, name, namespace=namespace)
    selector = ",".join(
        f"{key}={value}" for key, value in daemon_set["spec"]["selector"]["matchLabels"].items()
    )
    pods = store.list(PODS, namespace=namespace, labels=selector)
    ready = sum(is_ready(pod) for pod in pods)
    status = {
        "currentNumberScheduled": len(pods),
        "desiredNumberScheduled": len(pods),
        "updatedNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
        "observedGeneration": daemon_set["metadata"]["generation"],
    }
    if ready < len(pods):
        status["numberUnavailable"] = len(pods) - ready
    store.set_status(DAEMON_SETS, name, status, namespace=namespace)


def is_ready(pod: Json) -> bool:
    """Whether a pod's Ready condition is true."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def readied(pod: Json, *, ready: bool) -> Json:
    """A pod of calico-node with that readiness."""
    status = pod["status"]
    for condition in status.get("conditions") or []:
        if condition["type"] in ("Ready", "ContainersReady") and condition["status"] != str(ready):
            condition |= {"status": str(ready), "lastTransitionTime": now()}
            condition.pop("reason", None)
            condition.pop("message", None)
            if not ready:
                condition["reason"] = "ContainersNotReady"
                condition["message"] = "containers with unready status: [calico-node]"
    for container in status.get("containerStatuses") or []:
        container["ready"] = ready
    return pod


def _with(pool: Json, verdict: tuple[str, str, str], free: bool) -> Json:
    """A native pool with its finalizer and condition."""
    metadata = pool["metadata"]
    finalizers = [each for each in metadata.get("finalizers") or [] if each != FINALIZER]
    metadata["finalizers"] = (
        finalizers if "deletionTimestamp" in metadata and free else [*finalizers, FINALIZER]
    )
    status, reason, message = verdict
    conditions = (pool.get("status") or {}).get("conditions") or []
    have = next((each for each in conditions if each["type"] == "Allocatable"), None)
    if have is None or (have["status"], have["reason"]) != (status, reason):
        condition = {"type": "Allocatable", "status": status, "reason": reason, "message": message}
        pool["status"] = {"conditions": [condition | {"lastTransitionTime": now()}]}
    return pool
