"""The CNI plugin and the runtime's sandbox: a pod's address, wire and containers."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from pytest_calico_perf.cluster.lab.topology import Pod, make_pod
from tests.kubernetes.fake.store import Store
from tests.kubernetes.plane import pools as pool_rules
from tests.kubernetes.plane.calico import Calico
from tests.kubernetes.plane.containers import Containers
from tests.kubernetes.plane.dataplane import DataPlane
from tests.kubernetes.plane.resources import NAMESPACES, NODES

Json = dict[str, Any]

POOLS = "cni.projectcalico.org/ipv4pools"


class CniProblem(Exception):
    """A pod's sandbox cannot be made."""

    def sandbox_message(self, uid: str) -> str:
        """As the kubelet tells it in its event FailedCreatePodSandBox."""
        sandbox = uid.replace("-", "")
        return (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
            f'"{sandbox}": plugin type="calico" failed (add): {self}'
        )


@dataclass(frozen=True)
class Attachment:
    """A pod's place in the network.

    Attributes:
        network: Its network namespace.
        key: Name of its files.
        addresses: Its addresses, dotted.
        wire: What was made for it; None in the node's own network.
        handle: Under which its address is booked.
    """

    network: str
    key: str
    addresses: list[str]
    wire: Pod | None = None
    handle: str = ""


class Cni:
    """Wires pods.

    Args:
        store: The API's objects.
        calico: Gives addresses and knows pools.
        data_plane: Where the wires are.
    """

    def __init__(self, store: Store, calico: Calico, data_plane: DataPlane) -> None:
        self._store = store
        self._calico = calico
        self._data_plane = data_plane

    def add(self, pod: Json) -> Attachment:
        """Give a pod its address and wire.

        Raises:
            CniProblem: As the plugin says it.
        """
        metadata, spec = pod["metadata"], pod["spec"]
        node, uid = spec["nodeName"], metadata["uid"]
        if spec.get("hostNetwork"):
            address = self._data_plane.topology.node(node).address
            return Attachment(node, uid, [str(address)])
        handle = f"k8s-pod-network.{uid.replace('-', '')}"
        workload = f"{metadata['namespace']}.{metadata['name']}"
        attributes = {"namespace": metadata["namespace"], "node": node, "pod": metadata["name"]}
        try:
            pools = self._pools(pod)
            address = self._calico.ipam.assign(node, pools, handle, attributes)
        except ValueError as error:
            raise CniProblem(str(error)) from None
        self._calico.kick()
        pool = next(pool for pool in pools if address in pool.range)
        wire = make_pod(
            f"pod-{uid}",
            pool.planned(self._data_plane.pod_mtu),
            node,
            IPv4Address(address),
            workload=workload,
        )
        self._data_plane.add_pod(wire)
        for sysctl in (spec.get("securityContext") or {}).get("sysctls") or ():
            argv = ["sysctl", "--quiet", "--write", f"{sysctl['name']}={sysctl['value']}"]
            self._data_plane.sandbox.run(wire.name, argv, limit=10).check()
        return Attachment(wire.name, uid, [str(address)], wire, handle)

    def remove(self, attachment: Attachment) -> None:
        """Take back what `add` gave."""
        if attachment.wire:
            self._data_plane.remove_pod(attachment.wire)
            self._calico.ipam.release(attachment.handle)
            self._calico.kick()

    def start_containers(self, attachment: Attachment, pod: Json) -> Containers:
        """Start a pod's containers in its network."""
        return Containers.start(self._data_plane.sandbox, attachment.network, attachment.key, pod)

    def _pools(self, pod: Json) -> list[pool_rules.IPPool]:
        """The pod's annotation comes before its namespace's (cni-plugin/pkg/k8s)."""
        metadata = pod["metadata"]
        namespace = self._store.get(NAMESPACES, metadata["namespace"])
        asked = None
        for obj in (namespace, pod):
            asked = (obj["metadata"].get("annotations") or {}).get(POOLS, asked)
        node = self._store.get(NODES, pod["spec"]["nodeName"])
        return pool_rules.chosen(self._calico.pools(), asked, node["metadata"].get("labels") or {})
